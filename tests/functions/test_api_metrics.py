"""`GET /metrics`: what a Prometheus server reads."""

from __future__ import annotations

import re

from gateway import Api

from home import ADMIN, Home
from tidegate.domain.exposition import CONTENT_TYPE, Family, Histogram, Kind, exposed
from tidegate.ports import Worker
from tidegate.service.policies import pause_queue

LINE = re.compile(r'([a-z_]+)(\{(?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)*\})? (\S+)')


def read(text: str) -> dict[str, float]:
    """The samples of a text in Prometheus' format, by name and labels; each family is described before."""
    found: dict[str, float] = {}
    described: set[str] = set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            described.add(line.split()[2])
        elif not line.startswith("#"):
            match = LINE.fullmatch(line)
            assert match, line
            assert match[1] in described
            found[match[1] + (match[2] or "")] = float(match[3])
    return found


def test_all_figures_of_the_tenant_are_told(api: Api, home: Home) -> None:
    home.submit(queue="default", priority=9)
    home.submit(name="other", start_after=home.clock.now() + 60_000)
    for name in ("work", "fail"):
        home.submit(name=name, retry_limit=0)
    home.pump()

    def fail(_: object) -> None:
        home.clock.advance(3)
        raise ValueError

    runner = home.runner(fail=fail, work=lambda _: home.clock.advance(2))
    home.serve_one(runner)
    home.serve_one(runner)
    home.serve_one(runner)
    home.submit(priority=10)
    home.pump()
    home.clock.advance(7)
    pause_queue(home.ports, ADMIN, "default", None)
    now = home.clock.now()
    home.ports.workers.put(Worker(id="w", kind="pull", pool="default", concurrency=4, started_at=now, seen_at=now))
    answer = api.get("/metrics")
    assert (answer.status, answer.headers["content-type"]) == (200, CONTENT_TYPE)
    found = read(answer.text)
    assert found['tidegate_jobs{queue="default",state="COMPLETED"}'] == 2
    assert found['tidegate_jobs{queue="default",state="FAILED"}'] == 1
    assert found['tidegate_job_transitions_total{state="CREATED"}'] == 5
    assert found["tidegate_jobs_scheduled"] == 1
    assert found['tidegate_jobs_waiting{priority="critical"}'] == 1
    assert found["tidegate_oldest_waiting_seconds"] == 7
    assert found['tidegate_queue_paused{queue="default"}'] == 1
    assert found['tidegate_run_seconds{quantile="0.5"}'] > 0
    assert found['tidegate_workers{kind="pull",pool="default"}'] == 1
    assert found['tidegate_worker_places{kind="pull",pool="default"}'] == 4
    assert found['tidegate_worker_places_busy{kind="pull",pool="default"}'] == 0


def test_it_needs_the_scope_read_and_tells_nothing_of_other_tenants(api: Api, home: Home) -> None:
    home.submit()
    home.pump()
    refused = api.by(scopes="submit").get("/metrics")
    assert (refused.status, refused.body["code"]) == (403, "FORBIDDEN")
    assert 'state="CREATED"} 1' not in api.by(tenant="acme").get("/metrics").text
    assert api.get("/metrics", "x=1").status == 422


def test_labels_and_helps_are_escaped_and_empty_families_left_out() -> None:
    strange = Family("a_total", Kind.COUNTER, "one\ntwo\\", [({"queue": 'q"\\\n'}, 1e15), ({}, 0.25)])
    text = exposed([strange, Family("b", Kind.GAUGE, "none", [])])
    assert text == (
        '# HELP a_total one\\ntwo\\\\\n# TYPE a_total counter\na_total{queue="q\\"\\\\\\n"} 1e+15\na_total 0.25\n'
    )


def test_a_histogram_counts_each_value_in_its_class_and_in_all_above() -> None:
    seconds = Histogram({"name": "a"}, (0.5, 1.0, 10.0))
    for value in (0.5, 0.6, 11.0):
        seconds.add(value)
    text = exposed([Family("run_seconds", Kind.HISTOGRAM, "How long.", histograms=[seconds])])
    assert text.splitlines() == [
        "# HELP run_seconds How long.",
        "# TYPE run_seconds histogram",
        'run_seconds_bucket{name="a",le="0.5"} 1',
        'run_seconds_bucket{name="a",le="1"} 2',
        'run_seconds_bucket{name="a",le="10"} 2',
        'run_seconds_bucket{name="a",le="+Inf"} 3',
        'run_seconds_sum{name="a"} 12.1',
        'run_seconds_count{name="a"} 3',
    ]
