"""Calls of federated tools, readings of federated resources, federated prompts and completions."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from gateway.catalogue.arguments import canonical
from gateway.catalogue.documents import Reading
from gateway.catalogue.federation import Federated, Federation, identity
from gateway.catalogue.jsontext import to_json
from gateway.catalogue.result import PROVENANCE, CallResult, provenance, with_meta
from gateway.errors import UpstreamInvalid
from gateway.pipeline.directives import SILENT, Directives
from gateway.pipeline.freshness import lasts_until, lifetime, new_entry
from gateway.pipeline.model import Answer, Entry, Loaded, Policy, Request, Status, UpstreamFreshness
from gateway.pipeline.pipeline import Pipeline
from gateway.upstream.mcp.model import NOBODY, Channel, Json, Onlooker, Unasked

if TYPE_CHECKING:
    from gateway.upstream.mcp.server import McpServer

_SERVER_INFO = "io.modelcontextprotocol/serverInfo"
_RESERVED = "io.modelcontextprotocol/"
_NO_STRATEGY = Policy("", ttl=0.0)


@dataclass(frozen=True, slots=True)
class Asking:
    """A client's request beside what it is about: who asks, and how the client is reached meanwhile."""

    caller: str = ""
    """Who asks, for answers that are not for everybody."""
    channel: Channel = NOBODY
    """The way back to the client."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """The request's `_meta`, as it was sent."""
    answers: Mapping[str, Any] = field(default_factory=dict)
    """`inputResponses` and `requestState` of a request that comes back with answers."""


