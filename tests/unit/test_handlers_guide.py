"""Every example of docs/guides/handlers.md, run as it stands there."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from home import ADMIN, LEASE_SECONDS, Home
from tidegate.domain.job import Progress, State
from tidegate.execution import registry
from tidegate.execution.runner import Runner
from tidegate.service.control import cancel
from tidegate.service.read_log import read_log

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", (GUIDES / "handlers.md").read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def guide(home: Home) -> Runner:
    """A worker with every handler of the guide."""
    for example in EXAMPLES:
        exec(compile(example, "handlers.md", "exec"), {"__name__": "guide"})
    executors: Mapping[str, registry.Executor] = dict(registry._registered)
    assert set(executors) == {"extract", "poll", "store", "train", "pages", "download"}
    return Runner(home.ports, executors, worker_id="w-1", lease_seconds=LEASE_SECONDS)


def run(home: Home, guide: Runner, name: str, data: Any, **fields: Any) -> Any:
    job = home.submit(name, data=data, **fields)
    home.drain(guide)
    return home.job(job.id)


def test_a_result(home: Home, guide: Runner) -> None:
    assert run(home, guide, "extract", {"document": "abc"}).result == {"characters": 3}


def test_skip_snooze_and_result(home: Home, guide: Runner) -> None:
    skipped = run(home, guide, "poll", {"obsolete": True})
    assert (skipped.state, skipped.reason) == (State.SKIPPED, "nobody needs it any more")
    snoozed = run(home, guide, "poll", {})
    assert (snoozed.state, snoozed.wake_at) == (State.RETRY, home.clock.now() + 60_000)
    assert run(home, guide, "poll", {"ready": True}).result == "ready"


def test_failures(home: Home, guide: Runner) -> None:
    assert run(home, guide, "store", {"row": "a"}).result == "saved a"
    invalid = run(home, guide, "store", {})
    assert (invalid.state, invalid.error_type, invalid.error_message) == (State.FAILED, "validation", "no row given")
    unlucky = run(home, guide, "store", {"row": "unlucky"})
    assert (unlucky.state, unlucky.error_type) == (State.RETRY, "database")
    assert unlucky.error_message == "cannot save: refused"


def test_logs(home: Home, guide: Runner) -> None:
    job = run(home, guide, "train", None)
    page = read_log(home.ports, ADMIN, job.id, after=None, limit=10)
    assert [(str(told.line.level), told.line.message) for told in page.lines] == [
        ("INFO", "Starting training"),
        ("INFO", "Epoch 1/2 - loss: 0.45"),
        ("INFO", "Epoch 2/2 - loss: 0.23"),
        ("WARNING", "GPU memory at 85%"),
    ]


def test_progress(home: Home, guide: Runner) -> None:
    assert run(home, guide, "pages", None).progress == Progress(0.9, "page 10")


def test_cancelling_and_cleaning_up(home: Home, guide: Runner, tmp_path: Path) -> None:
    part = tmp_path / "part"
    job = home.submit("download", data={"part": str(part)})

    def cancel_soon() -> None:
        while not part.exists():
            threading.Event().wait(0.01)
        cancel(home.ports, ADMIN, job.id)
        home.close()

    threading.Thread(target=cancel_soon).start()
    home.drain(guide)
    assert home.job(job.id).state is State.CANCELLED
    assert not part.exists()
    page = read_log(home.ports, ADMIN, job.id, after=None, limit=10)
    assert [told.line.message for told in page.lines] == [f"removed {part}"]


def test_the_events_guide_shows_an_event_as_it_is_described() -> None:
    import json

    from tidegate_functions.api.answers.events import Event

    example = re.search(r"```json\n(.*?)```", (GUIDES / "events.md").read_text(), re.DOTALL)
    assert example is not None
    event = Event.model_validate(json.loads(example[1]))
    assert (event.version, event.job.id) == (1, "019c1b58-2d80-7000-8000-000000000001")
