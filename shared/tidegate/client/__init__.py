"""The HTTP client: `Client` for ordinary code, `AsyncClient` for asyncio.

    from tidegate.client import Client

    with Client() as tidegate:
        job = tidegate.submit("extract", {"document": "report.pdf"}, priority="high")
        print(tidegate.wait(job.id, timeout=60).result)

Every error is a `tidegate.domain.errors.TidegateError`, chosen by the `code` of the server's answer.
"""

from .asynchronous import AsyncClient
from .errors import ServerError, UnexpectedAnswer, Unreachable, WaitTimeout
from .fields import JobFields, JobFilters, NewJob
from .models import Batch, Health, Job, Page, Progress, Queue, Rejected, Stats
from .retries import Retries
from .synchronous import Client
from .workers import Running, Worker

__all__ = [
    "AsyncClient",
    "Batch",
    "Client",
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
    "Running",
    "ServerError",
    "Stats",
    "UnexpectedAnswer",
    "Unreachable",
    "WaitTimeout",
    "Worker",
]
