"""`[alerts]` and `[notifications]`: from where on a number is bad, and who is told."""

from typing import Annotated

from pydantic import Field

from gateway.profile.section import Section
from gateway.profile.units import Duration, Ratio, Size
from gateway.profile.upstreams.urls import QueryUrl


class Alert(Section):
    """When thresholds count; nothing is raised where neither `warning` nor `critical` is set."""

    window: Annotated[Duration, Field(gt=0)] = 60.0
    """How far the number looks back."""
    sustained: Duration = 0.0
    """How long it has to be bad without a break before the alert is raised."""
    hysteresis: Annotated[Ratio, Field(lt=1)] = 0.1
    """By how much of the threshold it has to be better before the alert is cleared."""
    min_requests: Annotated[int, Field(ge=0)] = 20
    """Requests in the window from which on it is judged, where it is a number about requests."""


class DurationAlert(Alert):
    """Thresholds of a duration: at or above them is bad."""

    warning: Annotated[Duration, Field(gt=0)] | None = None
    """Worth a look."""
    critical: Annotated[Duration, Field(gt=0)] | None = None
    """Worth waking someone."""


class SizeAlert(Alert):
    """Thresholds of a size."""

    warning: Annotated[Size, Field(gt=0)] | None = None
    """Worth a look."""
    critical: Annotated[Size, Field(gt=0)] | None = None
    """Worth waking someone."""


class RatioAlert(Alert):
    """Thresholds of a percentage."""

    warning: Annotated[Ratio, Field(gt=0)] | None = None
    """Worth a look."""
    critical: Annotated[Ratio, Field(gt=0)] | None = None
    """Worth waking someone."""


class RateAlert(Alert):
    """Thresholds of a number of requests a second: at or above them is bad."""

    warning: Annotated[int, Field(gt=0)] | None = None
    """Worth a look."""
    critical: Annotated[int, Field(gt=0)] | None = None
    """Worth waking someone."""


class Alerts(Section):
    """`[alerts]`: thresholds; nothing is raised for one that is not set."""

    response_time: DurationAlert = DurationAlert.unset()
    """Of a request, at the 95th percentile; above is bad."""
    hit_rate: RatioAlert = RatioAlert.unset()
    """Of all tiers together, among the requests that can be cached; below is bad."""
    error_rate: RatioAlert = RatioAlert.unset()
    """Failed requests among all; above is bad."""
    throughput: RateAlert = RateAlert.unset()
    """Requests a second that the gateway is meant to carry; above is bad."""
    memory: SizeAlert = SizeAlert.unset()
    """Resident memory; above is bad."""
    cpu: RatioAlert = RatioAlert.unset()
    """Of one core; above is bad."""
    upstream_response_time: DurationAlert = DurationAlert.unset()
    """Of each upstream, with all waits and tries, at the 95th percentile; above is bad."""
    disk: SizeAlert = SizeAlert.unset()
    """What is free where the disk tier's file lies; below is bad."""
    shared: DurationAlert = DurationAlert.unset()
    """How long the engine of `cache.shared` has been out of reach; above is bad."""
    lag: DurationAlert = DurationAlert.unset()
    """The longest that the event loop kept a task waiting; above is bad."""


LOW_IS_BAD = frozenset({"hit_rate", "disk"})
"""The alerts for which a number below the threshold is bad."""


class Webhook(Section):
    """`[notifications.webhook]`: an address that each alert is posted to as JSON."""

    url: QueryUrl
    """Where to."""
    headers: dict[str, str] = {}
    """Sent along; a credential comes from `${credential:NAME}`."""
    timeout: Annotated[Duration, Field(gt=0)] = 10.0
    """For one alert, all tries together."""
    retries: Annotated[int, Field(ge=0, le=10)] = 3
    """How often it is tried again."""


class Command(Section):
    """`[notifications.command]`: a program that is run for each alert, with it as JSON on its stdin."""

    argv: tuple[str, ...] = Field(strict=False, min_length=1)
    """The program and its arguments; no shell reads them."""
    timeout: Annotated[Duration, Field(gt=0)] = 10.0
    """After which it is ended."""


class Notifications(Section):
    """`[notifications]`: who is told beside the log when an alert is raised, changes its severity, or is cleared."""

    webhook: Webhook | None = None
    """An address."""
    command: Command | None = None
    """A program."""
