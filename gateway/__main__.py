"""The command line: `gateway COMMAND`, or `python -m gateway COMMAND`."""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path

from cyclopts import App, CycloptsError, UnusedCliTokensError

from gateway import __version__
from gateway.cli.call import call
from gateway.cli.check import check
from gateway.cli.run import INTERRUPTED, MISUSED, report
from gateway.cli.schema import schema
from gateway.cli.serve import serve
from gateway.cli.show import show
from gateway.cli.stdio import stdio
from gateway.errors import GatewayError, StartError
from gateway.profile.faults import did_you_mean


def usage(error: CycloptsError) -> str:
    """What is wrong with the arguments, in one line."""
    sentence = str(error).rstrip(".")
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        word = error.unused_tokens[0]
        expected = "argument" if error.command_chain else "command"
        likely = None if error.command_chain else did_you_mean(word, COMMANDS)
        sentence = f"unknown {expected} {word!r}" + (f", did you mean {likely}?" if likely else "")
    where = " ".join(["gateway", *(error.command_chain or ()), "--help"])
    return f"gateway: {sentence}; see {where}\n"


app = App(
    name="gateway",
    help="A declarative gateway between AI agents (MCP) and the APIs they read, tuned by TOML alone.",
    version=__version__,
    result_action="return_value",
    print_error=False,
    exit_on_error=False,
)
app.default(serve)
for command in (serve, stdio, call, check, show, schema):
    app.command(command)
# Imported when it is called: it brings an HTTP client along.
app.command(
    "gateway.cli.cache:cache", name="cache", help="Look into the cache, purge it, warm it, check it, take it along."
)
app.command(
    "gateway.cli.importing:importing",
    name="import",
    help="Write a catalogue in TOML out of an OpenAPI document or an MCP server.",
)
app.command(
    "gateway.cli.pins:pins",
    name="pins",
    help="Look at the definitions of MCP servers as they were accepted, and accept what has changed.",
)
app.command(
    "gateway.cli.diagnose:diagnose", name="diagnose", help="Say what costs in a running gateway, and what to change."
)
app.command("gateway.cli.top:top", name="top", help="Show how a running gateway does, in the terminal.")
app.command(
    "gateway.cli.profile_cpu:profile_cpu", name="profile-cpu", help="Record what a running gateway spends its time on."
)
app.command("gateway.cli.soak:soak", name="soak", help="Put load on a running gateway and see whether anything grows.")
app.command("gateway.cli.load:load", name="load", help="Put load on an MCP server and see how well it answers.")
app.command(
    "gateway.cli.bench:bench",
    name="bench",
    help="Measure what the gateway's parts cost here, and whether it is more now.",
)
app.command("gateway.cli.report:report", name="report", help="Write how a running gateway does into one HTML file.")
app.command("gateway.cli.grafana:grafana", name="grafana", help="Print a dashboard for Grafana.")
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
COMMANDS = (
    "serve",
    "stdio",
    "call",
    "check",
    "show",
    "schema",
    "cache",
    "import",
    "pins",
    "diagnose",
    "top",
    "profile-cpu",
    "soak",
    "load",
    "bench",
    "report",
    "grafana",
)


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


def main() -> None:
    """Run the command that the process's arguments name, and exit with its code."""
    try:
        _check_surroundings()
        _write_utf8()
        code = app()
        sys.stdout.flush()
    except CycloptsError as error:
        sys.stderr.write(usage(error))
        code = MISUSED
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
