"""Ports that are imported when they are first used: most functions never touch them, and each delays a cold start."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

P = TypeVar("P")


def late(open_port: Callable[[], P]) -> P:
    """What `open_port` answers, asked for when it is first used."""
    return cast("P", _Late(open_port))


class _Late(Generic[P]):
    def __init__(self, open_port: Callable[[], P]) -> None:
        self._open = open_port

    @cached_property
    def _port(self) -> P:
        return self._open()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)
