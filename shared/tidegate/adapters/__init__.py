"""What connects the ports to AWS and to SQLite. Imported by `tidegate.runtime` alone."""
