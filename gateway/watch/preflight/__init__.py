"""The list that is gone through before a release: each point passes, is a warning, or fails."""
