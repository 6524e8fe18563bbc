"""Where entries are kept: memory, disk."""
