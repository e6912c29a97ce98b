"""`python tests/e2e/screenshots.py`: photographs the console's pages, as `docs/images` keeps some of them.

The scene is made anew each time; what is shown of it depends on the time of day, so pictures differ from run to run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from embedded import Server  # noqa: E402
from scene import Now, a_day_of_work  # noqa: E402
from webdriver import Browser, programs  # noqa: E402

HANDLERS = Path(__file__).with_name("scene_handlers.py")
IMAGES = ROOT / "docs" / "images"
SIZES = {"desktop": (1280, 840), "phone": (390, 844)}
PICTURES = (
    ("overview", "desktop", "light"),
    ("overview", "phone", "dark"),
    ("jobs", "desktop", "light"),
    ("waiting", "desktop", "light"),
    ("failed", "phone", "light"),
    ("run", "desktop", "dark"),
)
"""Those that the documents show."""


def paths(ids: Mapping[str, str]) -> dict[str, str]:
    """Every page by the name of its picture."""
    return {
        "overview": "/",
        "jobs": "/jobs",
        "running": f"/jobs/{ids['running']}",
        "waiting": f"/jobs/{ids['waiting']}",
        "failed": f"/jobs/{ids['failed']}",
        "runs": "/runs",
        "run": f"/runs/{ids['run']}",
        "schedules": "/schedules",
        "schedule": f"/schedules/{ids['schedule']}",
        "queues": "/queues",
        "queue": "/queues/mail",
        "workers": "/workers",
        "costs": "/costs",
        "dead": "/dead",
        "audit": "/audit",
        "tokens": "/tokens",
    }


def main() -> int:
    """Make the scene and photograph it."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[2])
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="every page in both sizes and lights, into a folder")
    options = parser.parse_args()
    found = programs()
    if found is None:
        sys.stderr.write("chromium and chromedriver are not installed\n")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        a_day_of_work(data)
        server = Server(data, workers=6, handlers=HANDLERS).start()
        browser = Browser(Path(folder) / "profile", *found)
        try:
            with server.client() as client:
                now = Now(client, data)
                now.arrange()
                photograph(browser, server, now.ids, options.all)
        finally:
            browser.close()
            server.stop_if_running()
    return 0


def photograph(browser: Browser, server: Server, ids: Mapping[str, str], everything: Path | None) -> None:
    """Take the pictures of the documents into `docs/images`, or all that there are into a folder."""
    wanted: tuple[tuple[str, str, str], ...] = PICTURES
    if everything:
        wanted = tuple((name, size, light) for size in SIZES for light in ("light", "dark") for name in paths(ids))
    folder = everything or IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    browser.open(f"{server.url}/console/")
    browser.find(".signin")
    browser.run("sessionStorage.setItem('tidegate.token', arguments[0])", (server.data / "token").read_text().strip())
    for name, size, light in wanted:
        browser.room(light)
        browser.size(*SIZES[size])
        browser.open(f"{server.url}/console{paths(ids)[name]}")
        browser.find("h1")
        browser.gone("[aria-busy=true]")
        browser.settle()
        browser.screenshot(folder / f"{name}-{size}-{light}.png", whole=everything is not None)


if __name__ == "__main__":
    raise SystemExit(main())
