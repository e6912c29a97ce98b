"""The console against those who mean harm: hostile words in every field, its policy, tokens, readers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from embedded import Server
from visiting import EVERYWHERE, sign_in, token_for, token_of, visit, waiting
from webdriver import Browser

from tidegate import Client, Dag, runtime
from tidegate.domain.errors import TidegateError
from tidegate.service.bury import put_aside

HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
SHORT = "<img src=x onerror=alert(1)>"
PLANTED = "return document.querySelectorAll('img, #app script, iframe, object, [onerror], [onclick]').length"


def test_one_signs_in_with_a_token_and_out_again(window: Browser, server: Server) -> None:
    sign_in(window, server, "")
    window.errors()
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


@pytest.fixture(scope="module")
def hostile(server: Server, client: Client) -> Mapping[str, list[str]]:
    """By the path of a page, where hostile words are shown as text."""
    names: dict[str, Any] = {
        "tags": [SHORT],
        "metadata": {"note": HOSTILE},
        "data": {"text": HOSTILE, HOSTILE: HOSTILE},
    }
    done = client.submit("shout", **names)
    failed = client.submit("shout", **{**names, "data": {"text": HOSTILE, "fails": True}})
    client.put_queue("hostile")
    client.pause_queue("hostile", HOSTILE)
    held = client.submit("echo", queue="hostile")
    gone = client.submit("echo", queue="hostile")
    client.cancel(gone.id, HOSTILE)
    with Dag("hostile", tags=[SHORT], metadata={"note": HOSTILE}) as dag:
        dag.job("echo", {}, id="only", queue="hostile")
    run = client.submit_dag(dag)
    client.create_schedule(name="hostile", expression="0 2 * * *", job={"name": "echo", "data": {HOSTILE: HOSTILE}})
    client.disable_schedule("hostile", HOSTILE)
    client.create_token("mallory", ["read"], note=HOSTILE[:100])
    ports = runtime.embedded(server.data).ports
    put_aside(ports, HOSTILE, "default/normal", HOSTILE)
    ports.close()
    assert (client.wait(done.id).state, client.wait(failed.id).state) == ("COMPLETED", "FAILED")
    return {
        f"/jobs/{done.id}": [".json-panel[aria-label=Data]", ".json-panel[aria-label=Result]", ".tag", ".log .lines"],
        f"/jobs/{failed.id}": [".error-box", ".why", ".attempts + table", ".log .lines"],
        f"/jobs/{held.id}": [".why"],
        f"/jobs/{gone.id}": [".remark", ".why"],
        "/jobs": [".rows .tag", ".rows .under"],
        "/": [".message", ".remark"],
        f"/runs/{run.id}": [".facts"],
        "/queues": [".rows .under"],
        "/queues/hostile": [".problem"],
        "/schedules/hostile": [".lead", ".json-panel"],
        "/dead": [".rows .name", ".rows .under"],
        "/audit": [".rows .under"],
        "/tokens": [".rows .under"],
    }


def test_hostile_words_are_shown_as_text_wherever_they_are_shown(
    browser: Browser, server: Server, hostile: Mapping[str, list[str]]
) -> None:
    for path, places in hostile.items():
        visit(browser, server, path)
        for place in places:
            browser.find(place, SHORT[:11])
        assert browser.run("return document.title") != "taken", path
        assert browser.run(PLANTED) == 0, path


def test_hostile_words_in_addresses_are_text(browser: Browser, server: Server) -> None:
    words = "%3Cimg%20src%3Dx%3E"
    for path in (f"/jobs?tag={words}&metadata=a%3D{words}", f"/jobs?cursor={words}", f"/jobs/{words}", f"/{words}"):
        browser.open(f"{server.url}/console{path}")
        browser.find("h1, .nothing.failed")
        assert browser.run(PLANTED) == 0, path
    browser.errors()  # refusals, which browsers tell of


def test_what_is_planted_after_all_is_stopped_by_the_policy(browser: Browser, server: Server) -> None:
    """The last line of defence, tried in the browser: no inline code, no markup of text, no word to others."""
    visit(browser, server, "/")
    markup = "try { document.body.innerHTML = arguments[0]; return 'made' } catch (error) { return error.name }"
    assert browser.run(markup, HOSTILE) == "TypeError"
    inline = "const s = document.createElement('script'); s.append('document.title = 1'); "
    browser.run(inline + "try { document.head.append(s) } catch { }")
    assert browser.run("return document.title") != "1"
    told = "return fetch('http://127.0.0.1:9/').then(() => 'told', (error) => error.name)"
    assert browser.run(told) == "TypeError"
    told_of = "\n".join(browser.errors())
    for wanted in ("'TrustedHTML'", "'TrustedScript'", "connect-src 'self'"):
        assert wanted in told_of


def test_a_reader_sees_all_and_can_change_nothing(browser: Browser, server: Server, client: Client) -> None:
    (job_id,) = waiting(client, "readonly")
    client.create_schedule(name="readonly", expression="0 2 * * *", job={"name": "echo"})
    reader = token_for(server, "admin", "read")
    sign_in(browser, server, reader)
    others = (f"/jobs/{job_id}", "/queues/readonly", "/schedules/readonly")
    for path in (*EVERYWHERE[:6], *others):
        visit(browser, server, path)
        assert browser.texts("main .actions button:not(.switch *), main .pick") == [], path
    assert not {"Tokens", "Dead letters", "Audit log"} & set(browser.texts(".rail li"))
    with Client(server.url, reader) as other:
        for deed in (
            lambda: other.cancel(job_id),
            lambda: other.pause_queue("readonly"),
            lambda: other.submit("echo"),
            lambda: other.trigger_schedule("readonly"),
            lambda: list(other.audit()),
        ):
            with pytest.raises(TidegateError, match="scope"):
                deed()
