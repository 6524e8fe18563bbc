"""Where the gateway's processor time goes: stacks for a while on request, and its share of a core all the time.

`stacks` counts what a thread was doing, `sampler` is what looks, `profile` what comes of it, `speedscope`
and `flame` how it is shown, `profiler` what the rest of the gateway asks, and `cpu` the samples that are always taken.

Sampling is done from within: a sampler from outside (py-spy, austin) needs ptrace, which the hardened systemd unit
denies, and pyinstrument follows one thread through every call, where this looks at all of them now and then.
"""

from __future__ import annotations

from gateway.watch.profiling.cpu import CpuSamples, CpuUsage
from gateway.watch.profiling.profile import Profile, Summary
from gateway.watch.profiling.profiler import ProfilerBusy, ProfilerRange, ProfilerUnavailable, StackProfiler

__all__ = [
    "CpuSamples",
    "CpuUsage",
    "Profile",
    "ProfilerBusy",
    "ProfilerRange",
    "ProfilerUnavailable",
    "StackProfiler",
    "Summary",
]
