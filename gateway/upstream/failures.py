"""What went wrong on the way to an upstream, as one sentence: third-party errors are mapped here and nowhere else."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import h11
import httpcore2
import httpx2

from gateway.errors import UpstreamInvalid, UpstreamNotFound, UpstreamRejected, UpstreamUnavailable
from gateway.printable import printable
from gateway.profile.units import format_duration
from gateway.upstream.policies.retry import AskedToWait
from gateway.upstream.retry_after import seconds_to_wait


class Refused(UpstreamRejected):
    """A 4xx that is not about a document that is missing, nor about how often one may ask."""

    def __init__(self, upstream: str, message: str, status: int) -> None:
        self.status = status
        super().__init__(upstream, message)


def shown(url: httpx2.URL | str) -> str:
    """An address for a sentence: without its query, which can hold what an agent asked or a key of the operator."""
    parts = urlsplit(str(url))
    host = parts.netloc.rpartition("@")[2]
    return printable(f"{parts.scheme}://{host}{parts.path}" if host else parts.path, 200)


@contextmanager
def translated(upstream: str, url: httpx2.URL, idle_timeout: float) -> Iterator[None]:
    """Turns the errors of httpx2 and httpcore2 before an answer's body into the gateway's."""
    where = shown(url)
    try:
        yield
    except httpcore2.ConnectTimeout as error:
        raise UpstreamUnavailable(upstream, f"no connection to {where} in time") from error
    except httpcore2.ConnectError as error:
        raise UpstreamUnavailable(upstream, f"no connection to {where}: {_reason(error)}") from error
    except httpcore2.TimeoutException as error:
        raise _silent(upstream, where, idle_timeout) from error
    except httpcore2.NetworkError as error:
        raise UpstreamUnavailable(upstream, f"the connection to {where} broke: {_reason(error)}") from error
    except httpcore2.RemoteProtocolError as error:
        if any(isinstance(cause, h11.RemoteProtocolError) for cause in _causes(error)):
            raise UpstreamInvalid(upstream, f"{where} did not answer in HTTP: {_reason(error)}") from error
        raise UpstreamUnavailable(upstream, f"{where} closed the connection without an answer") from error
    except (httpcore2.LocalProtocolError, httpcore2.UnsupportedProtocol, httpx2.HTTPError, httpx2.InvalidURL):
        # Their texts can quote a header's value, which may be a credential.
        raise UpstreamRejected(upstream, f"the request for {where} can't be sent as HTTP") from None


@contextmanager
def broken_off(upstream: str, url: httpx2.URL, idle_timeout: float) -> Iterator[None]:
    """Turns the errors of httpcore2 in the middle of an answer's body into the gateway's."""
    try:
        yield
    except httpcore2.TimeoutException as error:
        raise _silent(upstream, shown(url), idle_timeout) from error
    except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        raise UpstreamUnavailable(upstream, f"the answer of {shown(url)} broke off: {_reason(error)}") from error


def refuse_status(upstream: str, url: httpx2.URL, response: httpx2.Response, *, conditional: bool) -> None:
    """Raise what the status of an answer means, unless it is a success or an expected 304 (RFC 9110, section 15).

    Of the successes only a part of what was asked for is none: a range is never asked for.
    """
    status = response.status_code
    if 200 <= status <= 205 or (status == 304 and conditional):
        return
    said = _answered(status, url)
    if status in (404, 410):
        raise UpstreamNotFound(upstream, said)
    if status == 429 or status >= 500:
        wait = seconds_to_wait(response.headers)
        if wait is not None:
            raise AskedToWait(upstream, f"{said}, and to ask again in {format_duration(wait)}", float(wait))
        raise UpstreamUnavailable(upstream, said)
    if 300 <= status < 400 and status != 304:
        target = response.headers.get("location", "")
        to = f" with a redirect to {shown(target)}, which is not followed" if target else ""
        raise UpstreamRejected(upstream, said + to)
    if 400 <= status < 500:
        raise Refused(upstream, said, status)
    raise no_document(upstream, status, url)


def no_document(upstream: str, status: int, url: httpx2.URL) -> UpstreamInvalid:
    """A success without the document that was asked for: nothing, a part, or a promise of it."""
    return UpstreamInvalid(upstream, f"{_answered(status, url)}, where a whole document was expected")


def _answered(status: int, url: httpx2.URL) -> str:
    return f"answered {status} {httpx2.codes.get_reason_phrase(status)}".rstrip() + f" for {shown(url)}"


def _silent(upstream: str, where: str, idle_timeout: float) -> UpstreamUnavailable:
    limit = f"{format_duration(idle_timeout)} (upstreams.{upstream}.pool.idle_timeout)"
    return UpstreamUnavailable(upstream, f"{where} was silent for {limit}")


def _reason(error: BaseException) -> str:
    """The text of the innermost cause that has one: the system's or OpenSSL's, not the layers' around it."""
    reason = ""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            return f"TLS: {printable(getattr(cause, 'verify_message', '') or cause.reason or str(cause), 160)}"
        if isinstance(cause, OSError) and cause.errno:
            reason = os.strerror(cause.errno)
        elif not isinstance(cause, ExceptionGroup):
            reason = reason or str(cause)
    return printable(reason or type(error).__name__, 160)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and what led to it; the pool raises `from None`, which hides causes but keeps contexts."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        group = seen.exceptions[0] if isinstance(seen, BaseExceptionGroup) else None
        seen = group or seen.__cause__ or seen.__context__
