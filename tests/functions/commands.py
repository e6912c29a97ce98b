"""The shape of a command line under test."""

from __future__ import annotations

from collections.abc import Callable

Run = Callable[..., tuple[int, str, str]]
"""Arguments to exit code, standard output and standard error."""
