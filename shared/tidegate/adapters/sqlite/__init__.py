"""The embedded home: every port on one SQLite file, blobs in a folder beside it."""
