"""As a service of systemd: what it is told, how it sees that the gateway answers, and the sockets that it passes."""
