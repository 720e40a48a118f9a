"""Observers that come with the core: `observers = ["logging", "otel"]` in gen302.toml."""
