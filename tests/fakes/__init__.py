"""Stand-ins for what is outside the gateway: servers on real sockets, and a tier in a dictionary."""
