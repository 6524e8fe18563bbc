"""Several processes on one port: a supervisor, which serves none of it itself, and workers, which share nothing."""
