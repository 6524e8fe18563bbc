"""HTTP/1.1 on plain sockets, in front of hypercorn: what is fully recognised is answered here, the rest handed on."""
