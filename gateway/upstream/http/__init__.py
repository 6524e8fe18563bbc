"""`type = "http"`: documents of HTTP APIs and file servers, one module a concern."""
