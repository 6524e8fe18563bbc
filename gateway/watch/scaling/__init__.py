"""Limits that load moves: what can be moved, how loaded it is, what is decided, and who does it."""
