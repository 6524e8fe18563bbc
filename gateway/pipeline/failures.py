"""Failures that are remembered for a while, so that an upstream that is down is not asked by every caller."""

from __future__ import annotations

from collections import OrderedDict

from gateway.errors import UpstreamError, UpstreamInvalid, UpstreamNotAsked, UpstreamUnavailable
from gateway.pipeline.model import Policy

_MAX = 10_000
"""Most failures remembered; the oldest are forgotten first."""


class Failures:
    """Which loads failed a moment ago, and how. In memory only: after a restart everything is worth a try.

    A stale entry is not replaced by a failure: it may still stand in for it.
    """

    def __init__(self) -> None:
        self._until: OrderedDict[str, tuple[float, UpstreamError]] = OrderedDict()

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._until)

    def record(self, key: str, error: UpstreamError, policy: Policy, now: float) -> None:
        """The load of `key` failed; remembered for as long as `policy.negative` says for this kind of failure.

        That nothing was sent is not remembered: it costs nothing to find out whether that is still so.
        """
        match error:
            case UpstreamNotAsked():
                return
            case UpstreamUnavailable():
                seconds = policy.negative.upstream_error
            case UpstreamInvalid():
                seconds = policy.negative.invalid
            case _:
                return
        if seconds <= 0:
            return
        self._until.pop(key, None)
        self._until[key] = (now + seconds, _bare(error))
        if len(self._until) > _MAX:
            self._until.popitem(last=False)

    def of(self, key: str, now: float) -> UpstreamError | None:
        """The failure of `key` that is still remembered."""
        until, error = self._until.get(key, (0.0, None))
        if error is not None and until <= now:
            del self._until[key]
            return None
        return None if error is None else _bare(error)

    def forget(self, key: str | None = None) -> None:
        """Forget the failure of `key`, or all of them."""
        if key is None:
            self._until.clear()
        else:
            self._until.pop(key, None)


def _bare(error: UpstreamError) -> UpstreamError:
    """The same error without its traceback and its cause, whose frames hold on to what was fetched, up to megabytes."""
    bare = type(error).__new__(type(error), *error.args)
    vars(bare).update(vars(error))
    return bare
