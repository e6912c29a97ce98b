"""The console in a real browser, on a server of its own: signing in, looking, filtering, acting, and hostile names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from embedded import Server
from webdriver import Browser, programs

from tidegate import Client, Dag

HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An embedded server with two workers."""
    made = Server(tmp_path_factory.mktemp("console") / "data")
    try:
        yield made.start()
    finally:
        made.stop_if_running()


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    """An admin's client of it."""
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser."""
    found = programs()
    if found is None:
        pytest.skip("chromium and chromedriver are not installed")
    made = Browser(tmp_path_factory.mktemp("profile"), *found)
    try:
        yield made
    finally:
        made.close()


def token_of(server: Server) -> str:
    return (server.data / "token").read_text().strip()


def token_for(server: Server, user: str, *scopes: str) -> str:
    """A fresh token of the server's home."""
    from tidegate import runtime
    from tidegate.service.tokens import new_token

    ports = runtime.embedded(server.data).ports
    clear, token = new_token(ports.now(), tenant="main", user=user, scopes=scopes)
    ports.tokens.put(token)
    ports.close()
    return clear


@pytest.fixture
def browser(window: Browser, server: Server) -> Iterator[Browser]:
    """The browser, signed in as admin; no page may have complained by the end."""
    window.size(1360, 900)
    window.open(f"{server.url}/console/")
    window.find(".shell, .signin")  # by now the page has kept the token that it had, and keeps no other
    window.run("sessionStorage.setItem('tidegate.token', arguments[0]); localStorage.clear()", token_of(server))
    window.errors()
    yield window
    assert window.errors() == []


def visit(browser: Browser, server: Server, path: str) -> None:
    browser.open(f"{server.url}/console{path}")
    browser.find("h1")


def waiting(client: Client, queue: str, number: int = 1, **fields: Any) -> list[str]:
    """Jobs that wait in a paused queue of their own."""
    client.put_queue(queue)
    client.pause_queue(queue, "the tests look at it")
    return list(client.submit_many({"name": "echo", "queue": queue, **fields} for _ in range(number)).accepted)


def test_one_signs_in_with_a_token_and_out_again(window: Browser, server: Server) -> None:
    window.open(f"{server.url}/")
    window.run("sessionStorage.clear()")
    window.open(f"{server.url}/console/jobs?state=FAILED")
    window.type("#token", "tg_000000000000_" + "x" * 43, enter=True)
    window.find("[role=alert]", "not valid")
    window.errors()  # the refusal, which browsers tell of
    window.type("#token", token_of(server), enter=True)
    window.find("h1", "Jobs")
    assert window.url.endswith("/console/jobs?state=FAILED")
    assert "tg_" not in window.url
    assert window.run("return Object.keys(localStorage).concat(document.cookie)") == [""]
    window.click(".me summary")
    window.click(".menu button", "Sign out")
    window.find("h1", "Sign in")
    assert window.run("return sessionStorage.length") == 0
    assert window.errors() == []


def test_a_job_is_watched_from_its_start_to_its_end(browser: Browser, server: Server, client: Client) -> None:
    (job_id,) = waiting(client, "watched", name="slow", data={"seconds": 3})
    visit(browser, server, f"/jobs/{job_id}")
    browser.find(".lead .state", "Waiting")
    client.resume_queue("watched")
    browser.find(".lead .state", "Running")
    browser.find(".live-progress", "step")
    browser.find(".lead .state", "Completed")
    browser.find(".json", "finished")
    assert browser.texts(".attempts + table tbody tr td:nth-child(2)") == ["Completed"]


def test_a_job_is_submitted_by_hand(browser: Browser, server: Server, client: Client) -> None:
    visit(browser, server, "/jobs")
    browser.click(".actions button", "New job")
    browser.type("#field-name", "echo")
    browser.type("#field-data", '{"document": ')
    browser.click("dialog button[type=submit]")
    browser.find(".toasts", "not JSON")
    browser.type("#field-data", '{"document": "a.pdf"}')
    browser.click("dialog button[type=submit]")
    browser.find(".lead .state", "Completed")
    browser.find(".json", "a.pdf")


