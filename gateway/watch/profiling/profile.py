"""What a profile is, once it was recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.watch.profiling.stacks import Stack

if TYPE_CHECKING:
    from gateway.watch.profiling.flame import Theme

# What draws is imported once there is something to draw: a gateway over stdio starts with its agent.

_TOP = 10
"""Functions that a summary names."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A profile in a few numbers."""

    seconds: float
    """For how long was looked."""
    cpu: float
    """Seconds of processor time that the process used meanwhile, all threads together."""
    interval: float
    """Seconds of processor time between two looks, on average."""
    samples: int
    """Looks at all threads."""
    busy: int
    """Stacks of threads that did something."""
    idle: int
    """Stacks of threads that waited."""
    left_out: int
    """Stacks that were seen and not kept, since there were too many different ones."""
    overhead: float
    """From 0 to 1: the part of the processor time that looking took."""
    top: tuple[tuple[str, float], ...]
    """The functions in which most of the time was spent themselves, each with its part of the busy stacks."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What the threads of the gateway were doing: each stack, outermost frame first after the thread's name."""

    stacks: Mapping[Stack, int]
    seconds: float
    cpu: float
    interval: float
    samples: int
    idle: int
    left_out: int
    overhead: float

    @property
    def summary(self) -> Summary:
        """The profile in a few numbers."""
        total = sum(self.stacks.values())
        functions: Counter[str] = Counter()
        for stack, count in self.stacks.items():
            functions[stack[-1]] += count
        top = tuple((name, count / total) for name, count in functions.most_common(_TOP))
        return Summary(
            seconds=self.seconds,
            cpu=self.cpu,
            interval=self.interval,
            samples=self.samples,
            busy=total,
            idle=self.idle,
            left_out=self.left_out,
            overhead=self.overhead,
            top=top,
        )

    def collapsed(self) -> str:
        """A line for each stack, `thread;outer;inner COUNT`, as flamegraph.pl, inferno and speedscope read it."""
        return "".join(f"{';'.join(map(_one_line, stack))} {count}\n" for stack, count in self.stacks.items())

    def speedscope(self) -> bytes:
        """JSON to open in speedscope."""
        from gateway.watch.profiling.speedscope import speedscope

        return speedscope(self.stacks, self.interval)

    def flame_svg(self, theme: Theme = "auto") -> bytes:
        """An image for a browser, also inside `<img>`: see `gateway.watch.profiling.flame`."""
        from gateway.watch.profiling.flame import flame_svg

        stacks, pace = sum(self.stacks.values()), self.interval * 1000
        note = f"{self.cpu:.2f} s of processor time in {self.seconds:.1f} s: {stacks} stacks, every {pace:.1f} ms"
        if self.left_out:
            note += f", {self.left_out} left out"
        return flame_svg(self.stacks, note, theme)


def _one_line(name: str) -> str:
    return " ".join(name.replace(";", ",").split())
