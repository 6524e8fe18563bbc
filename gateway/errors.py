"""The one tree of exceptions that the gateway raises; third-party errors are mapped to it at the boundary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.profile.faults import Fault


class GatewayError(Exception):
    """Anything the gateway reports about itself; `str()` is one clear sentence for a person."""


class ProfileError(GatewayError):
    """A profile that can't be used: `faults` holds every fault found, each with its place in the file."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n\n".join(str(fault) for fault in self.faults))


class StartError(GatewayError):
    """The gateway can't start or can't serve: a port in use, a name that does not resolve, no permission."""


class TierError(GatewayError):
    """A cache tier failed to read or write; the pipeline counts it and goes on without the tier."""


class PurgePending(TierError):
    """A purge that is done in this instance, and that the others will be told of; `str()` says when."""


class UpstreamError(GatewayError):
    """An upstream did not give a usable answer; `str()` names the upstream and says what happened."""

    def __init__(self, upstream: str, message: str) -> None:
        self.upstream = upstream
        self.message = message
        super().__init__(f"{upstream}: {message}")


class UpstreamUnavailable(UpstreamError):
    """No answer: refused, reset, timed out, or a 5xx or 429. Asking again later may help."""


class UpstreamNotAsked(UpstreamUnavailable):
    """No answer, because nothing was sent: a limit of the profile or the circuit breaker had it so."""


class UpstreamNotFound(UpstreamError):
    """The upstream answered that there is no such document (404 or 410, or no such file in a package)."""


class UpstreamRejected(UpstreamError):
    """The upstream refused the request (another 4xx, or a redirect, which is never followed)."""


class UpstreamInvalid(UpstreamError):
    """The upstream's answer can't be trusted or read: too large, wrong hash, broken encoding, not what it claims."""


class UnknownVersion(UpstreamError):
    """No release of the upstream matches the version asked for; `newest` holds the newest ones, newest first."""

    def __init__(self, upstream: str, asked: str, newest: Sequence[str]) -> None:
        self.asked = asked
        self.newest = tuple(newest)
        known = f"The newest are {', '.join(self.newest)}." if self.newest else "It has published none."
        super().__init__(upstream, f"no release matches version {asked!r}. {known}")


class ToolError(GatewayError):
    """What a tool's caller did wrong, as a sentence that says what to try next; becomes an `isError` result."""


class UnknownTool(GatewayError):
    """A call of a tool that the profile does not declare; a protocol error, not a tool's error."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"Unknown tool: {name}")


class UnknownPrompt(GatewayError):
    """A request for a prompt that nobody declares; a protocol error."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"Unknown prompt: {name}")


class UnknownResource(GatewayError):
    """A request for a resource that nobody declares; a protocol error."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        super().__init__(f"Resource not found: {uri[:200]}{'…' if len(uri) > 200 else ''}")