def test_a_run_is_watched_until_it_finishes(browser: Browser, server: Server, client: Client) -> None:
    client.put_queue("dag")
    client.pause_queue("dag")
    with Dag("diamond") as dag:
        split = dag.job("echo", {"n": 1}, id="split", queue="dag")
        sides = [dag.job("slow", {"seconds": 0.5}, id=side, after=split) for side in ("left", "right")]
        dag.job("echo", {}, id="merge", after=sides)
    run = client.submit_dag(dag)
    visit(browser, server, "/runs")
    browser.click(".rows tbody tr .name", "diamond")
    browser.until(lambda: len(browser.texts(".graph .node")) == 4, "four nodes")
    browser.find(".lead .state", "Running")
    client.resume_queue("dag")
    browser.find(".lead .state", "Completed")
    browser.until(lambda: len(browser.texts(".graph .node.tone-completed")) == 4, "four completed nodes")
    assert len(browser.texts(".graph .node.critical")) == 3
    assert len(browser.texts(".gantt li")) == 4
    browser.click(".gantt li a", "merge")
    browser.find(".facts a", "merge")
    assert client.dag(run.id).state == "COMPLETED"


def test_a_queue_is_paused_limited_and_resumed(browser: Browser, server: Server, client: Client) -> None:
    client.put_queue("tides")
    visit(browser, server, "/queues")
    browser.click(".rows tbody tr .name", "tides")
    browser.click(".actions button", "Pause")
    browser.type("#field-reason", "audit")
    browser.click("dialog button[type=submit]")
    browser.find(".problem", "Paused by admin: audit")
    browser.click(".actions button", "Limits")
    browser.type("#field-slots", "3")
    browser.click("dialog button[type=submit]")
    browser.find(".facts", "0 of 3")
    browser.click(".actions button", "Resume")
    browser.gone(".problem")
    queue = client.queue("tides")
    assert (queue.paused, queue.raw["slots"]) == (False, 3)


def test_a_schedule_runs_now_and_rests(browser: Browser, server: Server, client: Client) -> None:
    client.create_schedule(name="nightly", expression="0 2 * * *", job={"name": "echo"})
    visit(browser, server, "/schedules")
    browser.click(".rows tbody tr .name", "nightly")
    browser.click(".actions button", "Run now")
    browser.find(".toasts", "made")
    browser.click(".actions button", "Pause")
    browser.click("dialog button[type=submit]")
    browser.find(".lead .tag", "paused")
    assert not client.schedule("nightly").enabled


def test_workers_are_seen(browser: Browser, server: Server) -> None:
    visit(browser, server, "/workers")
    browser.until(lambda: len(browser.texts(".workers li")) == 2, "two workers")
    browser.find(".head .note", "2 workers")


def test_an_admin_makes_and_revokes_a_token(browser: Browser, server: Server) -> None:
    visit(browser, server, "/tokens")
    browser.click(".actions button", "New token")
    browser.type("#field-user", "grace")
    browser.click("dialog button[type=submit]")
    secret = browser.text(".made code")
    with Client(server.url, secret) as other:
        assert (other.whoami().user, other.whoami().scopes) == ("grace", ("read",))
    browser.click("tr:nth-child(1) button", "Revoke")
    browser.click("dialog button[type=submit]")
    browser.find("td", "revoked")


def turn_page(browser: Browser, button: str) -> None:
    """Press a button of the pager and wait until other rows are shown."""
    first = ".rows tbody tr:first-child a.mono"
    before = browser.texts(first)
    browser.click(".pager button", button)
    browser.until(lambda: browser.texts(first) != before, "another page")


def test_ten_thousand_jobs_are_paged_through(browser: Browser, server: Server, client: Client) -> None:
    waiting(client, "ocean", 10_000)
    visit(browser, server, "/jobs?queue=ocean")
    browser.find(".head .note", "1–50 of 10,000")
    for _ in range(3):
        turn_page(browser, "Older")
    browser.find(".head .note", "151–200 of 10,000")
    browser.click(".pager button", "Newer")
    browser.find(".head .note", "101–150 of 10,000")
    assert len(browser.texts(".rows tbody tr")) == 50


def test_a_running_job_tells_its_log_and_is_cancelled(browser: Browser, server: Server, client: Client) -> None:
    job = client.submit("talk", {"lines": 30, "seconds": 2})
    visit(browser, server, f"/jobs/{job.id}")
    browser.find(".log .lines div", "line 29")
    running = client.submit("slow", {"seconds": 60})
    visit(browser, server, f"/jobs/{running.id}")
    browser.find(".lead .state", "Running")
    browser.click(".actions button", "Cancel")
    browser.type("#field-reason", "not needed")
    browser.click("dialog button[type=submit]")
    browser.find(".lead .state", "Cancelled")
    browser.find(".remark", "not needed")
    assert client.get(running.id).state == "CANCELLED"


def test_a_failed_job_shows_why_and_is_retried(browser: Browser, server: Server, client: Client) -> None:
    job = client.wait(client.submit("refuse").id)
    visit(browser, server, f"/jobs/{job.id}")
    browser.find(".error-box", "never")
    browser.click(".actions button", "Retry")
    browser.find(".attempts + table tbody tr:nth-child(2)")
    assert client.wait(job.id).attempt == 2


