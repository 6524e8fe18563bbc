"""How the keys of a batch are put into one request, and its answer is taken apart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import trio

from gateway.errors import UpstreamError, UpstreamInvalid, UpstreamNotFound, UpstreamRejected
from gateway.packed import packed_json
from gateway.printable import printable
from gateway.profile.upstreams.batch import Batch as Section
from gateway.upstream.client import Answer
from gateway.upstream.content import is_json
from gateway.upstream.failures import Refused
from gateway.upstream.http.batch import Key, Outcome
from gateway.upstream.http.expression import Expression
from gateway.upstream.http.reading import Reader
from gateway.upstream.http.sending import Sender
from gateway.upstream.model import JSON, Fetched, Wanted

_ABOUT_A_KEY = frozenset({400, 404, 410, 413, 414, 422})
"""Refusals of a whole batch that one key, or there being so many, may have caused."""


class BatchParts:
    """Asks for several keys at once; `Batcher` says which."""

    def __init__(self, section: Section, sender: Sender, reader: Reader) -> None:
        name, at = sender.name, f"upstreams.{sender.name}.batch"
        self._section = section
        self._sender = sender
        self._reader = reader
        self._items = Expression(name, f"{at}.items", section.items)
        self._key = Expression(name, f"{at}.key", section.key) if section.key is not None else None
        self._error = Expression(name, f"{at}.error", section.error) if section.error is not None else None

    async def ask(self, group: Wanted, keys: list[Key]) -> dict[str, Outcome]:
        """What came of each key, by its text.

        A batch that is refused in a way that one of its keys may have caused is asked for key by key, so that this one
        fails alone. Raises UpstreamError where nothing came of any.
        """
        try:
            return await self._at_once(group, keys)
        except (UpstreamNotFound, Refused) as refused:
            status = refused.status if isinstance(refused, Refused) else 404
            if len(keys) == 1 or status not in _ABOUT_A_KEY:
                raise
        outcomes: dict[str, Outcome] = {}

        async def alone(key: Key) -> None:
            try:
                outcomes.update(await self._at_once(group, [key]))
            except UpstreamError as error:
                outcomes[str(key)] = error

        async with trio.open_nursery() as nursery:
            for key in keys:
                nursery.start_soon(alone, key)
        return outcomes

    async def _at_once(self, group: Wanted, keys: list[Key]) -> dict[str, Outcome]:
        wanted = self._joined(group, keys)
        answer = await self._sender.send(wanted, self._sender.url(wanted))
        body, media_type = await self._reader.read(answer.body, answer.content_type, group.read_as)
        if not is_json(media_type):
            found = printable(media_type) or "of no type"
            raise self._invalid(f"is {found}, where {self._items.key} looks for items in JSON")
        found_items = self._by_key(self._items.of(orjson.loads(body), "the answer"), keys)
        return {str(key): self._outcome(str(key), found_items.get(str(key)), answer) for key in keys}

    def _joined(self, group: Wanted, keys: list[Key]) -> Wanted:
        section = self._section
        if section.place == "body":
            return self._in_body(group, keys)
        texts = [str(key) for key in keys]
        values = [section.separator.join(texts)] if section.separator else texts
        others = tuple(pair for pair in group.query if pair[0] != section.parameter)
        return replace(group, query=(*others, *((section.parameter, value) for value in values)))

    def _in_body(self, group: Wanted, keys: list[Key]) -> Wanted:
        body: Any = keys
        if self._section.parameter:
            body = orjson.loads(group.body) if group.body else {}
            if not isinstance(body, dict):
                reason = f"its body is no object for upstreams.{self._sender.name}.batch.parameter to be a member of"
                raise UpstreamRejected(self._sender.name, reason)
            body[self._section.parameter] = keys
        headers = group.headers if group.body else (("Content-Type", JSON), *group.headers)
        return replace(group, body=orjson.dumps(body), headers=headers)

    def _by_key(self, items: Any, keys: list[Key]) -> dict[str, Any]:
        if isinstance(items, dict):
            return items
        if not isinstance(items, list):
            raise self._invalid(f"has neither an array nor an object where {self._items.key} looks for items")
        if self._key is None:
            if len(items) != len(keys):
                raise self._invalid(
                    f"has {len(items)} items for {len(keys)} keys; upstreams.{self._sender.name}.batch.key would say "
                    "which is whose"
                )
            return {str(key): item for key, item in zip(keys, items, strict=True)}
        found: dict[str, Any] = {}
        for item in items:
            key = self._key.of(item, "an item of the answer") if item is not None else None
            if isinstance(key, str | int) and not isinstance(key, bool):
                found.setdefault(str(key), item)
        return found

    def _outcome(self, key: str, item: Any, answer: Answer) -> Outcome:
        if item is None:
            return UpstreamNotFound(self._sender.name, f"the answer has no item for {printable(key, 120)!r}")
        try:
            wrong = self._error.of(item, f"the item for {printable(key, 120)!r}") if self._error is not None else None
        except UpstreamInvalid as error:
            return error
        if wrong is not None and wrong is not False:
            said = printable(wrong if isinstance(wrong, str) else orjson.dumps(wrong).decode(), 200)
            return UpstreamInvalid(self._sender.name, f"the item for {printable(key, 120)!r} failed: {said}")
        return Fetched(packed_json(item), JSON, directives=answer.directives)

    def _invalid(self, why: str) -> UpstreamInvalid:
        return UpstreamInvalid(self._sender.name, f"the answer to a batch {why}")
