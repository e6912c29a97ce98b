"""The embedded home: HTTP server, workers, clock and change feed on one machine."""
