"""The profile: TOML in, frozen values out. Pure data: no trio, no sockets."""
