"""The console of the deployed template, in a real browser: the page is served, a token signs in, a job is watched."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from cloud import Cloud, token
from webdriver import Browser

from tidegate import runtime

_LEFT_OUT = {"connection", "content-encoding", "content-length", "date", "host", "server", "transfer-encoding"}


@pytest.fixture(scope="module")
def site(cloud: Cloud) -> Iterator[str]:
    """The stage's API at the root of an address, as a deployed stage has it; the emulator keeps it below a path."""
    with httpx.Client(timeout=30) as upstream:

        class Relay(BaseHTTPRequestHandler):
            def relay(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name: value for name, value in self.headers.items() if name.lower() not in _LEFT_OUT}
                answer = upstream.request(self.command, cloud.url + self.path, headers=headers, content=body)
                self.send_response(answer.status_code)
                for name, value in answer.headers.items():
                    if name not in _LEFT_OUT:
                        self.send_header(name, value)
                self.send_header("content-length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            do_GET = do_POST = relay  # noqa: N815 - so the server calls them

            def log_message(self, *_: object) -> None:
                """Nothing: the browser tells what fails."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Relay)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        server.server_close()


def test_the_page_and_its_files_need_no_token_and_all_else_does(cloud: Cloud) -> None:
    root = httpx.get(f"{cloud.url}/")
    assert (root.status_code, root.headers["location"]) == (302, "/console")
    page = httpx.get(f"{cloud.url}/console")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    script = page.text.partition('type="module" src="')[2].partition('"')[0]
    found = httpx.get(cloud.url + script)
    assert (found.status_code, found.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert "startRouting()" in found.text
    assert httpx.get(f"{cloud.url}/whoami").status_code in (401, 403)


def test_one_signs_in_and_watches_a_job(window: Browser, site: str, app: runtime.App) -> None:
    window.size(1360, 900)
    window.open(f"{site}/console/jobs")
    window.type("#token", token(app), enter=True)
    window.find(".hearing", "Asking")  # no stream of events in the cloud
    window.click(".actions button", "New job")
    window.type("#field-name", "echo")
    window.type("#field-data", '{"text": "seen in a browser"}')
    window.click("dialog button[type=submit]")
    window.find(".lead .state", "Completed")
    window.find(".json", "seen in a browser")
    window.run("document.querySelector('a[href=\"/console\"]').click()")
    window.find(".strip", "Completed")
    window.find(".hearing", "Asking")
    assert window.errors() == []
