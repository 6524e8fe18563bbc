"""tools/call of declared tools: from memory at once, or by the catalogue when something has to be waited for."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import Any

import orjson
import structlog

from gateway.assembly import Gateway
from gateway.catalogue.documents import Reading
from gateway.catalogue.result import PROVENANCE
from gateway.catalogue.tool import Tool
from gateway.errors import GatewayError, ToolError
from gateway.pipeline.freshness import CLOCK_TOLERANCE, lasts_until
from gateway.profile.budget import CURSOR
from gateway.serving.direct.envelope import Envelope, Reply
from gateway.serving.direct.forms import Form, form_of
from gateway.serving.direct.message import Message
from gateway.serving.direct.metas import Metas
from gateway.serving.direct.wire import Wire
from gateway.serving.failures import INTERNAL, Failure, failure_of
from gateway.serving.protocol import HTTP_STATUS
from gateway.telemetry.tracing import span, tracing, within_context_of
from gateway.tiers.memory import MemoryTier, Slot

log = structlog.get_logger(__name__)

_PARAMS = frozenset({"name", "arguments", "_meta"})
_MOST = 4
"""Callers whose keys of private answers are remembered with what they ask for."""

HEADER = "x-mcp-header"
"""What annotates an argument that clients repeat in a header; whether they agree is for the SDK to see."""


class Asked:
    """What a call asks for; the same for all that differ in nothing but their id."""

    __slots__ = ("arguments", "keys", "meta", "tool")

    def __init__(self, tool: Tool, arguments: dict[str, Any] | None, meta: dict[str, Any]) -> None:
        self.tool = tool
        self.arguments = arguments
        self.meta = meta
        self.keys: dict[str, str] = {}
        """The keys of the answer, by who asks; by nobody where it is the same for all."""


class Call:
    """A call that is as it should be."""

    __slots__ = ("asked", "id")

    def __init__(self, id_: int | str, asked: Asked) -> None:
        self.id = id_
        self.asked = asked


class Calls:
    """Answers calls of the tools that a profile declares; those of MCP servers are for the SDK."""

    def __init__(self, gateway: Gateway, wire: Wire, metas: Metas) -> None:
        self._catalogue = gateway.catalogue
        self._clock = gateway.pipeline.clock
        self._requests = gateway.watching.requests
        self._record_read = gateway.pipeline.telemetry.tiers.of("memory", "read", "hit").record
        self._memory = gateway.memory
        self._threshold = gateway.profile.server.compression_threshold
        self._wire = wire
        self._metas = metas
        self._tools = {
            name: tool for name, tool in gateway.catalogue.tools.items() if not _mentions(tool.arguments.schema)
        }
        self._users = gateway.users
        self._modern, self._handshake = object(), object()
        """What the forms of the eras are kept by: those made before a reload are not as this profile has them."""

    def recognise(self, message: Message, envelope: Envelope) -> Asked | None:
        """What `message` asks for; None where it is for the SDK."""
        params = message.params
        if params is None or not _PARAMS.issuperset(params):
            return None
        name, arguments, meta = params.get("name"), params.get("arguments"), params.get("_meta")
        if meta is None:
            meta = {}
            if envelope.modern or "_meta" in params:
                return None
        elif type(meta) is not dict or not self._metas.accepts(meta, modern=envelope.modern):
            return None
        tool = self._tools.get(name) if type(name) is str else None
        if tool is None or (arguments is not None and type(arguments) is not dict):
            return None
        if envelope.routed and envelope.modern and envelope.name != name:
            return None
        return Asked(tool, arguments, meta)

    def hit(self, call: Call, envelope: Envelope) -> Reply | None:
        """The answer, where memory has a fresh one; None where `answer` has to make it. Nothing is counted then."""
        memory, asked = self._memory, call.asked
        tool = asked.tool
        if memory is None or not tool.cached or PROVENANCE in asked.meta or tracing():
            return None
        began = perf_counter()
        key = self._key(asked, envelope.caller)
        slot = memory.held(key) if key is not None else None
        if slot is None or key is None:
            return None
        now = self._clock()
        entry = slot.entry
        if now >= slot.fresh_here_until or entry.stored_at > now + CLOCK_TOLERANCE:
            return None
        modern, coding = envelope.modern, envelope.coding
        era = self._modern if modern else self._handshake
        forms = slot.made
        kept = forms.get(era) if type(forms) is dict else None
        form = kept or self._make(slot, tool, key, modern=modern)
        if form is None or now >= form.fresh_until:
            return None
        size = 0 if coding is None else form.size
        found = perf_counter()
        memory.use(slot, now)
        self._record_read(found - began)
        beginning = form.beginning(self._wire.id_bytes(call.id, modern=modern), now)
        reply = form.end.after(beginning, coding, self._threshold)
        if kept is None or (coding is not None and form.size != size):  # last: the tier may give up the entry for it
            self._attach(memory, slot, era, form)
        self._requests.ended("tool", tool.name, tool.policy.name, "memory", "hit", perf_counter() - began)
        return reply

    def _attach(self, memory: MemoryTier, slot: Slot, era: object, form: Form) -> None:
        made = slot.made if type(slot.made) is dict else {}
        forms = {each: made[each] for each in (self._modern, self._handshake) if each in made}
        forms[era] = form
        memory.attach(slot, forms, sum(each.size for each in forms.values()))

    async def answer(self, call: Call, envelope: Envelope) -> Reply:
        """The answer, whatever it takes. Cancelling stops the waiting; an answer to be kept is still made."""
        if not tracing():
            with self._users:
                return await self._answer(call, envelope)
        asked = call.asked
        trace = {**envelope.trace, **asked.meta}
        about = {"method": "tools/call", "name": asked.tool.name}
        with self._users, within_context_of(trace), span(f"tools/call {asked.tool.name}", "server", **about):
            return await self._answer(call, envelope)

    async def _answer(self, call: Call, envelope: Envelope) -> Reply:
        asked, modern, id_ = call.asked, envelope.modern, call.id
        tool = asked.tool
        strategy = tool.policy.name if tool.cached else ""
        try:
            with self._requests.watching("tool", tool.name, strategy=strategy) as ending:
                result = await self._catalogue.call(tool.name, asked.arguments, caller=envelope.caller, meta=asked.meta)
                ending.outcome = result.outcome
                ending.tier = result.answer.tier if result.answer is not None else ""
            body = self._wire.called(id_, orjson.loads(result.payload), modern=modern)
        except GatewayError as error:
            return self._failed(id_, failure_of(error), modern=modern)
        except Exception:  # as the SDK's: what is wrong inside is for the log, not for the client
            log.exception("a call failed", tool=tool.name)
            return self._failed(id_, INTERNAL, modern=modern)
        return Reply((body,), len(body))

    def _failed(self, id_: int | str, failure: Failure, *, modern: bool) -> Reply:
        body = self._wire.failed(id_, failure, modern=modern)
        return Reply((body,), len(body), HTTP_STATUS.get(failure.code, 200) if modern else 200)

    def _key(self, asked: Asked, caller: str) -> str | None:
        """The key of the whole answer, or of its first part; None for arguments that are refused or ask for another."""
        tool = asked.tool
        owner = caller if tool.policy.private else ""
        known = asked.keys.get(owner)
        if known is not None:
            return known
        try:
            completed = tool.arguments.complete(asked.arguments)
            if tool.pager is not None and completed.pop(CURSOR, None):
                return None
            key = tool.key(completed, Reading(tool.policy, caller=caller).owner)
        except ToolError:
            return None
        if len(asked.keys) >= _MOST:
            asked.keys.clear()
        asked.keys[owner] = key
        return key

    def _make(self, slot: Slot, tool: Tool, key: str, *, modern: bool) -> Form | None:
        payload, following = slot.entry.payload, None
        try:
            if tool.pager is not None:
                payload, following = tool.pager.page(payload, key, None)
            fresh_until = lasts_until(slot.entry, tool.policy)
            return form_of(self._wire, slot.entry, payload, following, fresh_until, modern=modern)
        except (GatewayError, ValueError):  # whatever is wrong with it is said by `answer`
            return None


def _mentions(schema: Any) -> bool:
    """Whether a header is annotated anywhere in it."""
    if isinstance(schema, Mapping):
        return HEADER in schema or any(map(_mentions, schema.values()))
    return isinstance(schema, list) and any(map(_mentions, schema))
