"""The command line: `gateway COMMAND`, or `python -m gateway COMMAND`."""

from __future__ import annotations

import errno
import gc
import io
import os
import signal
import sys
from pathlib import Path

# What is interrupted while it is imported has nothing to end well, and nothing to say. It may be ignored, too: by `&`.
_INTERRUPTIBLE = signal.getsignal(signal.SIGINT) is signal.default_int_handler
if _INTERRUPTIBLE:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

# Nearly all that is made until the event loop runs stays: to look for garbage in it, again and again, finds none.
gc.disable()

# pydantic looks through all that is installed for plugins, of which there are none for it here.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

from gateway.cli.exits import INTERRUPTED, report  # noqa: E402  # after what has to be first
from gateway.cli.plain import plain_command  # noqa: E402
from gateway.errors import GatewayError, StartError  # noqa: E402

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def _check_surroundings() -> None:
    """Raise StartError where a process can't do with what it was started in."""
    if sys.stdout is None or sys.stderr is None:
        # The next files and sockets would get their numbers, and be written into.
        raise StartError("stdout and stderr have to be open; /dev/null will do")
    try:
        Path.cwd()
    except OSError as error:
        raise StartError(f"the working directory can't be used: {error.strerror}") from error


def _write_utf8() -> None:
    """Make stdout UTF-8 whatever the locale is: JSON and TOML are; names of files that are not come out escaped."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")


def _run_command() -> int:
    from gateway.cli.app import run_command  # it takes a while to import, and an agent waits

    return run_command()


def main() -> None:
    """Run the command that the process's arguments name, and exit with its code."""
    if _INTERRUPTIBLE:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        _check_surroundings()
        _write_utf8()
        command = plain_command(sys.argv[1:], os.environ) or _run_command
        code = command()
        sys.stdout.flush()
    except GatewayError as error:
        code = report(error)
    except BrokenPipeError:
        # Who read our output has seen enough. Python would complain when it flushes the rest at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 1
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        code = report(StartError(f"can't write the output: {error.strerror}"))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


if __name__ == "__main__":
    main()
