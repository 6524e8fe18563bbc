"""Modules that are imported while a gateway serves, for the first who needs them."""

from __future__ import annotations

import gc
import importlib
import sys
from types import ModuleType

import trio


async def imported(name: str) -> ModuleType:
    """The module, imported in a thread, which goes on when this is cancelled. Raises what the import raises."""
    known = name in sys.modules
    module = await trio.to_thread.run_sync(importlib.import_module, name, abandon_on_cancel=True)
    if not known:
        gc.freeze()  # it stays: requests don't wait while garbage is looked for in it
    return module
