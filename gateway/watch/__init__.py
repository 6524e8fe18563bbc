"""Services that look after a running gateway."""
