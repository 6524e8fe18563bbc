"""`type = "search"`: ranked full-text search over documents of another upstream, on SQLite's FTS5."""
