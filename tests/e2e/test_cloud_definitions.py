"""Definitions and webhooks on the deployed template."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from cloud import Cloud, eventually

from tidegate import runtime
from tidegate.service.tokens import new_token


@pytest.fixture(scope="module")
def http(cloud: Cloud) -> Iterator[httpx.Client]:
    """An admin's HTTP client."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cloud.environ.items():
            if name.startswith("AWS_"):
                patch.setenv(name, value)
        app = runtime.build(runtime.settings_of_stack("tidegate"))
        clear, record = new_token(app.ports.now(), tenant="main", user="definer", scopes=["admin"])
        app.ports.tokens.put(record)
        with httpx.Client(base_url=cloud.url, headers={"authorization": f"Bearer {clear}"}, timeout=30) as client:
            yield client


def test_a_definition_is_stored_and_jobs_are_made_from_it(http: httpx.Client) -> None:
    schema = {"properties": {"pages": {"type": "array", "items": {"type": "integer"}}}}
    for status in (201, 200):
        assert http.put("/definitions/echo", json={"schema": schema, "job": {"tags": ["a"]}}).status_code == status
    assert http.get("/definitions/echo?version=1").json()["definition"]["schema"] == schema
    assert [each["name"] for each in http.get("/definitions").json()["definitions"]] == ["echo"]
    made = http.post("/jobs", json={"definition": "echo", "data": {"pages": [1]}}).json()
    assert (made["job"]["definition"], made["job"]["tags"]) == ("echo@1", ["a"])
    refused = http.post("/jobs", json={"definition": "echo", "data": {"pages": [1, "two"]}})
    assert (refused.status_code, refused.json()["message"]) == (422, "data.pages.1: must be integer")


def test_the_change_feed_makes_a_delivery_which_a_worker_takes_up(http: httpx.Client) -> None:
    """No receiver can be reached from here: the delivery fails to resolve its host, and is to be tried again."""
    assert http.get("/queues/default/webhook-secret").json()["secret"].startswith("whsec_")
    body = {"name": "echo", "webhook": {"url": "https://hooks.invalid/in", "events": ["job.completed"]}}
    job_id = http.post("/jobs", json=body).json()["job_id"]

    def tried() -> Any:
        found = http.get(f"/jobs/{job_id}/webhooks").json()["deliveries"]
        return [each for each in found if each["state"] == "RETRY"]

    (delivery,) = eventually(tried, 60)
    assert delivery["event"] == "job.completed"
    assert "cannot be resolved" in delivery["error_message"]
    for url in ("http://example.com/", "https://127.0.0.1/", "https://169.254.169.254/latest/meta-data/"):
        assert http.post("/jobs", json={**body, "webhook": {"url": url}}).status_code == 422
