"""Jobs and runs in a real browser, on a server of its own: watched, submitted, found, acted upon."""

from __future__ import annotations

from embedded import Server
from visiting import visit, waiting
from webdriver import Browser

from tidegate import Client, Dag
from tidegate.domain.correlation import Correlation
from tidegate.execution.correlating import correlated


def test_a_job_is_watched_from_its_start_to_its_end(browser: Browser, server: Server, client: Client) -> None:
    (job_id,) = waiting(client, "watched", name="slow", data={"seconds": 3})
    visit(browser, server, f"/jobs/{job_id}")
    browser.find(".lead .state", "Waiting")
    client.resume_queue("watched")
    browser.find(".lead .state", "Running")
    browser.find(".live-progress", "step")
    browser.find(".lead .state", "Completed")
    browser.find(".json", "finished")
    outcomes = ".attempts + table tbody tr td:nth-child(2)"
    browser.until(lambda: browser.texts(outcomes) == ["Completed"], "its one attempt, completed")
    assert client.get(job_id).state == "COMPLETED"


def test_a_job_names_its_request_and_its_trace(browser: Browser, server: Server, client: Client) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    with correlated(Correlation("order-4711", f"00-{trace}-00f067aa0ba902b7-01")):
        job = client.submit("echo")
    visit(browser, server, f"/jobs/{job.id}")
    browser.find(".facts div", "Requestorder-4711")
    browser.find(".facts div", f"Trace{trace}")


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


def test_a_failed_run_is_resumed_and_then_cancelled(browser: Browser, server: Server, client: Client) -> None:
    client.put_queue("later")
    client.pause_queue("later")
    with Dag("twice") as dag:
        first = dag.job("fail", {"until": 2}, id="first", retry_limit=0)
        dag.job("echo", {}, id="second", after=first, queue="later")
    run = client.wait_dag(client.submit_dag(dag).id)
    visit(browser, server, f"/runs/{run.id}")
    browser.find(".lead .state", "Failed")
    browser.click(".actions button", "Resume")
    browser.click("dialog button[type=submit]")
    browser.find(".graph .node.tone-completed", "first")
    browser.click(".actions button", "Cancel")
    browser.type("#field-reason", "enough")
    browser.click("dialog button[type=submit]")
    browser.find(".lead .state", "Cancelled")
    assert client.dag(run.id).state == "CANCELLED"


def test_many_are_moved_and_retried_at_once(browser: Browser, server: Server, client: Client) -> None:
    ids = waiting(client, "several", 3)
    visit(browser, server, "/jobs?queue=several")
    for deed, told in (("Priority", "3 jobs done"), ("Cancel", "3 jobs done"), ("Retry", "3 jobs done")):
        browser.click("thead input[type=checkbox]")
        browser.click(".bulk button", deed)
        browser.click("dialog button[type=submit]")
        browser.find(".toasts", told)
        browser.click(".toasts .bare")
        browser.gone(".bulk")
    assert {(client.get(job_id).priority, client.get(job_id).state) for job_id in ids} == {(8, "CREATED")}
    assert {entry.action for entry in client.audit(max_entries=3)} == {"job.reprioritise", "job.cancel", "job.retry"}
