"""What operators do in the console: queues, schedules, workers, dead letters, tokens, and the log of who did it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from embedded import Server
from visiting import visit
from webdriver import Browser

from tidegate import Client, runtime
from tidegate.domain.ticket import encode, ticket_for
from tidegate.ports import JobKey, Ports
from tidegate.service.bury import put_aside


@pytest.fixture
def ports(server: Server) -> Iterator[Ports]:
    """The server's home, to put things in that no user could."""
    made = runtime.embedded(server.data).ports
    yield made
    made.close()


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


def test_workers_are_seen_and_that_none_of_them_serves_a_job(browser: Browser, server: Server, client: Client) -> None:
    alone = client.submit("nobody-serves-me")
    visit(browser, server, "/workers")
    browser.until(lambda: len(browser.texts(".workers li")) == 2, "two workers")
    browser.find(".head .note", "2 workers")
    visit(browser, server, "/")
    browser.find(".remark", "nobody-serves-me in default. Not started: none of the 2 workers")
    client.cancel(alone.id)


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


def test_what_jobs_have_cost_is_told_by_day_and_queue(browser: Browser, server: Server, client: Client) -> None:
    client.put_queue("dear")
    client.wait(client.submit("echo", queue="dear").id)
    visit(browser, server, "/")
    browser.find(".strip", "Cost today$0.")
    browser.click(".strip dt a", "Cost today")
    browser.find("h1", "Costs")
    browser.find("td a", "dear")
    told = client.costs()["queues"]["dear"]
    assert 0 < told < 0.01
    (row,) = [text for text in browser.texts(".plain tbody tr") if "dear" in text]
    assert float(row.partition("$")[2]) == pytest.approx(told, rel=0.1)
    browser.run("document.querySelector('.days svg').focus()")
    browser.press("ArrowLeft")
    browser.find(".days figcaption", "dear $0.")
    client.change_tenant(daily_budget=100)
    browser.click(".switch button", "7 days")
    browser.find(".budgets", "of $100.00")
    client.change_tenant(daily_budget=None)
    browser.until(lambda: "days=7" in browser.url, "the span in the address")


def test_past_times_of_a_schedule_are_run(browser: Browser, server: Server, client: Client) -> None:
    client.create_schedule(name="daily", expression="0 2 * * *", job={"name": "echo"})
    visit(browser, server, "/schedules/daily")
    browser.click(".actions button", "Backfill")
    browser.set("#field-from", "2026-03-01T00:00")
    browser.set("#field-until", "2026-03-04T00:00")
    browser.click("dialog button[type=submit]")
    browser.find(".toasts", "3 past runs")
    browser.until(lambda: browser.texts(".main-side tbody .state") == ["Completed"] * 3, "them among the latest times")
    assert len(browser.texts(".spark a.tone-completed")) == 3
    browser.click(".facts a", "all that it made")
    browser.find("h1", "Jobs")
    browser.until(lambda: browser.texts(".rows .state") == ["Completed"] * 3, "three jobs of past times")
    assert len(list(client.list(tag="schedule:daily", state="COMPLETED"))) == 3


def test_one_dead_letter_is_dropped_and_the_other_stays(browser: Browser, server: Server, ports: Ports) -> None:
    for word in ("one", "other"):
        put_aside(ports, f"{word} letter", "default/normal", f"the {word} is no ticket")
    visit(browser, server, "/dead")
    before = len(browser.texts(".rows tbody tr"))
    assert browser.run("return document.querySelector('.actions .danger').disabled"), "nothing is chosen yet"
    browser.click("input[aria-label='Choose the one is no ticket']")
    browser.click(".actions button", "Drop")
    browser.click("dialog button[type=submit]")
    browser.find(".toasts", "1 dropped")
    browser.gone(".rows", "the one is no ticket")
    browser.find(".rows", "the other is no ticket")
    assert len(browser.texts(".rows tbody tr")) == before - 1


def test_a_dead_letter_is_sent_again_and_its_job_runs(
    browser: Browser, server: Server, client: Client, ports: Ports
) -> None:
    """Its job's ticket was lost to the dead letters; a letter that is still no ticket stays where it is."""
    client.put_queue("lost")
    client.pause_queue("lost")
    job = client.submit("echo", queue="lost")
    held = ports.jobs.get([JobKey("main", job.id)])[0]
    assert held is not None
    put_aside(ports, encode(ticket_for(held)), "default/normal", "received too often")
    put_aside(ports, "never a ticket", "default/normal", "it is not JSON")
    visit(browser, server, "/dead")
    for reason in ("received too often", "it is not JSON"):
        browser.click(f"input[aria-label='Choose {reason}']")
    browser.click(".actions button", "Send 2 again")
    browser.click("dialog button[type=submit]")
    browser.find(".toasts", "1 sent again, 1 still no ticket")
    browser.gone(".rows", "received too often")
    browser.find(".rows", "it is not JSON")
    client.resume_queue("lost")
    assert client.wait(job.id).state == "COMPLETED"


def test_what_was_done_is_in_the_log_with_who_did_it(browser: Browser, server: Server, client: Client) -> None:
    client.put_queue("audited")
    client.pause_queue("audited", "the books are closed")
    visit(browser, server, "/audit")
    row = browser.texts(".rows tbody tr:first-child td")
    assert ("queue: pause" in row[0], "the books are closed" in row[0], row[1], row[2]) == (
        True,
        True,
        "audited",
        "admin",
    )
    browser.click(".rows tbody tr:first-child a", "audited")
    browser.find(".problem", "the books are closed")
