"""Benchmarks of the gateway: what its parts cost on this machine, and whether that has become more than it was."""
