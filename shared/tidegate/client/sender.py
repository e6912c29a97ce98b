"""What the groups of a client's methods are built on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeVar

from .calls import Call

T = TypeVar("T")


class Sender(ABC):
    """Sends calls, and repeats them as far as that is safe."""

    @abstractmethod
    def _run(self, call: Call[T]) -> T:
        """What the server answers to the call."""


class AsyncSender(ABC):
    """See `Sender`."""

    @abstractmethod
    async def _run(self, call: Call[T]) -> T:
        """What the server answers to the call."""
