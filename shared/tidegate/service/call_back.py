"""Calling back whoever waits for the end of a job with a task token of Step Functions.

The token is kept with the job, so that it costs nothing where there is none. The change feed calls back, at least
once; a token that is used, or whose task timed out, is refused by Step Functions, which means nothing here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tidegate.domain import guarded
from tidegate.domain.change import Change
from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import OPEN, TERMINAL, Job, State
from tidegate.ports import JobKey, Ports

from .payloads import with_payloads

MAX_OUTPUT_BYTES = 250_000
"""Step Functions takes 256 KiB as the output of a task."""
_SUCCEEDED = frozenset({State.COMPLETED, State.SKIPPED})
_ERRORS = {State.FAILED: "JobFailed", State.EXPIRED: "JobExpired", State.CANCELLED: "JobCancelled"}


def check_waiting(ports: Ports, token: str | None) -> None:
    """Raises InvalidInput for a token that this home could not call back with."""
    if token is not None and not ports.supervisors.calls_back:
        raise InvalidInput.field("task_token", "no state machine may wait for jobs here (cdk.json: waiting_machines)")


def call_back(ports: Ports, changes: Sequence[Change]) -> None:
    """Tell those who wait for jobs that ended by these changes. Raises Unavailable."""
    ended = {
        JobKey(change.tenant, change.job_id)
        for change in changes
        if change.awaited and change.state in TERMINAL and change.old_state not in TERMINAL
    }
    if ended:
        for job in ports.jobs.get(sorted(ended)):
            if job is not None:
                tell(ports, job)


def wait_instead(ports: Ports, job: Job, token: str) -> Job:
    """The same job was asked for with another token: its task was repeated, and the old token is worth nothing."""
    (outcome,) = ports.jobs.apply([guarded.wait_with_if_open(job, token)])
    if outcome.applied and outcome.job is not None:
        return outcome.job
    if outcome.job is not None and outcome.job.state not in OPEN:
        _tell(ports, outcome.job, token)
    return outcome.job or job


def tell(ports: Ports, job: Job) -> None:
    """Tell who waits for a job how it ended; nothing while it goes on."""
    if job.task_token is not None and job.state in TERMINAL:
        _tell(ports, job, job.task_token)


def _tell(ports: Ports, job: Job, token: str) -> None:
    if job.state in _SUCCEEDED:
        ports.supervisors.tell(token, _output(with_payloads(ports.blobs, job)))
        return
    why = {"error_type": job.error_type, "error_message": job.error_message, "reason": job.reason}
    cause = {"job_id": job.id, "state": job.state, **{name: text for name, text in why.items() if text is not None}}
    ports.supervisors.fail(token, _ERRORS[job.state], json.dumps(cause))


def _output(job: Job) -> dict[str, Any]:
    """What the task comes to; a result that is too large for Step Functions is left to `GET /jobs/{id}`."""
    output = {"job_id": job.id, "state": job.state.value, "result": job.result}
    if len(json.dumps(output)) > MAX_OUTPUT_BYTES:
        return {**output, "result": None, "result_left_out": True}
    return output
