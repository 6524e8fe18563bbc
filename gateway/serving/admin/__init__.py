"""The admin site: health now; metrics, dashboard and cache administration later."""
