"""Fixtures of the browser tests: a real Chromium, a real launcher, and a record of everything that the page did."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from tests.launcher.acceptance.project import Launcher, Project, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""A browser that talks to nobody but the page's own server, also as root in a container."""

PATIENCE = 60_000
"""Milliseconds after which something awaited counts as never happening."""


def chromium() -> str:
    """Return the path of Chromium; where there is none, skip, but not where `dev` installs it."""
    found = shutil.which("chromium")
    if found is not None:
        return found
    reason = "there is no chromium on PATH; on Debian: apt-get install chromium"
    if os.environ.get("CI") == "true" and os.geteuid() == 0 and debian():
        pytest.fail(reason)
    pytest.skip(reason)


def debian() -> bool:
    """Whether the system is Debian, whose Chromium is a package like any other."""
    with contextlib.suppress(OSError):
        return platform.freedesktop_os_release().get("ID") == "debian"
    return False


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for the tests of a module: with it a loop of its own runs, which tests of other modules could not bear."""
    path = chromium()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield started
        started.close()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """An empty project."""
    made = Project(tmp_path)
    yield made
    made.close()


@dataclass
class Dashboard:
    """A running launcher, a browser that is logged in, and what its pages did."""

    project: Project
    port: int
    context: BrowserContext
    complaints: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    requested: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.context.set_default_timeout(PATIENCE)
        self.context.on("request", self._note)
        self.context.on("console", self._hear)
        self.context.on("weberror", lambda error: self.errors.append(str(error.error)))

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _note(self, request: Request) -> None:
        self.requested.add(request.url)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def start(self, *arguments: str) -> Launcher:
        """Start the launcher and wait until everything is ready."""
        return self.project.up_and_ready("--api", str(self.port), *arguments)

    def link(self) -> str:
        """A link that logs in once."""
        done = self.project.run("dashboard", "--print")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def open(self) -> Page:
        """A page that is logged in and shows the components."""
        page = self.context.new_page()
        page.goto(self.link())
        page.locator("#list [role=option]").first.wait_for()
        return page

    @property
    def violations(self) -> list[str]:
        """What the browser refused because of the Content Security Policy."""
        return [text for text in self.complaints if "Content Security Policy" in text]

    @property
    def foreign(self) -> set[str]:
        """Requests to anybody else."""
        return {url for url in self.requested if not url.startswith((f"{self.origin}/", "data:"))}


@pytest.fixture
def dashboard(browser: Browser, project: Project) -> Iterator[Dashboard]:
    """A browser for a launcher that is not started yet; whatever a test does, nobody else is asked and no policy violated."""
    context = browser.new_context()
    made = Dashboard(project, free_port(), context)
    yield made
    context.close()
    assert made.foreign == set()
    assert made.violations == []
    assert made.errors == []
