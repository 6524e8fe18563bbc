"""Stands in for a command: its stdin and stdout are a connection to PORT. Run as a script, with nothing but Python."""

from __future__ import annotations

import os
import socket
import sys
import threading


def relay(port: int) -> None:
    """Carry both directions until one ends; then all has ended."""
    connection = socket.create_connection(("127.0.0.1", port))

    def up() -> None:
        while data := os.read(0, 65536):
            connection.sendall(data)
        os._exit(0)

    threading.Thread(target=up, daemon=True).start()
    while data := connection.recv(65536):
        os.write(1, data)
    os._exit(0)


if __name__ == "__main__":
    try:
        relay(int(sys.argv[1]))
    except OSError:
        os._exit(1)
