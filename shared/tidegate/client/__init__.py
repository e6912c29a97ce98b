"""The HTTP client: `Client` for ordinary code, `AsyncClient` for asyncio.

    from tidegate.client import Client

    with Client() as tidegate:
        job = tidegate.submit("extract", {"document": "report.pdf"}, priority="high")
        print(tidegate.wait(job.id, timeout=60).result)

Every error is a `tidegate.domain.errors.TidegateError`, chosen by the `code` of the server's answer.
"""

from .asynchronous import AsyncClient
from .definitions import Definition, Delivery, WebhookSecret
from .errors import ServerError, UnexpectedAnswer, Unreachable, WaitTimeout
from .fields import JobFields, JobFilters, NewJob
from .models import Batch, Health, Job, Page, Progress, Queue, Rejected, Stats
from .retries import Retries
from .synchronous import Client

__all__ = [
    "AsyncClient",
    "Batch",
    "Client",
    "Definition",
    "Delivery",
    "Health",
    "Job",
    "JobFields",
    "JobFilters",
    "NewJob",
    "Page",
    "Progress",
    "Queue",
    "Rejected",
    "Retries",
    "ServerError",
    "Stats",
    "UnexpectedAnswer",
    "Unreachable",
    "WaitTimeout",
    "WebhookSecret",
]
