"""OpenAPI 3.0 and 3.1 to tools: https://spec.openapis.org/oas/v3.1.1."""
