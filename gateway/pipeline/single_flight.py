"""One load at a time for each key, however many callers wait for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

import trio

from gateway.errors import GatewayError

T = TypeVar("T")


class _Flight(Generic[T]):
    """A load under way, and how it ended: with a value, with an error, or (both unset) cancelled."""

    __slots__ = ("done", "error", "value")

    def __init__(self) -> None:
        self.done = trio.Event()
        self.value: list[T] = []
        self.error: Exception | None = None

    def landed(self) -> T:
        """The value; raises the error, and GatewayError where it was cancelled."""
        if self.error is not None:
            # Without this, each of many waiters would append its frames to the one traceback they share.
            raise self.error.with_traceback(None)
        if not self.value:
            raise GatewayError("the gateway is closing")
        return self.value[0]


class SingleFlight(Generic[T]):
    """Joins equal loads: the first caller of a key starts the load, later ones wait for the same one.

    A load runs in `nursery`, not in its caller's scope: a caller that is cancelled stops waiting and takes nothing
    away from the others, and the load runs to its end even when nobody waits any more, so that the cache gets it.
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._flights: dict[Hashable, _Flight[T]] = {}

    def __len__(self) -> int:
        """How many loads are under way."""
        return len(self._flights)

    async def wait_landed(self) -> None:
        """Wait until every load that is under way now has ended, however it ends."""
        for flight in list(self._flights.values()):
            await flight.done.wait()

    def start(self, key: Hashable, load: Callable[[], Awaitable[T]]) -> bool:
        """Start the load of `key` without waiting, unless one is under way; tells whether it was started.

        Its exception is lost unless a later `run` of the same key joins it: such a load reports its own failures.
        """
        if key in self._flights:
            return False
        self._take_off(key, load)
        return True

    async def run(self, key: Hashable, load: Callable[[], Awaitable[T]]) -> T:
        """The result of the load of `key`: of the one under way, else of `load`, which is started.

        Raises what the load raises, and GatewayError when the load was cut off because the gateway closes.
        """
        flight = self._flights.get(key) or self._take_off(key, load)
        await flight.done.wait()
        return flight.landed()

    async def run_here(self, key: Hashable, load: Callable[[], Awaitable[T]]) -> T:
        """As `run`, for a caller whom nothing cancels but the end of the nursery: its load needs no task of its own."""
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight()
            await self._fly(key, flight, load)
        else:
            await flight.done.wait()
        return flight.landed()

    def _take_off(self, key: Hashable, load: Callable[[], Awaitable[T]]) -> _Flight[T]:
        flight: _Flight[T] = _Flight()
        self._flights[key] = flight
        self._nursery.start_soon(self._fly, key, flight, load, name=f"load {key!r:.80}")
        return flight

    async def _fly(self, key: Hashable, flight: _Flight[T], load: Callable[[], Awaitable[T]]) -> None:
        try:
            flight.value.append(await load())
        except Exception as error:  # it belongs to the waiters; here it would end every other load with it
            flight.error = error
        finally:
            del self._flights[key]
            flight.done.set()
