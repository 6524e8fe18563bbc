"""The tier that several instances share, in a Valkey or Redis: read `tier.py` first, then `purging.py`."""
