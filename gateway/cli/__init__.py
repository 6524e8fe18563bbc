"""The commands: the only home of trio.run, print and exit codes."""
