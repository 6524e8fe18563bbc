"""The commands by their names, and what to say about a command line that names none."""

from __future__ import annotations

import sys

from cyclopts import App, CycloptsError, UnusedCliTokensError

from gateway import __version__
from gateway.cli.exits import MISUSED
from gateway.cli.serve import serve
from gateway.cli.stdio import stdio
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
for command in (serve, stdio):
    app.command(command)
_OTHERS = {
    "call": ("gateway.cli.call:call", "Call a tool once and print its result as JSON."),
    "check": ("gateway.cli.check:check", "Check a profile without starting anything."),
    "show": (
        "gateway.cli.show:show",
        "Print a profile with all that it extends, all overrides and defaults, as TOML.",
    ),
    "diff": ("gateway.cli.diff:diff", "Print what two profiles mean otherwise, and what a reload would cost."),
    "reload": ("gateway.cli.reload:reload", "Let a running gateway reload its profile."),
    "schema": ("gateway.cli.schema:schema", "Print the JSON Schema of a profile."),
    "cache": ("gateway.cli.cache:cache", "Look into the cache, purge it, warm it, check it, take it along."),
    "import": (
        "gateway.cli.importing:importing",
        "Write a catalogue out of an OpenAPI document or an MCP server.",
    ),
    "pins": (
        "gateway.cli.pins:pins",
        "Look at the definitions of MCP servers as they were accepted, and accept what has changed.",
    ),
    "diagnose": ("gateway.cli.diagnose:diagnose", "Say what costs in a running gateway, and what to change."),
    "top": ("gateway.cli.top:top", "Show how a running gateway does, in the terminal."),
    "profile-cpu": ("gateway.cli.profile_cpu:profile_cpu", "Record what a running gateway spends its time on."),
    "soak": ("gateway.cli.soak:soak", "Put load on a running gateway and see whether anything grows."),
    "load": ("gateway.cli.load:load", "Put load on an MCP server and see how well it answers."),
    "capacity": (
        "gateway.cli.capacity:capacity",
        "Say how many instances, how much cache and what quota of upstreams a load takes.",
    ),
    "bench": ("gateway.cli.bench:bench", "Measure what the gateway's parts cost here, and whether it is more now."),
    "report": ("gateway.cli.report:report", "Write how a running gateway does into one HTML file."),
    "grafana": ("gateway.cli.grafana:grafana", "Print a dashboard for Grafana."),
}
"""Commands that are imported when they are called: an agent that starts the gateway waits for all that is imported."""
for name, (target, about) in _OTHERS.items():
    app.command(target, name=name, help=about)
COMMANDS = ("serve", "stdio", *_OTHERS)


def run_command() -> int:
    """Run the command that the process's arguments name; its exit code."""
    try:
        code: int = app()
    except CycloptsError as error:
        sys.stderr.write(usage(error))
        return MISUSED
    return code