class FederatedCalls:
    """Passes requests on to the servers that the federation names, and keeps what may be kept."""

    def __init__(self, federation: Federation, pipeline: Pipeline) -> None:
        self._federation = federation
        self._pipeline = pipeline

    async def call(
        self, tool: Federated, policy: Policy | None, arguments: Mapping[str, Any] | None, asking: Asking
    ) -> CallResult:
        """The result of a tool, from the cache where it only reads and has a strategy; `policy` is its reader's.

        Raises ToolError for arguments that JSON can't hold, and UpstreamError. Cancelling tells the server, unless the
        answer is one to be kept.
        """
        given = dict(arguments or {})
        key = canonical(given)
        if policy is not None and not asking.answers:
            try:
                return await self._cached(tool, policy, key, given, asking)
            except Unasked:
                pass  # it wants to know something of its caller, so the answer is this caller's alone
        params = {"name": tool.own, "arguments": given, **_own_meta(asking), **asking.answers}
        result = await self._request(
            tool.server,
            "tools/call",
            params,
            asking.channel,
            of=("tools", tool.own),
            idempotent=tool.read_only and not asking.answers,
            caller=asking.caller,
        )
        now = self._pipeline.clock()
        entry = Entry(_payload(tool.server, result), now, now, tags=_tags(tool, policy))
        if result.get("resultType") == "input_required":
            return CallResult(entry.payload)
        return self._result(Answer(entry, Status.MISS, "upstream"), "passed")

    async def _cached(self, tool: Federated, policy: Policy, key: str, arguments: Json, asking: Asking) -> CallResult:
        owner = Reading(policy, caller=asking.caller).owner
        full = f"result:{tool.name}@{identity(tool.server.section)}.{tool.hash[7:23]}{owner}:{key}"
        load = partial(self._load, tool, policy, arguments, Onlooker(asking.channel))
        answer = await self._pipeline.get(Request(full, policy, load))
        return self._result(answer.fresh_at_most_until(lasts_until(answer.entry, policy)), answer.status.value)

    async def _load(
        self, tool: Federated, policy: Policy, arguments: Json, channel: Channel, _stale: Entry | None
    ) -> Loaded:
        params = {"name": tool.own, "arguments": arguments}
        result = await self._request(
            tool.server, "tools/call", params, channel, of=("tools", tool.own), idempotent=True
        )
        entry = new_entry(
            _payload(tool.server, result),
            replace(policy, upstream_freshness=UpstreamFreshness.IGNORE),  # a result says nothing of its freshness
            self._pipeline.clock(),
            draw=random.random(),  # noqa: S311  # jitter is no secret
            tags=_tags(tool, policy),
        )
        return Loaded(entry, keep=not result.get("isError", False))

    async def _request(self, server: McpServer, method: str, params: Json, channel: Channel, **about: Any) -> Json:
        with self._pipeline.telemetry.asking(server.name):
            return await server.request(method, params, channel, **about)

    def _result(self, answer: Answer, outcome: str) -> CallResult:
        about, kept = provenance(answer, self._pipeline.clock()), answer.entry.payload
        if b'"_meta"' not in kept and b'"isError"' not in kept:
            return CallResult(with_meta(kept, {PROVENANCE: about}), answer=answer, outcome=outcome)
        result = orjson.loads(kept)
        meta = result.pop("_meta", {})
        payload = to_json({**result, "_meta": {**meta, PROVENANCE: about}})
        if result.get("isError", False):
            return CallResult(payload, message=_spoken(result), outcome="refused")
        return CallResult(payload, answer=answer, outcome=outcome)

    async def read(self, uri: str, asking: Asking) -> Json:
        """A resource's contents, with `ttlMs` and `cacheScope`; kept for as long as its server says, or its strategy.

        What one caller was given is never given to another. Raises UnknownResource, ToolError and UpstreamError.
        """
        server, own = self._federation.resource(uri)
        policy = self._federation.policy_of(server)
        found = await self._read(server, own, policy, asking)
        if policy is not None and policy.private and "cacheScope" in found:
            return {**found, "cacheScope": "private"}  # whatever its server says
        return found

    async def _read(self, server: McpServer, own: str, policy: Policy | None, asking: Asking) -> Json:
        if asking.answers or (policy is None and not server.modern):
            return await self._read_now(server, own, asking)
        policy = replace(policy or _NO_STRATEGY, upstream_freshness=UpstreamFreshness.HONOUR)
        key = f"resource:{server.name}@{identity(server.section)}!#{asking.caller}:{own}"
        load = partial(self._load_resource, server, own, policy, asking)
        try:
            answer = await self._pipeline.get(Request(key, policy, load))
        except Unasked:
            return await self._read_now(server, own, asking)
        result: Json = orjson.loads(answer.entry.payload)
        remaining = max(0.0, answer.entry.fresh_until - self._pipeline.clock())
        return {**result, "ttlMs": int(remaining * 1000), "cacheScope": result.get("cacheScope", "private")}

    async def _read_now(self, server: McpServer, own: str, asking: Asking) -> Json:
        params = {"uri": own, **_own_meta(asking), **asking.answers}
        result = await self._request(
            server,
            "resources/read",
            params,
            asking.channel,
            of=("resources", own),
            idempotent=not asking.answers,
            caller=asking.caller,
        )
        result = _without_stamp(_led_back(server, result))
        if result.get("resultType") == "input_required":
            return result
        return {"ttlMs": 0, "cacheScope": "private", **result}

    async def _load_resource(
        self, server: McpServer, own: str, policy: Policy, asking: Asking, _stale: Entry | None
    ) -> Loaded:
        onlooker = Onlooker(asking.channel)
        result = await self._request(
            server, "resources/read", {"uri": own}, onlooker, of=("resources", own), idempotent=True
        )
        directives = SILENT
        if "ttlMs" in result:
            # Who shows no credential may be anybody, so what is for one client alone is not kept for them.
            private = result.get("cacheScope") == "private" and not asking.caller
            directives = Directives(max_age=result["ttlMs"] / 1000, private=private)
        tags = (f"upstream:{server.name}", f"strategy:{policy.name}") if policy.name else (f"upstream:{server.name}",)
        entry = new_entry(_payload(server, result), policy, self._pipeline.clock(), directives=directives, tags=tags)
        life = lifetime(policy, directives)
        return Loaded(entry, keep=life.keep and life.ttl > 0)

    async def prompt(self, name: str, arguments: Mapping[str, Any] | None, asking: Asking) -> Json:
        """A prompt, filled in by its server; raises UnknownPrompt, ToolError and UpstreamError."""
        prompt = self._federation.prompt(name)
        params = {"name": prompt.own, "arguments": dict(arguments or {}), **_own_meta(asking), **asking.answers}
        result = await self._request(
            prompt.server,
            "prompts/get",
            params,
            asking.channel,
            of=("prompts", prompt.own),
            idempotent=not asking.answers,
            caller=asking.caller,
        )
        return _without_stamp(_led_back(prompt.server, result))

    async def complete(self, ref: Mapping[str, Any], rest: Mapping[str, Any], asking: Asking) -> Json:
        """What may stand for an argument of a prompt or of a resource template; `rest` is the request without `ref`.

        Raises UnknownPrompt, UnknownResource, ToolError and UpstreamError.
        """
        if ref["type"] == "ref/prompt":
            found, own, kind = self._federation.prompt(ref["name"]), "name", "prompts"
        else:
            found, own, kind = self._federation.template(ref["uri"]), "uri", "templates"
        params = {**rest, "ref": {**ref, own: found.own}}
        return _without_stamp(
            await self._request(
                found.server, "completion/complete", params, asking.channel, of=(kind, found.own), idempotent=True
            )
        )


