"""How the console's files are served: to everybody, strictly, and cached by what they hold."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from gateway import Answer, Api

from home import Home
from tidegate import runtime
from tidegate.console.files import TYPES, build_of
from tidegate.local.http import Gateway

STATIC = Path(str(files("tidegate.console") / "static"))
SOURCES = [
    path for path in STATIC.rglob("*") if path.suffix in {".js", ".css", ".html"} and path.parent.name != "vendor"
]
AT = f"/console/static/{build_of()}"


def content(answer: Answer) -> bytes:
    raw = base64.b64decode(answer.text)
    return gzip.decompress(raw) if answer.headers.get("content-encoding") == "gzip" else raw


def stranger(api: Api, path: str, method: str = "GET", **headers: str) -> Answer:
    """A request without a token."""
    return api.call(method, path, headers=headers, authorizer={})


@pytest.mark.parametrize("path", ["/console", "/console/", "/console/jobs", "/console/jobs/j%2F1"])
def test_every_path_of_the_console_is_the_page(api: Api, path: str) -> None:
    answer = stranger(api, path)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["cache-control"] == "no-cache"
    assert b"<title>Tidegate</title>" in content(answer)


def test_the_root_leads_to_the_console(api: Api) -> None:
    answer = stranger(api, "/")
    assert (answer.status, answer.headers["location"]) == (302, "/console")


def test_every_file_that_the_page_names_is_there(api: Api) -> None:
    page = content(stranger(api, "/console/")).decode()
    named = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(named) >= 5
    for path in named:
        assert path.startswith(f"{AT}/"), path
        assert stranger(api, path).status == 200, path


def test_files_never_change_under_their_path(api: Api) -> None:
    answer = stranger(api, f"{AT}/main.js")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert stranger(api, "/console/static/0123456789ab/main.js").status == 404
    assert stranger(api, f"{AT}/absent.js").status == 404
    assert stranger(api, f"{AT}/../files.py").status == 404


def test_a_page_that_is_still_current_is_not_sent_again(api: Api) -> None:
    first = stranger(api, "/console/")
    again = stranger(api, "/console/jobs", if_none_match=first.headers["etag"])
    assert (again.status, again.text) == (304, "")
    assert stranger(api, "/console/", if_none_match='"another"').status == 200


def test_text_is_compressed_for_those_who_can_read_it(api: Api) -> None:
    small = stranger(api, f"{AT}/vendor/dagre.mjs", accept_encoding="gzip, br")
    whole = stranger(api, f"{AT}/vendor/dagre.mjs", accept_encoding="identity")
    assert small.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in whole.headers
    assert content(small) == content(whole) == (STATIC / "vendor/dagre.mjs").read_bytes()
    assert len(small.text) < len(whole.text) / 2
    assert small.headers["vary"] == whole.headers["vary"] == "Accept-Encoding"


def test_only_reading_is_possible(api: Api) -> None:
    assert stranger(api, "/console/", "POST").status == 405
    head = stranger(api, "/console/", "HEAD")
    assert (head.status, head.text) == (200, "")


def test_the_policy_allows_own_files_alone(api: Api) -> None:
    for path in ("/console/", f"{AT}/main.js"):
        headers = stranger(api, path).headers
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
        assert policy["require-trusted-types-for"] == "'script'"
        assert not re.search(r"unsafe|https?:|\*|data:", headers["content-security-policy"])
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_sources_keep_to_the_policy(source: Path) -> None:
    """No inline style or code, nothing from elsewhere, no text turned into markup."""
    text = source.read_text()
    assert not re.search(r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|dangerouslySetInnerHTML)\b", text)
    assert not re.search(r"\b(eval|new Function)\s*\(", text)
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style\b|\sstyle=\"|\son\w+=\"", text)
    addresses = re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"'`)]*", re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    assert [each for each in addresses if not each.startswith("http://www.w3.org/")] == []
    assert "localStorage.setItem(TOKEN" not in text


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_sources_can_be_read(source: Path) -> None:
    """Lines that fit a screen, and no file of many stories."""
    lines = source.read_text().splitlines()
    assert [line for line in lines if len(line) > 120] == []
    assert len(lines) < 350


def test_modules_import_files_that_exist() -> None:
    for source in SOURCES:
        for name in re.findall(r"""(?:from|import)\s*\(?["'](\.[^"']+)["']""", source.read_text()):
            assert (source.parent / name).is_file(), f"{source.name} imports {name}"


def test_every_file_has_a_type() -> None:
    assert {path.suffix.removeprefix(".") for path in STATIC.rglob("*") if path.is_file()} <= set(TYPES)


def test_what_others_made_is_as_they_published_it() -> None:
    """Changed by a line as `vendor/README.md` says; a new version comes with its digest."""
    expected = {
        "dagre.mjs": "cf85ac740ad206f01209bf030b903df8bebac87b965042de02b54d7e6a1e4055",
        "hooks.mjs": "13518e8899847145604866b14612f994ed70d894a423b64694b6e764d7b956c9",
        "htm.mjs": "ab33dd3f38059b9be4d5f5350128eefb2356639c4e0bbe9d9e8b3ba75847e9e4",
        "plex-mono-400.woff2": "08949f728dc52d528e69b1667d15c89a5686a4ee9a296ff90983985f99c380f7",
        "plex-sans-400.woff2": "3b646991d30055a93a4ecc499713d4347953a74a947ecab435ab72070cbdab0e",
        "plex-sans-600.woff2": "8960851d691c054ed38e259bdcf1a6190d157b4203ed5bb32c632a863fb8ec2f",
        "preact.mjs": "225d7a773766e6fb2cfcc45274fe41d2059f5782f3f2c4569aa5132a2d3a2902",
    }
    found = {path.name: path for path in (STATIC / "vendor").iterdir() if path.suffix not in {".txt", ".md"}}
    assert {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in found.items()} == expected
    told = (STATIC / "vendor" / "README.md").read_text()
    assert all(f"`{name}`" in told for name in found)


def test_all_of_it_is_small_enough_to_ship_with_every_api() -> None:
    assert sum(path.stat().st_size for path in STATIC.rglob("*") if path.is_file()) < 500_000


@pytest.fixture
def gateway(home: Home) -> Iterator[Gateway]:
    with runtime.use(home.app):
        yield Gateway()


def test_the_embedded_server_needs_no_token_for_the_console_alone(gateway: Gateway) -> None:
    async def status(path: str) -> int:
        sent: list[Mapping[str, Any]] = []

        async def receive() -> Mapping[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Mapping[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}
        await gateway(scope, receive, send)
        return int(sent[0]["status"])

    found = {path: asyncio.run(status(path)) for path in ("/", "/console", f"{AT}/main.js", "/consoles", "/jobs")}
    assert found == {"/": 302, "/console": 200, f"{AT}/main.js": 200, "/consoles": 401, "/jobs": 401}
