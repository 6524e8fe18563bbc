"""What the parts of one gateway measure of themselves: one object, handed to all of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from gateway.errors import GatewayError, UpstreamError, UpstreamNotAsked, UpstreamNotFound, UpstreamUnavailable
from gateway.telemetry.metrics import Counts, Metric, Timings
from gateway.telemetry.shapes import MissShapes
from gateway.telemetry.tracing import span


class Telemetry:
    """The families that something is recorded into; what is only looked at is for `gateway.watch.gauges`."""

    def __init__(self) -> None:
        self.requests = Timings(
            "gateway_request_seconds",
            "Requests of clients, whole: `kind` is what is asked for, `outcome` is hit, stale, miss, passed (not "
            "cached), refused (the caller's fault), failed (an upstream's), crashed or cancelled",
            *("kind", "name", "strategy", "tier", "outcome"),
        )
        self.tiers = Timings(
            "gateway_tier_seconds",
            "Reads and writes of cache tiers: `outcome` is hit (fresh or stale), miss, done or failed",
            *("tier", "operation", "outcome"),
        )
        self.upstreams = Timings(
            "gateway_upstream_seconds",
            "Documents asked of upstreams, with all waits and tries: `outcome` is answered, unchanged (304), "
            "not_found, unavailable, not_asked (a limit, the breaker), rejected, refused (by an MCP server), invalid, "
            "version (none that matches), crashed or cancelled",
            *("upstream", "outcome"),
        )
        self.selects = Timings("gateway_select_seconds", "Parsing documents and selecting from them", "tool")
        self.serialises = Timings("gateway_serialise_seconds", "Checking and writing an answer", "tool")
        self.lag = Timings("gateway_loop_lag_seconds", "How much later than it could a task was woken")
        self.restarts = Counts("gateway_service_restarts", "Services that ended and were started again", "service")
        self.connections = Counts(
            "gateway_connections",
            "Connections to MCP: `event` is opened, closed, handed_over (to hypercorn) or timed_out",
            "event",
        )
        self.refusals = Counts(
            "gateway_refusals",
            "Requests over HTTP that were refused before anything ran: `reason` is no_token, unknown_token, "
            "several_tokens or rate_limit, `client` the profile's name of who asked, where it has one",
            *("reason", "client"),
        )
        self.leases = Timings(
            "gateway_shared_load_seconds",
            "Loads of documents under a lease of the shared tier: `outcome` is loaded (here), shared (another instance "
            "has brought it), failed, expired (not waited for any longer) or down (the engine failed meanwhile)",
            "outcome",
        )
        self.shared = Counts(
            "gateway_shared_purges",
            "Purges of all instances: `event` is published (made here), heard (made elsewhere), pending (made here "
            "while the engine was down), caught_up (missed, and applied later), forgot_all (too much was missed, so "
            "everything was purged here) or unreadable (no purge at all)",
            "event",
        )
        self.misses = MissShapes()
        self.actions = Counts("gateway_monitor_actions", "What monitors did about it", "monitor", "action")

    @contextmanager
    def asking(self, upstream: str) -> Iterator[Asked]:
        """Times the block as one question to an upstream, by how it ends, with a span around it."""
        asked, began = Asked(), perf_counter()
        with span("upstream", "client", upstream=upstream) as asking:
            try:
                yield asked
            except GatewayError as error:
                asked.outcome = outcome_of(error)
                raise
            except Exception:
                asked.outcome = "crashed"
                raise
            except BaseException:
                asked.outcome = "cancelled"
                raise
            finally:
                self.upstreams.of(upstream, asked.outcome).record(perf_counter() - began)
                asking.set(outcome=asked.outcome)

    def metrics(self) -> list[Metric]:
        """All families, as they are told."""
        families = (self.requests, self.tiers, self.upstreams, self.selects, self.serialises, self.lag, self.leases)
        counts = (self.shared, self.refusals, self.restarts, self.actions, self.connections)
        return [*(family.metric() for family in families), *(family.metric() for family in counts)]


class Asked:
    """How a question to an upstream ended, if not with an exception."""

    __slots__ = ("outcome",)

    def __init__(self) -> None:
        self.outcome = "answered"


def outcome_of(error: GatewayError) -> str:
    """The word for an upstream's failure."""
    match error:
        case UpstreamNotFound():
            return "not_found"
        case UpstreamNotAsked():
            return "not_asked"
        case UpstreamUnavailable():
            return "unavailable"
        case UpstreamError():
            return type(error).__name__.removeprefix("Upstream").removeprefix("Unknown").lower()
        case _:
            return "failed"
