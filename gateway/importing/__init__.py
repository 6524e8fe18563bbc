"""From what others publish about an API to a catalogue in TOML that a person reviews and keeps."""
