"""What the system lets the process have, whatever the profile says."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

_CGROUP = Path("/proc/self/cgroup")
_MOUNT = Path("/sys/fs/cgroup")


def allowed_memory(cgroup: Path = _CGROUP, mount: Path = _MOUNT, *, workers: int = 1) -> int | None:
    """Bytes beyond which the kernel would end the process: the least `memory.max` of its cgroup and those above it.

    That is systemd's `MemoryMax=` and a container's limit. None where there is none, or where it can't be told: without
    version 2 of control groups (Linux, Documentation/admin-guide/cgroup-v2.rst). Several `workers` share it evenly.
    """
    try:
        lines = cgroup.read_text().splitlines()
    except OSError:
        return None
    own = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), None)
    if own is None:
        return None
    path = PurePosixPath(own.lstrip("/"))
    limits = [_limit(mount / each / "memory.max") for each in (path, *path.parents)]
    least = min((limit for limit in limits if limit is not None), default=None)
    return None if least is None else least // workers


def _limit(file: Path) -> int | None:
    try:
        said = file.read_text().strip()
    except OSError:  # the root has no limit, and a container may not see what is above it
        return None
    return int(said) if said.isdigit() else None
