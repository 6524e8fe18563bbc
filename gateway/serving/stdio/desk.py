"""What comes in from the one client: answered at once where that can be, else passed on to the SDK, in order."""

from __future__ import annotations

from contextlib import aclosing
from typing import Protocol

import trio

from gateway.profile.profile import Profile
from gateway.serving.direct.envelope import Envelope, Recognised, Reply
from gateway.serving.direct.message import Message, parse
from gateway.serving.protocol import PROTOCOL_VERSION
from gateway.serving.stdio.descriptors import Output
from gateway.serving.stdio.early import Early
from gateway.serving.stdio.lines import Lines

_WAITING = 64
"""Messages that wait for the SDK at most; with more, the client has to."""


class Recognising(Protocol):
    """What has answers at hand."""

    def recognise_message(self, message: Message, envelope: Envelope) -> Recognised | None:
        """The way to the answer; None where that is for the SDK."""


class Desk:
    """Takes messages in from the start on; `answers` can be given later.

    The first request always reaches the SDK, since it decides how a connection goes on (MCP 2026-07-28, "Versioning");
    where it was answered here, its id is in `answered`, and what the SDK says to it is to be dropped.
    """

    def __init__(self, early: Early, lines: Lines, output: Output, *, greeted: bool = False) -> None:
        """With `greeted`, the client has the answer to its first request already."""
        self._lines = lines
        self._output = output
        self._early = early
        self._greeted = greeted
        self._opening = True
        self._envelope: Envelope | None = None
        """Of every further request; None where only the SDK knows."""
        self._passed_on, self.incoming = trio.open_memory_channel[bytes](_WAITING)
        self.answers: Recognising | None = None
        self.answered: set[int | str] = set()

    def use(self, profile: Profile, answers: Recognising | None) -> None:
        """Answer for another profile from now on."""
        self._early.use(profile)
        self.answers = answers

    async def run(self, ended: trio.Event) -> None:
        """Take messages in until they end, and say so."""
        async with self._passed_on, aclosing(aiter(self._lines)) as lines:
            async for line in lines:
                opening = self._opening
                reply = self._opening_reply(line) if opening else self._reply(line)
                if reply is not None and not (opening and self._greeted):
                    await self._output.write(reply + b"\n")
                if reply is None or opening:
                    await self._passed_on.send(line)
        ended.set()

    def _opening_reply(self, line: bytes) -> bytes | None:
        """The answer to the first request, if it can be given here."""
        self._opening = False
        message = parse(line)
        if message is None:
            return None
        version = self._early.version_of(message)
        if version is not None:
            self._envelope = Envelope(version, modern=False, routed=False)
            self.answered.add(message.id)
            return self._early.initialized(message, version)
        meta = (message.params or {}).get("_meta")
        if message.method != "initialize" and isinstance(meta, dict) and PROTOCOL_VERSION in meta:
            self._envelope = Envelope(str(meta[PROTOCOL_VERSION]), modern=True, routed=False)
        return None

    def _reply(self, line: bytes) -> bytes | None:
        envelope = self._envelope
        message = None if envelope is None else parse(line)
        if envelope is None or message is None:
            return None
        answer = None if envelope.modern else self._early.answer(message)
        if answer is not None:
            return answer
        recognised = None if self.answers is None else self.answers.recognise_message(message, envelope)
        reply = None if recognised is None else recognised(envelope)
        # What has to be waited for can be cancelled by the client, which the SDK sees to.
        return b"".join(reply.pieces) if isinstance(reply, Reply) else None
