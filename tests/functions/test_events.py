"""Every sample in `events/` is answered by its function as it is documented to be."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from gateway import EVENTS, MORNING, read, sample
from tidegate_functions.api.answers import ANSWERS

from home import Home
from tidegate import runtime
from tidegate.domain.caller import Caller
from tidegate.domain.dag.run import GATHER
from tidegate.domain.dag.spec import DagSpec, NodeSpec
from tidegate.domain.iam import iam_callers_from
from tidegate.domain.job import State
from tidegate.domain.queue import Queue
from tidegate.domain.schedule import JobTemplate
from tidegate.domain.spec import JobSpec
from tidegate.local.functions import Context
from tidegate.ports import Held, Token, Worker
from tidegate.service.claim_lanes import Wanted, claim_of_tenant
from tidegate.service.control import cancel
from tidegate.service.definitions import put_definition
from tidegate.service.runs import cancel_run, submit_dag
from tidegate.service.schedules import create_schedule
from tidegate.service.submit import submit, submit_one
from tidegate.service.workers import report

ADA = Caller("main", "ada", frozenset({"submit", "read", "operate"}))
WORKER = Caller("main", "gpu-box", frozenset({"work"}))
ETL = {"principal": "arn:aws:iam::123456789012:role/etl", "tenant": "main", "user": "ada", "scopes": ["read"]}
JOB, RUN = "report-2026-01", "019c1b58-2d80-7000-8000-000000000002"
Prepare = Callable[[Home], object]
Check = Callable[[Any, Home], None]


def submitted(home: Home) -> None:
    submit_one(home.ports, ADA, JobSpec(name="extract", job_id=JOB, priority=8, data={"document": "x"}))


def ended(home: Home) -> None:
    submitted(home)
    cancel(home.ports, ADA, JOB)


def claimed(home: Home) -> None:
    """The job runs, as a worker over HTTPS has claimed it."""
    submitted(home)
    wanted = Wanted(worker_id="gpu-box-0", pool="default", lease_seconds=10)
    assert claim_of_tenant(home.ports, WORKER, wanted, 1)


def gather_claimed(home: Home) -> None:
    """A job that gathers the results of no entries runs."""
    data = {"for_each": {"entries": 0}, "entries": 0}
    submit(home.ports, ADA, [JobSpec(name=GATHER, job_id=JOB, data=data)], internal=True)
    assert claim_of_tenant(home.ports, WORKER, Wanted(worker_id="w", pool="default", lease_seconds=10), 1)


def worker_seen(home: Home) -> None:
    claimed(home)
    report(
        home.ports,
        WORKER,
        Worker(
            id="gpu-box-0",
            kind="http",
            pool="default",
            started_at=MORNING,
            seen_at=MORNING,
            running=(Held("main", JOB, 1),),
        ),
    )


def queue_made(home: Home) -> None:
    home.ports.queues.put_if_unchanged(Queue(tenant="main", name="reports"), None)


def defined(home: Home) -> None:
    put_definition(home.ports, ADA, "extract", schema={"type": "object"}, job={"priority": 8}, description="")


def schedule_made(home: Home) -> None:
    job = JobTemplate(name="extract", data={"document": "x"})
    create_schedule(home.ports, ADA, name="daily-report", expression="0 2 * * *", job=job)


def run_made(home: Home) -> None:
    nodes = (NodeSpec(id="a", job={"name": "extract"}),)
    submit_dag(home.ports, ADA, DagSpec(name="documents", nodes=nodes, dag_id=RUN, hard_sla=MORNING + 90_500), {})


def run_ended(home: Home) -> None:
    run_made(home)
    cancel_run(home.ports, ADA, RUN)


def token_stored(home: Home) -> None:
    secret = sample("authorizer")["identitySource"][0].removeprefix("Bearer tg_0123456789ab_")
    hashed = hashlib.sha256(secret.encode()).hexdigest()
    token = Token(
        id="0123456789ab", secret_hash=hashed, tenant="main", user="ada", scopes=ADA.scopes, created_at=MORNING
    )
    home.ports.tokens.put(token)


def answered(operation: str, status: int = 200) -> Check:
    """The answer has this status and the documented shape."""

    def check(result: Any, home: Home) -> None:
        answer = read(result)
        assert answer.status == status
        if operation in ANSWERS:
            ANSWERS[operation][status].model_validate_json(answer.text)

    return check


def texted(beginning: str) -> Check:
    """The answer is text that begins so."""

    def check(result: Any, home: Home) -> None:
        answer = read(result)
        assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (200, "text/plain")
        assert answer.text.startswith(beginning)

    return check


def refused(status: int, code: str) -> Check:
    """The answer is this error."""

    def check(result: Any, home: Home) -> None:
        answer = read(result)
        assert (answer.status, answer.body["code"]) == (status, code)

    return check


def equals(expected: Any) -> Check:
    def check(result: Any, home: Home) -> None:
        assert result == expected

    return check


def batch_accepted_in_part(result: Any, home: Home) -> None:
    body = read(result).body
    assert len(body["accepted"]) == 2
    assert [(each["index"], each["message"].split(":")[0]) for each in body["rejected"]] == [(1, "priority")]


def job_completed(result: Any, home: Home) -> None:
    assert result == {"batchItemFailures": []}
    assert home.job(JOB).state is State.COMPLETED
    assert home.job(JOB).result == {"pages": 3}


def ticked(result: Any, home: Home) -> None:
    assert (result["woken"], result["recovered"], result["expired"]) == (0, 0, 0)
    assert result["lag_seconds"] == pytest.approx((MORNING / 1000) - 1_769_860_800)


def counted(**states: int) -> Check:
    def check(result: Any, home: Home) -> None:
        assert result == {"batchItemFailures": []}
        assert home.ports.figures.read("main", "states") == states

    return check


def buried(result: Any, home: Home) -> None:
    assert result == {"batchItemFailures": []}
    assert home.receive() is not None, "the ticket of the open job was renewed"
    assert home.receive() is not None, "beside the one it was submitted with"
    assert home.receive() is None, "the ticket of the job that is gone was not"
    folder = Path(str(home.app.settings.data)) / "blobs" / "dead-letters"
    (letter,) = folder.iterdir()
    assert json.loads(letter.read_text())["body"] == "not a ticket"


def waited_for(result: Any, home: Home) -> None:
    assert result == {}
    run = home.ports.dags.get("main", RUN)
    assert run is not None
    assert run.supervisor_token == sample("dag-wait")["token"]


def run_stopped(result: Any, home: Home) -> None:
    assert result == {"stopped": True}
    run = home.ports.dags.get("main", RUN)
    assert run is not None
    assert (run.state, run.reason) == ("CANCELLED", "its supervisor was stopped in Step Functions")


def nothing(home: Home) -> None:
    """No preparation."""


SAMPLES: Mapping[str, tuple[str, Prepare, Check]] = {
    "api-post-jobs": ("api", nothing, answered("submit_job", 201)),
    "api-post-jobs-idempotency-key": ("api", nothing, answered("submit_job", 201)),
    "api-post-jobs-batch": ("api", nothing, batch_accepted_in_part),
    "api-get-jobs": ("api", submitted, answered("list_jobs")),
    "api-get-job": ("api", submitted, answered("get_job")),
    "api-get-job-logs": ("api", submitted, answered("get_job_logs")),
    "api-get-job-history": ("api", submitted, answered("get_job_history")),
    "api-get-job-why": ("api", submitted, answered("get_job_why")),
    "api-get-events": ("api", nothing, refused(501, "NOT_SUPPORTED")),
    "api-delete-job": ("api", submitted, answered("delete_job")),
    "api-post-job-cancel": ("api", submitted, answered("cancel_job")),
    "api-post-job-retry": ("api", ended, answered("retry_job")),
    "api-post-job-priority": ("api", submitted, answered("reprioritise_job")),
    "api-post-dags": ("api", nothing, answered("submit_dag", 201)),
    "api-get-queues": ("api", queue_made, answered("list_queues")),
    "api-put-queue": ("api", nothing, answered("put_queue")),
    "api-get-queue": ("api", queue_made, answered("get_queue")),
    "api-patch-queue": ("api", queue_made, answered("patch_queue")),
    "api-post-queue-pause": ("api", queue_made, answered("pause_queue")),
    "api-post-queue-resume": ("api", queue_made, answered("resume_queue")),
    "api-put-definition": ("api", nothing, answered("put_definition", 201)),
    "api-get-definition": ("api", defined, answered("get_definition")),
    "api-get-definitions": ("api", defined, answered("list_definitions")),
    "api-get-webhook-secret": ("api", queue_made, answered("get_webhook_secret")),
    "api-post-webhook-secret-rotate": ("api", queue_made, answered("rotate_webhook_secret")),
    "api-get-job-webhooks": ("api", submitted, answered("list_deliveries")),
    "api-post-schedules": ("api", nothing, answered("create_schedule", 201)),
    "api-get-schedules": ("api", schedule_made, answered("list_schedules")),
    "api-get-schedule": ("api", schedule_made, answered("get_schedule")),
    "api-patch-schedule": ("api", schedule_made, answered("patch_schedule")),
    "api-delete-schedule": ("api", schedule_made, answered("delete_schedule")),
    "api-post-schedule-enable": ("api", schedule_made, answered("enable_schedule")),
    "api-post-schedule-disable": ("api", schedule_made, answered("disable_schedule")),
    "api-post-schedule-trigger": ("api", schedule_made, answered("trigger_schedule", 201)),
    "api-post-schedule-backfill": ("api", schedule_made, answered("backfill_schedule", 202)),
    "api-get-schedule-next": ("api", schedule_made, answered("next_runs")),
    "api-get-schedule-history": ("api", schedule_made, answered("schedule_history")),
    "api-post-schedules-pause": ("api", nothing, answered("pause_schedules")),
    "api-post-schedules-resume": ("api", nothing, answered("resume_schedules")),
    "api-get-tenant": ("api", nothing, answered("get_tenant")),
    "api-patch-tenant": ("api", nothing, answered("patch_tenant")),
    "api-get-audit": ("api", ended, answered("read_audit")),
    "api-iam-get-job": ("api", submitted, answered("get_job")),
    "api-post-tokens": ("api", nothing, answered("create_token", 201)),
    "api-get-tokens": ("api", token_stored, answered("list_tokens")),
    "api-delete-token": ("api", token_stored, answered("revoke_token")),
    "api-get-stats": ("api", nothing, answered("get_stats")),
    "api-get-metrics": ("api", submitted, texted("# HELP tidegate_")),
    "api-post-workers-claim": ("api", submitted, answered("claim_jobs")),
    "api-get-workers": ("api", worker_seen, answered("list_workers")),
    "api-put-worker": ("api", claimed, answered("put_worker")),
    "api-post-job-heartbeat": ("api", claimed, answered("heartbeat")),
    "api-get-job-data": ("api", claimed, answered("get_job_data")),
    "api-get-job-upstream": ("api", claimed, answered("get_job_upstream")),
    "api-get-job-entries": ("api", gather_claimed, answered("get_job_entries")),
    "api-post-job-logs": ("api", claimed, answered("append_job_logs")),
    "api-post-job-complete": ("api", claimed, answered("complete_job")),
    "api-post-job-fail": ("api", claimed, answered("fail_job")),
    "api-post-job-snooze": ("api", claimed, answered("snooze_job")),
    "api-post-job-skip": ("api", claimed, answered("skip_job")),
    "api-post-job-stopped": ("api", claimed, answered("job_stopped")),
    "api-get-health": ("api", nothing, answered("health")),
    "api-get-openapi": ("api", nothing, answered("openapi")),
    "authorizer": (
        "authorizer",
        token_stored,
        equals(
            {
                "isAuthorized": True,
                "context": {
                    "tenant": "main",
                    "user": "ada",
                    "scopes": "operate read submit",
                    "via": "token:0123456789ab",
                },
            }
        ),
    ),
    "worker": ("worker", submitted, job_completed),
    "dag-release": ("dag", run_made, equals({"seconds": 91})),
    "dag-wait": ("dag", run_made, waited_for),
    "dag-deadline": ("dag", run_made, equals({"seconds": 91})),
    "dag-close": ("dag", run_ended, equals({"dag_id": RUN, "state": "CANCELLED"})),
    "dag-stopped": ("dag", run_made, run_stopped),
    "clock": ("clock", nothing, ticked),
    "clock-embedded": ("clock", nothing, ticked),
    "changes": ("changes", nothing, counted(COMPLETED=1, ACTIVE=1)),
    "changes-embedded": ("changes", nothing, counted(COMPLETED=1)),
    "dead_letters": ("dead_letters", submitted, buried),
}


@pytest.fixture
def handlers_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's handlers, for the worker."""
    path = tmp_path / "sample_extract.py"
    path.write_text(
        "from tidegate import executor\n\n\n@executor('extract')\ndef extract(job):\n    return {'pages': 3}\n"
    )
    monkeypatch.setenv("TIDEGATE_HANDLERS", str(path))


def test_every_sample_is_replayed() -> None:
    assert {path.stem for path in EVENTS.iterdir()} == set(SAMPLES)


@pytest.mark.usefixtures("handlers_file")
@pytest.mark.parametrize("name", SAMPLES)
def test_sample(home: Home, name: str) -> None:
    function, prepare, check = SAMPLES[name]
    prepare(home)
    event = sample(name)
    untouched = copy.deepcopy(event)
    settings = replace(home.app.settings, iam_callers=iam_callers_from([ETL]))
    with runtime.use(replace(home.app, settings=settings)):
        result = import_module(f"tidegate_functions.{function}.handler").handler(event, Context(function))
    check(result, home)
    assert event == untouched, "a handler leaves its event alone"
    json.dumps(result)