def test_filters_are_in_the_url_and_survive_going_back(browser: Browser, server: Server, client: Client) -> None:
    for number in range(3):
        waiting(client, "reports", metadata={"team": "docs", "n": str(number)})
    visit(browser, server, "/jobs")
    browser.click(".filters .states button", "Waiting")
    browser.type(".filters input[placeholder='key=value']", "n=1", enter=True)
    browser.until(lambda: len(browser.texts(".rows tbody tr")) == 1, "one row")
    assert "state=CREATED" in browser.url
    assert "metadata=n%3D1" in browser.url
    browser.click(".rows tbody tr .name", "echo")
    browser.find(".facts", "reports")
    browser.run("history.back()")
    browser.until(lambda: len(browser.texts(".rows tbody tr")) == 1, "the filtered row again")
    browser.click(".filters .link", "Clear")
    browser.until(lambda: len(browser.texts(".rows tbody tr")) > 3, "all rows again")


def test_many_are_cancelled_at_once(browser: Browser, server: Server, client: Client) -> None:
    ids = waiting(client, "bulk", 120)
    visit(browser, server, "/jobs?queue=bulk")
    browser.click("thead input[type=checkbox]")
    browser.click(".bulk .link", "choose all 120")
    browser.click(".bulk button.danger")
    browser.click("dialog button[type=submit]")
    browser.find(".toasts", "120 jobs done")
    assert {client.get(job_id).state for job_id in (ids[0], ids[60], ids[-1])} == {"CANCELLED"}


def test_the_keyboard_goes_everywhere(browser: Browser, server: Server, client: Client) -> None:
    waiting(client, "keys")
    visit(browser, server, "/")
    browser.press("g", "j")
    browser.find("h1", "Jobs")
    browser.find(".rows tbody tr")
    browser.press("j", "x")
    browser.find(".bulk", "1 chosen")
    browser.press("Enter")
    browser.find(".crumbs")
    browser.press("?")
    browser.find("dialog h2", "Keys")
    browser.press("Escape")
    browser.gone("dialog")


def test_names_that_are_markup_are_text(browser: Browser, server: Server, client: Client) -> None:
    job = client.submit("refuse", {HOSTILE: HOSTILE}, tags=[HOSTILE[:60]], metadata={"note": HOSTILE})
    client.wait(job.id)
    for path in (f"/jobs/{job.id}", "/jobs", "/"):
        visit(browser, server, path)
        browser.find("main :is(.facts, .rows, .strip)")
        assert browser.run("return document.title") != "taken"
        assert browser.run("return document.querySelectorAll('main img, main script').length") == 0
    visit(browser, server, f"/jobs/{job.id}")
    browser.find(".json", HOSTILE)
    browser.find(".tag", f"note={HOSTILE}")


def test_a_reader_sees_all_and_can_change_nothing(browser: Browser, server: Server, client: Client) -> None:
    (job_id,) = waiting(client, "readonly")
    reader = token_for(server, "admin", "read")
    browser.run("sessionStorage.setItem('tidegate.token', arguments[0])", reader)
    for path in ("/", "/jobs", f"/jobs/{job_id}", "/queues", "/queues/readonly", "/schedules", "/runs", "/workers"):
        visit(browser, server, path)
        browser.find("main :is(.facts, .rows, .strip, .nothing, .workers)")
        assert browser.texts("main .actions button:not(.switch *), main .pick") == []
    assert not {"Tokens", "Dead letters"} & set(browser.texts(".rail li"))
    with Client(server.url, reader) as other, pytest.raises(Exception, match="scope"):
        other.cancel(job_id)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_phone_and_both_lights(
    browser: Browser, server: Server, client: Client, scheme: str, tmp_path: Path
) -> None:
    (job_id,) = waiting(client, "phone")
    browser.room(scheme)
    papers = set()
    paths = (
        "/",
        "/jobs",
        f"/jobs/{job_id}",
        "/runs",
        "/schedules",
        "/queues",
        "/queues/phone",
        "/workers",
        "/dead",
        "/tokens",
    )
    for path in paths:
        browser.size(390, 844)
        visit(browser, server, path)
        browser.find("main :is(.facts, .rows, .strip, .nothing, .workers)")
        assert browser.run("return document.documentElement.scrollWidth") <= 390, path
        papers.add(browser.run("return getComputedStyle(document.documentElement).backgroundColor"))
    assert papers == ({"rgb(245, 243, 238)"} if scheme == "light" else {"rgb(10, 20, 24)"})