def _own_meta(asking: Asking) -> Json:
    """What the client says in `_meta` to its server: not what it says to the gateway, nor what each session sets."""
    meta = {
        key: value
        for key, value in asking.meta.items()
        if key not in ("progressToken", PROVENANCE) and not key.startswith(_RESERVED)
    }
    return {"_meta": meta} if meta else {}


def _tags(tool: Federated, policy: Policy | None) -> tuple[str, ...]:
    own = (f"tool:{tool.name}", f"upstream:{tool.server.name}")
    return (*own, f"strategy:{policy.name}") if policy is not None else own


def _payload(server: McpServer, result: Json) -> bytes:
    try:
        return to_json(_without_stamp(_led_back(server, result)))
    except ValueError as error:
        raise UpstreamInvalid(server.name, f"its answer can't be written as JSON: {error}") from error


def _without_stamp(result: Json) -> Json:
    """The result without who its server is: the gateway says who it is itself."""
    meta = {key: value for key, value in (result.get("_meta") or {}).items() if key != _SERVER_INFO}
    rest = {key: value for key, value in result.items() if key != "_meta"}
    return {**rest, "_meta": meta} if meta else rest


def _led_back(server: McpServer, result: Json) -> Json:
    """The result with URIs that lead back to its server: of links, of embedded resources, of contents."""
    prefix = server.section.uri_prefix_of(server.name)

    def block(content: Any) -> Any:
        match content:
            case {"type": "resource_link", "uri": str(uri)}:
                return {**content, "uri": prefix + uri}
            case {"type": "resource", "resource": {"uri": str(uri)} as resource}:
                return {**content, "resource": {**resource, "uri": prefix + uri}}
            case _:
                return content

    changed = dict(result)
    if isinstance(result.get("content"), list):
        changed["content"] = [block(each) for each in result["content"]]
    if isinstance(result.get("messages"), list):
        changed["messages"] = [{**each, "content": _each(block, each["content"])} for each in result["messages"]]
    if isinstance(result.get("contents"), list):
        changed["contents"] = [{**each, "uri": prefix + each["uri"]} for each in result["contents"]]
    return changed


def _each(change: Callable[[Any], Any], content: Any) -> Any:
    return [change(each) for each in content] if isinstance(content, list) else change(content)


def _spoken(result: Json) -> str:
    """What an error result says."""
    texts = [each["text"] for each in result.get("content", ()) if each.get("type") == "text"]
    return " ".join(texts) or "the tool failed and did not say why"
