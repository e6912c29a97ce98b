"""Tidegate: a serverless job scheduler for your own AWS account, or for one SQLite file.

What handlers need is here: `executor`, `JobContext`, `PermanentError`, `InvalidDataError`, `HandlerError`.
`request_id` names what is asked for. The HTTP client is `Client` (and `AsyncClient`).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidegate.client import AsyncClient, Client, Dag
    from tidegate.execution.context import HandlerError, InvalidDataError, JobContext, PermanentError
    from tidegate.execution.correlating import request_id
    from tidegate.execution.registry import executor

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
_MODULES = {
    **dict.fromkeys(("AsyncClient", "Client", "Dag"), "tidegate.client"),
    **dict.fromkeys(("HandlerError", "InvalidDataError", "JobContext", "PermanentError"), "tidegate.execution.context"),
    "executor": "tidegate.execution.registry",
    "request_id": "tidegate.execution.correlating",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is: a worker never pays for the clients, nor the API for what runs handlers."""
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'tidegate' has no attribute '{name}'")
