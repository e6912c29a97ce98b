"""What the pictures of the console show: a day of work that went before, and all kinds of work that stand now."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from home import ADMIN, Home
from support.clock import Clock
from tidegate import Client, Dag, PermanentError, runtime
from tidegate.execution.context import JobContext
from tidegate.service.bury import put_aside
from tidegate.service.policies import put_queue

HOURS = 24
_NAMES = {"split": 1.2, "extract": 6.0, "classify": 2.0, "summarise": 4.0, "render": 14.0, "report": 45.0}
"""How long jobs of each name usually take, in seconds."""
_QUEUES = {"extract": "documents", "split": "documents", "render": "reports", "report": "reports"}
_FAULTS = (
    "HTTPError: 503 from the mail provider",
    "page 7 of inbox/contract.pdf cannot be read: the file is encrypted",
    "the model answered with 0 labels",
)


class Past(Clock):
    """A clock that begins so many hours ago."""

    def __init__(self, hours: int) -> None:
        super().__init__()
        self._now = time.time_ns() // 1_000_000 - hours * 3_600_000


def a_day_of_work(folder: Path) -> None:
    """Put a day of jobs through a home, on a clock of its own that ends now."""
    clock, rng = Past(HOURS), random.Random(7)
    app = runtime.embedded(folder, now=clock.now, new_id=clock.new_id, rng=rng)
    home = Home(app, clock)
    runner = home.runner("scene", **{name: _worked(clock, rng, usual) for name, usual in _NAMES.items()})
    for queue in ("documents", "reports"):
        put_queue(home.ports, ADMIN, queue, {})
    for hour in range(HOURS):
        busy = 20 + round(70 * max(0.0, 1 - abs(hour - 15) / 11))
        for name in rng.choices(list(_NAMES), [4, 12, 6, 5, 2, 1], k=busy):
            home.submit(
                name, queue=_QUEUES.get(name, "default"), retry_limit=0, data={"document": "inbox/contract.pdf"}
            )
            clock.advance(rng.uniform(0.1, 1.4) * 3_600 / busy)
            home.drain(runner)
        home.pump()
        clock.advance(max(0.0, _hours_ago(HOURS - hour - 1) - clock.now() / 1_000))
    home.close()


def _hours_ago(hours: int) -> float:
    return time.time() - hours * 3_600


def _worked(clock: Clock, rng: random.Random, usual: float) -> Callable[[JobContext], dict[str, int]]:
    def run(job: JobContext) -> dict[str, int]:
        clock.advance(usual * rng.lognormvariate(0, 0.5))
        if rng.random() < 0.04:
            raise PermanentError(rng.choice(_FAULTS))
        return {"pages": 3}

    return run


def pipeline(name: str, seconds: float, *, pages: int = 6, fails: str | None = None) -> Dag:
    """A run on one document."""
    with Dag(name) as dag:
        split = dag.job("split", {"seconds": 0.3, "pages": pages}, id="split")
        found = dag.map("extract", over=split["page_numbers"], data={"seconds": seconds}, id="extract")
        label = dag.job("classify", {"seconds": seconds, "fails": fails}, id="classify", after=found)
        summary = dag.job("summarise", {"seconds": seconds * 1.5}, id="summarise", after=found)
        invoice = dag.job(
            "read_invoice", {"seconds": 0.4}, id="invoice", after=label, when=label["label"].equals("invoice")
        )
        letter = dag.job("render", {"seconds": 0.4}, id="letter", after=label, when=label["label"].equals("letter"))
        dag.job("file", {"seconds": 0.2}, id="file", after=[summary, invoice, letter])
    return dag


class Now:
    """What stands now; `ids` are those of jobs and runs that have pages of their own in the pictures."""

    def __init__(self, client: Client, folder: Path) -> None:
        self._client = client
        self._folder = folder
        self.ids: dict[str, str] = {}

    def arrange(self) -> None:
        """Make it, and wait until it stands."""
        self._queues()
        self._schedules()
        self._letters()
        self._ended()
        self._runs()
        self._waiting()
        self._running()

    def _queues(self) -> None:
        client = self._client
        client.put_queue("documents", slots=40, retry_limit=3)
        client.put_queue("reports", slots=1, retry_limit=2, timeout=900)
        client.put_queue("mail", rate_limit=60, rate_period="minute", retry_limit=5)
        client.put_queue("gpu", key_slots=2, ordering="deadline")
        client.pause_queue("mail", "the provider answers 503 since 9:40")

    def _schedules(self) -> None:
        create = self._client.create_schedule
        create(name="nightly-archive", expression="0 2 * * *", timezone="Europe/Berlin", job={"name": "report"})
        create(name="hourly-figures", expression="@hourly", job={"name": "report", "queue": "reports"})
        pulse = create(
            name="inbox-poll", every="2s", job={"name": "split", "data": {"seconds": 0.05}, "tags": ["poll"]}
        )
        create(name="month-end", expression="0 6 1 * *", timezone="Europe/Berlin", job={"name": "report"})
        self._client.disable_schedule("month-end", "until the books are closed")
        self.ids["schedule"] = pulse.name

    def _letters(self) -> None:
        ports = runtime.embedded(self._folder).ports
        for body, reason in (
            ('{"document": "inbox/scan-0412.pdf"}', "no ticket: the field job_id is missing"),
            ("not json at all", "no ticket: it is not JSON"),
        ):
            put_aside(ports, body, "default/normal", reason)
        ports.close()

    def _ended(self) -> None:
        client = self._client
        flaky = {"seconds": 0.3, "fails": "connection reset by smtp.example.org", "at_once": False}
        failed = client.submit("send", flaky, tags=["mail"], retry_limit=2, retry_delay=1, metadata={"team": "billing"})
        self.ids["failed"] = failed.id

    def _runs(self) -> None:
        client = self._client
        done = client.submit_dag(pipeline("contract-2291", 0.3))
        broken = client.submit_dag(pipeline("scan-0412", 0.3, fails="the model answered with 0 labels"))
        client.wait_dag(done.id)
        client.wait_dag(broken.id)
        client.wait(self.ids["failed"])
        self.ids["run"] = client.submit_dag(pipeline("annual-report", 6.0, pages=9)).id

    def _waiting(self) -> None:
        client = self._client
        soon = datetime.now(UTC) + timedelta(minutes=3)
        client.submit_many({"name": "send", "queue": "mail", "priority": n % 11, "tags": ["mail"]} for n in range(24))
        client.submit_many({"name": "report", "queue": "reports", "data": {"seconds": 90}} for _ in range(4))
        client.submit_many({"name": "embed", "start_after": soon} for _ in range(3))
        late = client.submit("embed", {"document": "inbox/a.pdf"}, queue="mail", priority="critical", soft_sla=60)
        self.ids["waiting"] = late.id

    def _running(self) -> None:
        client = self._client
        slow = client.submit("extract", {"document": "inbox/atlas.pdf", "seconds": 120}, priority="critical")
        self.ids["running"] = slow.id
        deadline = time.monotonic() + 30
        while client.get(slow.id).state != "ACTIVE" or client.dag(self.ids["run"]).progress["active"] < 2:
            assert time.monotonic() < deadline, "the scene does not come to life"
            time.sleep(0.1)
