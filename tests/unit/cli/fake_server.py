"""A small server in memory that speaks the HTTP API's shapes, for commands to talk to."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import httpx

CREATED = "2025-11-20T14:30:00.000Z"
STATS = {
    "pending": 5,
    "running": 2,
    "completed": 42,
    "failed": 1,
    "cancelled": 0,
    "skipped": 0,
    "expired": 0,
    "total": 50,
}
COARSE = {
    "CREATED": "pending",
    "ACTIVE": "running",
    "COMPLETED": "completed",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
}


class FakeServer:
    """Jobs and queues in memory. A job whose name is a state ends there when it is looked at again."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.queues: dict[str, dict[str, Any]] = {
            "default": {"name": "default", "pool": "default", "ordering": "strict"}
        }
        self.stats: dict[str, Any] = {**STATS, "states": {}}
        self.requests: list[httpx.Request] = []
        self.down = False
        self.token = "secret"

    def add(self, id_: str, state: str = "CREATED", **fields: Any) -> None:
        job = {"id": id_, "name": "training", "queue": "default", "priority": 7, "data": {"x": 1}}
        job |= {"retry_count": 0, "retry_limit": 3, "created_at": CREATED, **fields}
        self.jobs[id_] = job
        self.move(id_, state)

    def move(self, job_id: str, state: str) -> None:
        self.jobs[job_id] |= {"state": state, "status": COARSE[state]}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("Connection refused")
        self.requests.append(request)
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return self.refuse(401, "UNAUTHENTICATED", "a valid bearer token is needed")
        _, collection, *rest = request.url.path.split("/")
        body = json.loads(request.content) if request.content else {}
        route: Callable[..., httpx.Response] = getattr(self, f"{request.method.lower()}_{collection}")
        return route(body, request.url.params, *rest)

    def ok(self, **body: Any) -> httpx.Response:
        return httpx.Response(200, json={"success": True, "message": "", **body})

    def refuse(self, status: int, code: str, message: str, **details: Any) -> httpx.Response:
        return httpx.Response(status, json={"success": False, "code": code, "message": message, "details": details})

    def get_jobs(self, _: Any, params: httpx.QueryParams, job_id: str | None = None) -> httpx.Response:
        if job_id is None:
            states = params.get_list("state")
            fit = [job for job in self.jobs.values() if not states or job["status"] in states or job["state"] in states]
            first, limit = int(params.get("cursor", "0")), int(params["limit"])
            after = first + limit
            cursor = str(after) if after < len(fit) else None
            return self.ok(jobs=fit[first:after], total_count=len(fit), next_cursor=cursor)
        if job_id not in self.jobs:
            return self.refuse(404, "NOT_FOUND", f"there is no job '{job_id}'")
        self._advance(job_id)
        return self.ok(job=self.jobs[job_id])

    def _advance(self, job_id: str) -> None:
        job = self.jobs[job_id]
        if job["name"] not in COARSE:
            return
        if job["state"] == "CREATED":
            self.move(job_id, "ACTIVE")
            job["progress"] = {"fraction": 0.5, "message": "page \x1b[2J3"}
        else:
            self.move(job_id, job["name"])

    def post_jobs(self, body: Any, _: Any, job_id: str | None = None, action: str = "") -> httpx.Response:
        if job_id == "batch":
            return self._batch(body["jobs"])
        if job_id is None:
            if body.get("priority") == 11:
                errors = [{"field": "priority", "rule": "must be from 0 to 10"}]
                return self.refuse(422, "INVALID_INPUT", "the input breaks a rule", errors=errors)
            self.add(body.pop("job_id"), **body)
            return self.ok(job=next(reversed(self.jobs.values())))
        if job_id not in self.jobs:
            return self.refuse(404, "NOT_FOUND", f"there is no job '{job_id}'")
        if action == "cancel" and self.jobs[job_id]["state"] == "COMPLETED":
            return self.refuse(409, "WRONG_STATE", f"job '{job_id}' has ended: COMPLETED")
        if not (action == "cancel" and self.jobs[job_id]["state"] == "ACTIVE"):
            self.move(job_id, {"cancel": "CANCELLED", "retry": "CREATED"}[action])
        return self.ok(job=self.jobs[job_id])

    def _batch(self, jobs: list[dict[str, Any]]) -> httpx.Response:
        assert len(jobs) <= 100
        bad = [
            {"index": n, "code": "INVALID_INPUT", "message": "name: is missing", "details": {}}
            for n, job in enumerate(jobs)
            if "name" not in job
        ]
        for job in jobs:
            if "name" in job:
                self.add(job["job_id"], **job)
        return self.ok(accepted=[job["job_id"] for job in jobs if "name" in job], rejected=bad)

    def get_stats(self, _: Any, __: Any, kind: str | None = None, action: str = "") -> httpx.Response:
        row = {"met": 8, "missed_soft": 3, "missed_hard": 1, "at_risk": 2}
        if kind == "sla":
            return self.ok(sla={**row, "queues": [{"queue": "reports", **row}]})
        return self.ok(stats=self.stats)

    def get_whoami(self, *_: Any) -> httpx.Response:
        return self.ok(tenant="main", user="ada", scopes=["read", "submit"], stage="prod", version="0.1.0")

    def get_queues(self, _: Any, __: Any, name: str | None = None) -> httpx.Response:
        if name is None:
            return self.ok(queues=list(self.queues.values()))
        return self.ok(queue=self.queues[name])

    def patch_queues(self, body: Any, _: Any, name: str) -> httpx.Response:
        if name not in self.queues:
            return self.refuse(404, "NOT_FOUND", f"there is no queue '{name}'")
        self.queues[name] |= body
        return self.ok(queue=self.queues[name])

    def put_queues(self, body: Any, _: Any, name: str) -> httpx.Response:
        self.queues[name] = {"name": name, **body}
        return self.ok(queue=self.queues[name])

    def post_queues(self, body: Any, _: Any, name: str, action: str) -> httpx.Response:
        self.queues[name] |= {"paused": action == "pause", "paused_reason": body.get("reason")}
        return self.ok(queue=self.queues[name])


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


Run = Callable[..., tuple[int, str, str]]


def sent(server: FakeServer) -> Any:
    return json.loads(server.requests[-1].content)
