"""What the requests of all connections are answered with; a reload puts another in its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from gateway.profile.serving import Server
from gateway.serving.admission import Admission, Refusal
from gateway.serving.direct.envelope import Envelope, Recognised, Reply, Waiting
from gateway.serving.front.head import Head, Heads
from gateway.serving.front.replies import Date, refused, written


class Answering(Protocol):
    """What makes the answers."""

    def recognise(self, body: bytes, envelope: Envelope) -> Recognised | None:
        """The way to the answer; None where that is for hypercorn."""


@dataclass(frozen=True, slots=True)
class Handling:
    """From a whole request to the bytes of its answer."""

    section: Server
    heads: Heads
    admission: Admission
    answers: Answering
    _date: Date = field(default_factory=Date)

    def begin(self, head: Head, body: bytes, peer: str) -> Reply | Refusal | Waiting | None:
        """Admit and count a request: its answer, or the way to it; None, and nothing is done, where it is another's."""
        envelope = head.envelope
        recognised = None if envelope is None else self.answers.recognise(body, envelope)
        if envelope is None or recognised is None:
            return None
        if self.admission.needed:
            client = self.admission.admit(head.authorizations, peer, head.forwarded)
            if isinstance(client, Refusal):
                return client
            envelope = head.of_client(client, envelope)
        return recognised(envelope)

    def written(self, head: Head, reply: Reply | Refusal, *, last: bool) -> bytes:
        """The answer's bytes; `last` is that the connection is closed after it."""
        if isinstance(reply, Refusal):
            return refused(reply, self._date(), last=last)
        return written(reply, self._date(), modern=head.modern, last=last)


class Handles(Protocol):
    """Whoever knows what requests are answered with at the moment."""

    handling: Handling
