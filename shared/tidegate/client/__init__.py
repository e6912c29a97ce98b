"""The HTTP client: `Client` for ordinary code, `AsyncClient` for asyncio.

    from tidegate.client import Client

    with Client() as tidegate:
        job = tidegate.submit("extract", {"document": "report.pdf"}, priority="high")
        print(tidegate.wait(job.id, timeout=60).result)

Every error is a `tidegate.domain.errors.TidegateError`, chosen by the `code` of the server's answer.
"""

from tidegate.domain.audit import AuditEntry
from tidegate.domain.audit import Head as AuditHead

from .asynchronous import AsyncClient
from .builder import Dag, Node, Ref
from .definitions import Definition, Delivery, WebhookSecret
from .errors import ServerError, UnexpectedAnswer, Unreachable, WaitTimeout
from .explanation import Gate, Why
from .fields import JobFields, JobFilters, NewJob
from .models import Batch, DagRun, Health, Identity, Job, Page, Progress, Queue, Rejected, Stats
from .operations import Maintained
from .records import Attempt, History, LogLine, StateChange
from .retries import Retries
from .schedule_models import NextRun, Schedule, SchedulePage, ScheduleRun
from .synchronous import Client
from .tokens import NewToken, Token
from .workers import Running, Worker

__all__ = [
    "AsyncClient",
    "Attempt",
    "AuditEntry",
    "AuditHead",
    "Batch",
    "Client",
    "Dag",
    "DagRun",
    "Definition",
    "Delivery",
    "Gate",
    "Health",
    "History",
    "Identity",
    "Job",
    "JobFields",
    "JobFilters",
    "LogLine",
    "Maintained",
    "NewJob",
    "NewToken",
    "NextRun",
    "Node",
    "Page",
    "Progress",
    "Queue",
    "Ref",
    "Rejected",
    "Retries",
    "Running",
    "Schedule",
    "SchedulePage",
    "ScheduleRun",
    "ServerError",
    "StateChange",
    "Stats",
    "Token",
    "UnexpectedAnswer",
    "Unreachable",
    "WaitTimeout",
    "WebhookSecret",
    "Why",
    "Worker",
]
