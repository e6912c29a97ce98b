"""Tidegate: a serverless job scheduler for your own AWS account, or for one SQLite file.

What handlers need is here: `executor`, `JobContext`, `PermanentError`, `InvalidDataError`, `HandlerError`.
`request_id` names what is asked for. The HTTP client is `Client` (and `AsyncClient`).
"""

from typing import TYPE_CHECKING, Any

from tidegate.execution.context import HandlerError, InvalidDataError, JobContext, PermanentError
from tidegate.execution.correlating import request_id
from tidegate.execution.registry import executor

if TYPE_CHECKING:
    from tidegate.client import AsyncClient, Client, Dag

__all__ = [
    "AsyncClient",
    "Client",
    "Dag",
    "HandlerError",
    "InvalidDataError",
    "JobContext",
    "PermanentError",
    "executor",
    "request_id",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load the clients when they are first asked for: a worker never pays for their imports."""
    if name in {"AsyncClient", "Client", "Dag"}:
        from tidegate import client

        return getattr(client, name)
    raise AttributeError(f"module 'tidegate' has no attribute '{name}'")
