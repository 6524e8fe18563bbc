"""The admin site: health, metrics, the API of cache, alerts, profiles and diagnosis, and the dashboard."""
