"""Take the pictures of the dashboard: `python3 dev bench screenshots`.

Runs the reference backend with its own database servers, once as it is and once with two components that are made to fail, posts articles so
that there is something to see, and writes `docs/images/dashboard*.webp`. The ports are free ones; the pictures show those of the declaration.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.support.newsdesk import TEXT, environment_of_a_user
from benchmarks.support.ports import free_port
from benchmarks.support.servers import BACKEND

TARGET = BACKEND.parents[1] / "docs" / "images"
LARGEST = 100_000
"""Bytes that one picture may have."""

QUALITY = 85
"""Of WebP, from 0 to 100; letters stay sharp."""

PATIENCE = 120.0
"""Seconds that the backend may take to start."""

ARTICLES = 100
PAUSE = 1.0
"""Articles posted while the figures are collected, and seconds between two."""

DECLARED_PORTS = ("8000", "15432", "16379", "17687")
API_PORT = "8000"

TROUBLE = """
[components.translator]
run = "agents.translator:run"
depends_on = ["redis"]

[components.mailer]
command = ["python", "-c", "import sys, time; time.sleep(2); sys.exit('connection refused: smtp.example.com:587')"]
depends_on = ["redis"]
restart = { delay = "25s", max_delay = "25s" }
"""
"""One component that can never start, and one that was ready for a moment and is tried again."""

SHOW = """
(pairs) => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    let text = walker.currentNode.data;
    for (const [used, shown] of pairs) text = text.replaceAll(used, shown);
    if (text !== walker.currentNode.data) walker.currentNode.data = text;
  }
}
"""
"""Replaces what is true here only: free ports, and the temporary directory."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: the name of its file, how the page is looked at, and what is opened on it."""

    name: str
    scheme: Literal["light", "dark"]
    width: int
    height: int
    opened: str = ""
    tab: str = "Log"


@dataclass(frozen=True, slots=True)
class Run:
    """One life of the backend: its mode, what is added to its declaration, and the pictures that are taken of it."""

    mode: str
    trouble: str
    pictures: tuple[Picture, ...]


RUNS = (
    Run("multi", "", (Picture("dashboard", "light", 1280, 700, "api"),)),
    Run(
        "single",
        TROUBLE,
        (
            Picture("dashboard-dark", "dark", 1280, 760),
            Picture("dashboard-failure", "light", 1280, 760, "mailer", "Events"),
            Picture("dashboard-narrow", "light", 360, 720),
        ),
    ),
)


def main() -> int:
    """Run the backend, look at it, and write the pictures."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("there is no chromium on PATH; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for run in RUNS:
            with tempfile.TemporaryDirectory(prefix="bench-") as name:
                look(browser, run, Path(name))
        browser.close()
    return 0


def look(browser: Browser, run: Run, directory: Path) -> None:
    """Take the pictures of one run."""
    with backend(run, directory) as (link, shown):
        page = opened(browser, link)
        for number in range(ARTICLES):
            post(shown, number)
            page.wait_for_timeout(PAUSE * 1000)
        for picture in run.pictures:
            take(page, picture, {**shown, str(directory): "/srv/newsdesk"})


@contextmanager
def backend(run: Run, directory: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Run the backend; yields a link to its dashboard, and the port declared for each one used."""
    shown = {str(free_port()): declared for declared in DECLARED_PORTS}
    declaration = (BACKEND / "launcher.toml").read_text() + run.trouble
    for used, declared in shown.items():
        declaration = re.sub(rf"\b{declared}\b", used, declaration)
    (directory / "launcher.toml").write_text(declaration)
    (directory / "src").symlink_to(BACKEND / "src")
    user = environment_of_a_user()
    for name in ("POSTGRES_URL", "REDIS_URL", "NEO4J_URL"):
        user.pop(name, None)

    def launcher(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["launcher", *words], cwd=directory, env=user, capture_output=True, text=True, check=False
        )

    try:
        started = launcher("up", "-d", "--keep-going", "--mode", run.mode, "--api", str(free_port()))
        link = launcher("dashboard", "--print").stdout.strip()
        if not link:
            raise SystemExit(f"the backend did not start:\n{started.stderr}")
        yield link, shown
    finally:
        launcher("down")


def opened(browser: Browser, link: str) -> Page:
    """Return a page that shows the components."""
    page = browser.new_context(locale="en-GB").new_page()
    page.goto(link)
    page.locator('[data-name="api"][data-phase="ready"]').wait_for(timeout=PATIENCE * 1000)
    return page


def post(shown: Mapping[str, str], number: int) -> None:
    """Post an article, for the agents to work on."""
    port = next(used for used, declared in shown.items() if declared == API_PORT)
    body = json.dumps({"id": f"apollo-{number}", "title": "Apollo 11", "body": TEXT}).encode()
    address = f"http://127.0.0.1:{port}/articles"
    with urllib.request.urlopen(
        urllib.request.Request(address, body, {"content-type": "application/json"}), timeout=PATIENCE
    ):
        pass


def take(page: Page, picture: Picture, shown: Mapping[str, str]) -> None:
    """Write one picture."""
    page.set_viewport_size({"width": picture.width, "height": picture.height})
    page.emulate_media(color_scheme=picture.scheme)
    page.keyboard.press("Escape")
    if picture.opened:
        page.locator(f'[data-name="{picture.opened}"]').click()
        page.get_by_role("tab", name=picture.tab).click()
    # The focus ring belongs to whoever uses the keyboard.
    page.evaluate("document.activeElement.blur()")
    page.locator(".line, .event").first.wait_for(state="attached")
    steady = page.locator('.row:is([data-phase="starting"], [data-phase="waiting"])')
    steady.first.wait_for(state="detached", timeout=PATIENCE * 1000)
    page.evaluate(SHOW, list(shown.items()))
    # Playwright itself writes PNG only, which is four times as large.
    shot = page.context.new_cdp_session(page).send(
        "Page.captureScreenshot", {"format": "webp", "quality": QUALITY}
    )
    data = base64.b64decode(shot["data"])
    if len(data) > LARGEST:
        raise SystemExit(f"{picture.name} has {len(data)} bytes, at most {LARGEST} are wanted")
    path = TARGET / f"{picture.name}.webp"
    path.write_bytes(data)
    print(f"{path.name}: {len(data)} bytes", flush=True)


if __name__ == "__main__":
    sys.exit(main())
