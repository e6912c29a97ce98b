"""The operators' console: a web page of static files, which talks to the HTTP API like any other client."""

from .files import File, console_file, is_console

__all__ = ["File", "console_file", "is_console"]
