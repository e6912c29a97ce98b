"""The embedded home: HTTP server, workers, clock and change feed on one machine."""

from .serve import ServeOptions, serve

__all__ = ["ServeOptions", "serve"]
