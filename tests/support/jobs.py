"""Jobs to test with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tidegate.domain.job import ErrorType, Failure, HardMiss, Job, Progress, Sla, State, UniquePolicy
from tidegate.domain.priority import Ordering, rank_of

from .clock import START_MS


def make_job(job_id: str, **changes: Any) -> Job:
    """A waiting job of tenant `acme` in queue `mail`, ready at once unless told otherwise."""
    created_at = changes.pop("created_at", START_MS)
    priority = changes.pop("priority", 5)
    job = Job(
        id=job_id,
        tenant="acme",
        owner="ann",
        name="send",
        queue="mail",
        pool="default",
        state=State.CREATED,
        priority=priority,
        rank=rank_of(Ordering.STRICT, priority=priority, created_at=created_at),
        created_at=created_at,
        updated_at=created_at,
        timeout=300.0,
        retry_limit=3,
        retry_delay=2.0,
        retry_backoff=True,
        retry_delay_max=3600.0,
        retry_jitter=False,
        attempts_allowed=4,
    )
    return replace(job, **changes)


FULL: Mapping[str, Any] = {
    "data": {"text": "grüße 🌊", "list": [1, 2.5, None, True, ""], "": {"a.b": "#"}},
    "data_ref": "acme/blob",
    "tags": ("z", "a", "z"),
    "metadata": {"a.b": "1", "#n0": "", ":v0": "x y"},
    "fingerprint": "f" * 32,
    "start_after": START_MS + 1,
    "wake_at": START_MS + 2,
    "expires_at": START_MS + 3,
    "keep_until": START_MS + 4_000,
    "keep_seconds": 86_400.5,
    "soft_sla": START_MS + 5,
    "hard_sla": START_MS + 6,
    "on_hard_miss": HardMiss.FAIL,
    "sla": Sla.SOFT_MISSED,
    "timeout": 0.1,
    "retry_delay": 1e-7,
    "retry_delay_max": 12345.678901234567,
    "retry_jitter": True,
    "attempt": 2,
    "started_at": START_MS + 7,
    "completed_at": START_MS + 8,
    "lease_until": START_MS + 9,
    "worker_id": "host:1:abc",
    "cancel_requested": True,
    "progress": Progress(0.25, "a quarter"),
    "result": False,
    "result_ref": "acme/result",
    "error_type": ErrorType.TIMEOUT,
    "error_message": "it took too long",
    "failures": (Failure(1, "w", START_MS, START_MS + 1, ErrorType.AGENT, "ouch"),),
    "reason": "because",
    "dag_id": "run-1",
    "node": "a",
    "dependencies": ("b", "c"),
    "blocked": True,
    "broken": True,
    "definition": "extract@3",
    "webhook": {"url": "https://example.com/hook", "events": ["job.failed"]},
    "concurrency_key": "customer #7",
    "unique_key": "invoice/7",
    "policy": UniquePolicy.ALLOW_ALL,
    "timeout_retry_limit": 0,
    "timeouts": 1,
    "slot": "qk.1.ff.x",
    "claim_token": "1f",
    "counted": True,
    "task_token": "AAAAKgAAAAIAAAAA",
    "cost": 4_000,
    "second_cost": 6_667,
    "correlation_id": "order-4711",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
}
"""A value for every field that has a default, none of them the default."""
