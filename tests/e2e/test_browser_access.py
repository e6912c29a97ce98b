"""The console for everybody: by keyboard alone, readable in both lights, told to readers of the screen, on a phone."""

from __future__ import annotations

import pytest
from accessibility import contrast_faults, focus_faults, name_faults
from embedded import Server
from visiting import EVERYWHERE, visit, waiting
from webdriver import Browser

from tidegate import Client

TITLES = ("Overview", "Jobs", "Runs", "Schedules", "Queues", "Workers", "Costs", "Dead letters", "Audit log", "Tokens")
KEYS = dict(zip("ojrsqwcdat", zip(EVERYWHERE, TITLES, strict=True), strict=True))
"""Path and title of each page of the rail, by the key that follows g."""
PAPERS = {"light": "rgb(245, 243, 238)", "dark": "rgb(10, 20, 24)"}
PAPER = "return getComputedStyle(document.documentElement).backgroundColor"


@pytest.fixture(scope="module")
def pages(client: Client) -> list[str]:
    """Every page of the rail, and one of each kind below it, with something on it."""
    (held,) = waiting(client, "access", tags=["a-tag"], metadata={"team": "docs"})
    failed = client.wait(client.submit("refuse").id).id
    client.create_schedule(name="for-all", expression="0 2 * * *", job={"name": "echo", "queue": "access"})
    return [*EVERYWHERE, f"/jobs/{held}", f"/jobs/{failed}", "/queues/access", "/schedules/for-all"]


def test_every_page_of_the_rail_has_its_key(browser: Browser, server: Server) -> None:
    visit(browser, server, "/tokens")
    for key, (path, title) in KEYS.items():
        browser.press("g", key)
        browser.find("h1", title)
        assert browser.url.rstrip("/") == f"{server.url}/console{path}".rstrip("/")
    assert len(browser.texts(".rail > ul > li:not(.phone-only)")) == len(KEYS)


def test_rows_are_chosen_and_opened_by_keys(browser: Browser, server: Server, client: Client) -> None:
    first, second = waiting(client, "keys", 2)
    visit(browser, server, "/jobs?queue=keys")
    browser.find(".rows tbody tr")
    browser.press("j", "j", "k", "j", "x")  # the newest is on top: the second row is the first job
    browser.find(".bulk", "1 chosen")
    assert browser.texts(".rows tr.chosen a.mono") == [f"…{first[-8:]}"]
    browser.press("x")
    browser.gone(".bulk")
    browser.press("k", "Enter")
    browser.find(".head .id", second)


def test_keys_are_told_and_dialogs_keep_the_focus(browser: Browser, server: Server) -> None:
    visit(browser, server, "/jobs")
    browser.press("?")
    browser.find("dialog h2", "Keys")
    assert len(browser.texts("dialog dl > div")) >= len(KEYS)
    browser.press("Escape")
    browser.gone("dialog")
    browser.run("document.querySelector('.actions button.main').focus()")
    browser.press("Enter")
    browser.find("dialog #field-name")
    browser.press(*["Tab"] * 12)
    assert browser.run(
        "return document.activeElement.closest('dialog') !== null || document.activeElement === document.body"
    )
    browser.press("Escape")
    browser.gone("dialog")
    focused = "return document.activeElement.tagName + document.activeElement.textContent"
    browser.until(lambda: browser.run(focused) == "BUTTONNew job", "the focus to be where it was")
    browser.press("/")
    assert browser.run("return document.activeElement.id") == "jump"


def test_tab_reaches_everything_and_its_focus_is_seen(browser: Browser, server: Server, pages: list[str]) -> None:
    faults = {}
    for path in (pages[0], *pages[-4:]):
        visit(browser, server, path)
        faults[path] = focus_faults(browser, 60)
    assert {path: found for path, found in faults.items() if found} == {}


def test_every_page_can_be_read_in_both_lights_and_on_a_phone(
    browser: Browser, server: Server, pages: list[str]
) -> None:
    faults = {}
    for path in pages:
        browser.size(1360, 900)
        visit(browser, server, path)
        faults[path] = name_faults(browser)
        for light, paper in PAPERS.items():
            browser.room(light)
            assert browser.run(PAPER) == paper
            faults[path] += contrast_faults(browser)
        browser.size(390, 844)
        browser.until(
            lambda: browser.run("return document.documentElement.scrollWidth") <= 390, f"{path} to fit a phone"
        )
    assert {path: found for path, found in faults.items() if found} == {}


def test_a_chosen_light_outlives_the_visit(browser: Browser, server: Server) -> None:
    visit(browser, server, "/")
    seen = []
    for _ in range(2):
        browser.click("button[aria-label^='Colours']")
        visit(browser, server, "/")
        seen.append(browser.run(PAPER))
    assert seen == [PAPERS["light"], PAPERS["dark"]]
    browser.click("button[aria-label^='Colours']")
    assert browser.run(PAPER) == PAPERS["light"], "as the system again"


def test_a_phone_reaches_every_page_and_every_button(browser: Browser, server: Server) -> None:
    browser.size(390, 844)
    visit(browser, server, "/jobs")
    small = """const pressed = "main button, main select, main input:not([type=checkbox]), .rail a";
      return [...document.querySelectorAll(pressed)].filter((each) => each.checkVisibility())
        .filter((each) => each.getBoundingClientRect().height < 24).map((each) => each.outerHTML)"""
    assert browser.run(small) == []
    shown = browser.texts(".rail > ul > li:not(.no-phone, .phone-only)") + browser.texts(".more li")
    assert shown == [title for _, title in KEYS.values()]
    browser.click(".more summary")
    browser.click(".more a", "Dead letters")
    browser.find("h1", "Dead letters")
    browser.gone(".more a")


@pytest.mark.parametrize(
    ("harm", "fault"),
    [
        ("document.styleSheets[0].insertRule(':focus-visible { outline: none !important }')", "focus is not seen"),
        (
            "document.querySelector('.me summary').tabIndex = -1; document.querySelector('.rail a').inert = true",
            "not reached",
        ),
        ("document.styleSheets[0].insertRule('.faint, h1 { color: #b0a890 !important }')", "contrast"),
        ("document.styleSheets[0].insertRule('select { border-color: #eeeeee !important }')", "border"),
        ("document.querySelector('button[aria-label^=Colours]').removeAttribute('aria-label')", "nameless"),
        ("document.querySelector('main h1').id = 'jump'", "jump is the id of several"),
    ],
)
def test_what_is_wrong_is_found(browser: Browser, server: Server, pages: list[str], harm: str, fault: str) -> None:
    """The checks of this file see what they are to see."""
    visit(browser, server, "/jobs")
    browser.run(harm)
    found = contrast_faults(browser) + name_faults(browser) + focus_faults(browser, 60)
    assert any(fault in each for each in found), found


def test_a_page_that_is_deaf_to_keys_is_found(browser: Browser, server: Server) -> None:
    """Keys take effect at once, so that a page that does not hear them stays where it is."""
    visit(browser, server, "/jobs")
    browser.run("addEventListener('keydown', (event) => event.stopImmediatePropagation(), { capture: true })")
    browser.press("g", "q")
    assert browser.url.endswith("/console/jobs")
    assert browser.text("h1") == "Jobs"
