"""The command line: `gateway COMMAND`, or `python -m gateway COMMAND`."""

from __future__ import annotations

import sys

from cyclopts import App

from gateway import __version__
from gateway.cli.call import call
from gateway.cli.check import check
from gateway.cli.run import report
from gateway.cli.schema import schema
from gateway.cli.serve import serve
from gateway.cli.show import show
from gateway.cli.stdio import stdio
from gateway.errors import GatewayError

app = App(
    name="gateway",
    help="A declarative gateway between AI agents (MCP) and the APIs they read, tuned by TOML alone.",
    version=__version__,
    result_action="return_value",
)
app.default(serve)
for command in (serve, stdio, call, check, show, schema):
    app.command(command)


def main() -> None:
    """Run the command that the process's arguments name, and exit with its code."""
    try:
        code = app()
    except GatewayError as error:
        code = report(error)
    sys.exit(code)


if __name__ == "__main__":
    main()
