"""How many instances, how much cache and what quota of upstreams a load takes: arithmetic on what was measured."""
