"""What a plan rests on, read: the report of `gateway load`, and what a gateway says of itself, as it is saved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from gateway.errors import GatewayError
from gateway.tiers.curve import Curve, CurvePoint
from gateway.watch.capacity.model import Measured, Seen, TierSeen, ToolSeen, UpstreamSeen

_ENDS = frozenset({"answered", "unchanged", "not_found", "unavailable", "rejected", "refused", "invalid", "version"})
"""Outcomes of questions to an upstream that it was asked; the others were given up before."""

T = TypeVar("T", bound=BaseModel)
Number = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Latency(_Read):
    p99: Number


class _Tool(_Read):
    requests: Annotated[int, Field(ge=0)]


class _Load(_Read):
    kind: Literal["load"]
    requests_per_second: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    success_rate: Number
    latency: _Latency
    tools: dict[str, _Tool]
    loop: Literal["closed", "open"]
    cut_short: bool


class _Saved(_Read):
    kind: Literal["gateway"]
    seen: dict[str, Any]


def measured_of(content: bytes, name: str) -> Measured:
    """What `gateway load --report` wrote. Raises GatewayError for anything else."""
    load = _checked(_Load, content, name, "a report of gateway load --report")
    whole = sum(tool.requests for tool in load.tools.values()) or 1
    return Measured(
        load.requests_per_second,
        load.latency.p99,
        load.success_rate,
        {tool: about.requests / whole for tool, about in load.tools.items() if about.requests},
        load.loop == "open",
        load.cut_short,
    )


def saved(seen: Seen) -> bytes:
    """What a gateway says of itself, as a file."""
    return orjson.dumps({"kind": "gateway", "seen": asdict(seen)}, option=orjson.OPT_INDENT_2)


def seen_in(content: bytes, name: str) -> Seen:
    """What `saved` wrote. Raises GatewayError for anything else."""
    about = "what gateway capacity --save wrote"
    try:
        return TypeAdapter(Seen).validate_python(_checked(_Saved, content, name, about).seen)
    except ValidationError as error:
        raise GatewayError(f"{name}: expected {about}, found {_fault(error)}") from None


def seen_of(answers: Mapping[str, Any]) -> Seen:
    """From the answers of the admin API: `overview`, `tools`, `curves`, `metrics` and `stats`, by these names."""
    overview, curves, stats = answers["overview"], answers["curves"]["curves"], answers["stats"]["tiers"]
    tools = {tool["name"]: ToolSeen(tool["calls"], tool["hit_rate"]) for tool in answers["tools"]["tools"]}
    tiers = {}
    for name, tier in overview["tiers"].items():
        if not tier["limit"]:
            continue  # the shared tier: as large as its engine, and of all instances
        known = _curve(curves[name]) if name in curves else None
        reads = stats[name]["hits"] + stats[name]["misses"]
        rate = stats[name]["hits"] / reads if reads else None
        size = tier["limit"]
        for point in known.points if known is not None and known.accesses else ():
            if point.factor == 1:
                size, rate = point.size_bytes, point.hit_rate
        tiers[name] = TierSeen(size, tier["entries"], rate, known)
    asked: Counter[str] = Counter()
    for sample in answers["metrics"]["gateway_upstream_seconds"]["samples"]:
        if sample["labels"]["outcome"] in _ENDS:
            asked[sample["labels"]["upstream"]] += sample["count"]
    upstreams = {
        name: UpstreamSeen(asked[name], about["answer_p95"], about["waits"])
        for name, about in overview["upstreams"].items()
    }
    return Seen(overview["uptime"], tools, upstreams, tiers)


def _curve(said: Mapping[str, Any]) -> Curve:
    points = tuple(CurvePoint(point["factor"], point["size"], point["hit_rate"]) for point in said["points"])
    return Curve(points, said["accesses"], said["sampled"], 1.0)


def _checked(model: type[T], content: bytes, name: str, about: str) -> T:
    try:
        return model.model_validate(orjson.loads(content))
    except ValidationError as error:
        raise GatewayError(f"{name}: expected {about}, found {_fault(error)}") from None
    except orjson.JSONDecodeError:
        raise GatewayError(f"{name}: expected {about}, found no JSON") from None


def _fault(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where or 'the whole'}: {first['msg'][:1].lower()}{first['msg'][1:]}"
