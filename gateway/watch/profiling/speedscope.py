"""Stacks in speedscope's file format (`src/lib/file-format-spec.ts` of github.com/jlfwong/speedscope)."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from gateway.watch.profiling.stacks import Stack

_SCHEMA = "https://www.speedscope.app/file-format-schema.json"
"""The format's name, which readers look for; it is not fetched."""


def speedscope(stacks: Mapping[Stack, int], interval: float) -> bytes:
    """A file with a profile for each thread, the busiest first; a stack weighs as many seconds as it was seen for."""
    frames: dict[str, int] = {}
    threads: dict[str, tuple[list[list[int]], list[float]]] = {}
    for (thread, *labels), count in stacks.items():
        samples, weights = threads.setdefault(thread, ([], []))
        samples.append([frames.setdefault(label, len(frames)) for label in labels])
        weights.append(count * interval)
    profiles = [
        {
            "type": "sampled",
            "name": thread,
            "unit": "seconds",
            "startValue": 0,
            "endValue": sum(weights),
            "samples": samples,
            "weights": weights,
        }
        for thread, (samples, weights) in sorted(threads.items(), key=lambda item: -sum(item[1][1]))
    ]
    return orjson.dumps(
        {
            "$schema": _SCHEMA,
            "name": "gateway",
            "exporter": "gateway",
            "activeProfileIndex": 0 if profiles else None,
            "shared": {"frames": [_frame(label) for label in frames]},
            "profiles": profiles,
        }
        if profiles
        else {"$schema": _SCHEMA, "name": "gateway", "exporter": "gateway", "shared": {"frames": []}, "profiles": []}
    )


def _frame(label: str) -> dict[str, str | int]:
    name, opened, place = label.rpartition(" (")
    file, colon, line = place.removesuffix(")").rpartition(":")
    if not (opened and colon and line.isdecimal()):
        return {"name": label}
    return {"name": name, "file": file, "line": int(line)}
