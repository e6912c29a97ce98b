"""A transport in memory whose answers are written beforehand."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx

from tidegate.client import (
    Client,
)

JOB = {
    "id": "j1",
    "name": "extract",
    "queue": "default",
    "state": "CREATED",
    "status": "pending",
    "priority": 5,
    "data": {"a": 1},
    "tags": ["x"],
    "metadata": {"k": "v"},
    "progress": None,
    "created_at": "2025-11-20T14:30:00.000Z",
    "invented_later": {"by": "a newer server"},
}
DONE = {**JOB, "state": "COMPLETED", "status": "completed", "result": {"pages": 3}}
Handler = Callable[[httpx.Request], httpx.Response]


class Script:
    """Answers given in turn; keeps the requests."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.requests]


def ok(**body: Any) -> httpx.Response:
    return httpx.Response(200, json={"success": True, "message": "", **body})


def refusal(
    status: int, code: str, message: str = "no", headers: dict[str, str] | None = None, **details: Any
) -> httpx.Response:
    body = {"success": False, "code": code, "message": message, "details": details}
    return httpx.Response(status, json=body, headers=headers)


def client_for(handler: Handler, **options: Any) -> Client:
    options.setdefault("sleep", lambda _: None)
    return Client("http://tidegate.test", "secret", transport=httpx.MockTransport(handler), **options)


def batch_server(request: httpx.Request) -> httpx.Response:
    jobs = json.loads(request.content)["jobs"]
    accepted = [job["job_id"] for job in jobs if job["name"] != "bad"]
    rejected = [
        {"index": index, "code": "INVALID_INPUT", "message": "name: bad", "details": {}}
        for index, job in enumerate(jobs)
        if job["name"] == "bad"
    ]
    return ok(accepted=accepted, rejected=rejected)
