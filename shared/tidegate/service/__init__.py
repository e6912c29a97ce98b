"""The use cases, one per file, each over the ports."""
