"""Alerts: numbers of the last samples against the profile's thresholds, and who is told."""
