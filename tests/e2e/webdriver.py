"""A headless Chromium, spoken to in the W3C WebDriver protocol: all that the tests of the console need of it."""

from __future__ import annotations

import base64
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx

T = TypeVar("T")
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--force-color-profile=srgb", "--hide-scrollbars",
)  # fmt: skip
KEYS = {
    "Enter": "\ue007", "Escape": "\ue00c", "Tab": "\ue004",
    "ArrowDown": "\ue015", "ArrowRight": "\ue014", "ArrowLeft": "\ue012",
}  # fmt: skip


def programs() -> tuple[str, str] | None:
    """Chromium and its driver; None where they are not installed."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


class Browser:
    """One window. Elements are found by CSS selector, or by what they say; every look waits until it finds."""

    def __init__(self, profile: Path, browser: str, driver: str, wait_seconds: float = 15.0) -> None:
        port = _free_port()
        self._wait = wait_seconds
        self._driver = subprocess.Popen(
            [driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
        try:
            self._session = self._open(profile, browser)
        except BaseException:
            self.close()
            raise

    def _open(self, profile: Path, browser: str) -> str:
        options = {"binary": browser, "args": [*_FLAGS, f"--user-data-dir={profile}", "--window-size=1360,900"]}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        end = time.monotonic() + 60
        while True:
            try:
                answer = self._http.post("/session", json={"capabilities": {"alwaysMatch": wanted}})
                break
            except httpx.ConnectError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        value = answer.json()["value"]
        assert "sessionId" in value, value
        return f"/session/{value['sessionId']}"

    def close(self) -> None:
        """End browser and driver."""
        try:
            if hasattr(self, "_session"):
                self._http.delete(self._session)
        finally:
            self._http.close()
            self._driver.terminate()
            self._driver.wait(20)

    def open(self, url: str) -> None:
        """Load a page."""
        self._do("POST", "/url", url=url)

    @property
    def url(self) -> str:
        """The address shown."""
        return str(self._do("GET", "/url"))

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns; a promise is waited for."""
        return self._do("POST", "/execute/sync", script=script, args=list(arguments))

    def devtools(self, command: str, **parameters: Any) -> Any:
        """A command of the browser's developer tools."""
        return self._do("POST", "/goog/cdp/execute", cmd=command, params=parameters)

    def find(self, selector: str, text: str | None = None) -> str:
        """The first visible element that fits a selector, and contains a text if one is given."""
        return self.until(lambda: self._found(selector, text), f"{selector} {text or ''}")

    def gone(self, selector: str, text: str | None = None) -> None:
        """Wait until no visible element fits."""
        self.until(lambda: self._found(selector, text) is None, f"{selector} {text or ''} to go")

    def click(self, selector: str, text: str | None = None) -> None:
        """Click an element, once it can be reached; one that was drawn anew meanwhile is found again."""
        self.until(lambda: self._try("click", selector, text, {}), f"{selector} {text or ''} to be clicked")

    def type(self, selector: str, text: str, *, enter: bool = False) -> None:
        """Write into an input, in the place of what it says."""
        self.find(selector)
        clear = "const e=document.querySelector(arguments[0]); e.focus(); e.select?.()"
        self.run(clear, selector)
        keys = {"text": text + (KEYS["Enter"] if enter else "")}
        self.until(lambda: self._try("value", selector, None, keys), f"{selector} to be written into")

    def set(self, selector: str, value: str) -> None:
        """Give an input a value that is hard to write with keys, such as a time."""
        self.find(selector)
        script = "const input = document.querySelector(arguments[0]); input.value = arguments[1];"
        self.run(f"{script} input.dispatchEvent(new Event('input'))", selector, value)

    def press(self, *keys: str) -> None:
        """Press keys one after the other, wherever the focus is."""
        codes = [KEYS.get(key, key) for key in keys]
        actions = [{"type": kind, "value": code} for code in codes for kind in ("keyDown", "keyUp")]
        self._do("POST", "/actions", actions=[{"type": "key", "id": "keyboard", "actions": actions}])

    def text(self, selector: str) -> str:
        """What an element says."""
        return str(self._do("GET", f"/element/{self.find(selector)}/text"))

    def texts(self, selector: str) -> list[str]:
        """What all elements say that fit."""
        return list(self.run("return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector))

    def errors(self) -> list[str]:
        """What the browser's console has complained of since it was last asked."""
        log = self._do("POST", "/se/log", type="browser")
        return [entry["message"] for entry in log if entry["level"] in {"SEVERE", "WARNING"}]

    def size(self, width: int, height: int) -> None:
        """Make the window so large; small ones are shown as a phone would."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 640}
        self.devtools("Emulation.setDeviceMetricsOverride", **metrics)

    def room(self, scheme: str) -> None:
        """Prefer `light` or `dark` colours, as a system's settings would."""
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def settle(self) -> None:
        """Wait until fonts are there and no transition goes on that will end."""
        self.run("return document.fonts.ready.then(() => true)")
        going = "return document.getAnimations().filter((a) => a.effect.getComputedTiming().endTime !== Infinity"
        self.until(lambda: self.run(f"{going} && a.playState === 'running').length") == 0, "the page to be still")

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Keep what is shown, or with `whole` the page down to its end."""
        taken = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(taken["data"]))

    def until(self, look: Callable[[], T | None], what: str) -> T:
        """Look again and again until there is an answer. Raises AssertionError when it does not come."""
        end = time.monotonic() + self._wait
        while True:
            found = look()
            if found:
                return found
            assert time.monotonic() < end, f"waited {self._wait:g} s for {what} on {self.url}\n{self._page()}"
            time.sleep(0.05)

    def _page(self) -> str:
        return str(self.run("return document.body.innerText"))[:2_000]

    def _found(self, selector: str, text: str | None) -> str | None:
        script = (
            "return [...document.querySelectorAll(arguments[0])].find((e) => e.checkVisibility() &&"
            " (arguments[1] === null || e.textContent.includes(arguments[1]))) ?? null"
        )
        element = self.run(script, selector, text)
        return None if element is None else str(element[_ELEMENT])

    def _try(self, deed: str, selector: str, text: str | None, body: Mapping[str, Any]) -> bool:
        element = self._found(selector, text)
        if element is None:
            return False
        answer = self._http.post(f"{self._session}/element/{element}/{deed}", json=body)
        return answer.status_code == 200

    def _do(self, method: str, path: str, **body: Any) -> Any:
        answer = self._http.request(method, self._session + path, json=body if method == "POST" else None)
        value = answer.json()["value"]
        assert answer.status_code == 200, value
        return value


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
