"""What the API answers, as models for its description; the routes themselves never import them."""

from __future__ import annotations

from . import (
    base,
    costs,
    dags,
    definitions,
    events,
    jobs,
    operations,
    pipeline,
    queues,
    records,
    schedules,
    security,
    stats,
    webhooks,
    workers,
)
from .base import Table

_MODULES = (
    base,
    costs,
    dags,
    definitions,
    events,
    jobs,
    operations,
    pipeline,
    queues,
    records,
    schedules,
    security,
    stats,
    webhooks,
    workers,
)
ANSWERS: Table = {operation: answers for module in _MODULES for operation, answers in module.ANSWERS.items()}
