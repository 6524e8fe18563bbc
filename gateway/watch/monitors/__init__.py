"""Monitors: services that look at one thing about the gateway's own health, and do something about it."""
