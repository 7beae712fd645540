"""The dashboard as somebody sees and uses it: what happens is shown as it happens, and what is asked for is done."""

from __future__ import annotations

import os
import re
import signal
import socket
from pathlib import Path
from urllib.error import HTTPError

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.launcher.acceptance.project import AGENT, WEB, Project, eventually, fetch, free_port
from tests.launcher.browser.conftest import PATIENCE, Dashboard

expect.set_options(timeout=PATIENCE)

ECHO = 'exec 3<>feed; while read -r line <&3; do echo "$line"; done'
"""A shell that says what is written into the pipe ``feed``."""


@pytest.fixture
def backend(project: Project) -> Project:
    """A web application, an agent that depends on it, and a command that says what it is told."""
    os.mkfifo(project.root / "feed")
    return project.write(web=WEB, jobs=AGENT).declare(f"""
        [components.api]
        app = "web:app"
        port = {free_port()}

        [components.worker]
        run = "jobs:run"
        depends_on = ["api"]

        [components.echo]
        command = ["sh", "-c", '''{ECHO}''']
    """)


@pytest.fixture
def running(backend: Project, dashboard: Dashboard) -> Dashboard:
    """The backend, up in processes of its own."""
    dashboard.start("--mode", "multi")
    return dashboard


def say(project: Project, text: str) -> None:
    """Let ``echo`` write a line."""
    with Path(project.root / "feed").open("w") as feed:
        feed.write(f"{text}\n")


def rows(page: Page) -> Locator:
    return page.locator("#list [role=option]")


def row(page: Page, name: str) -> Locator:
    return page.locator(f'[role=option][data-name="{name}"]')


def panel(page: Page) -> Locator:
    return page.locator("#panel")


def test_every_component_is_shown_and_nothing_complains(running: Dashboard) -> None:
    """Each component has its name, phase in words, and shape; the browser has nothing to complain of."""
    page = running.open()
    expect(rows(page)).to_have_count(3)
    for name in ("api", "worker", "echo"):
        expect(row(page, name).locator(".phase")).to_have_text("ready")
        expect(row(page, name).locator("use")).to_have_attribute("href", "#glyph-ready")
    expect(page.locator("#overall")).to_have_text("up")
    assert running.complaints == []


def test_components_that_share_a_process_stand_together(backend: Project, dashboard: Dashboard) -> None:
    """In one process, its components stand in one block that names it; the command stands among those with their own."""
    dashboard.start("--mode", "single")
    page = dashboard.open()
    pid = backend.status()["launcher"]["pid"]
    shared = page.get_by_role("group", name=f"the launcher's process, PID {pid}")
    expect(shared.locator(".name")).to_have_text(["api", "worker"])
    expect(page.get_by_role("group", name="a process each").locator(".name")).to_have_text(["echo"])


def test_figures_are_shown_where_they_are_known(running: Dashboard) -> None:
    """CPU and memory of a component stand in its row if the status document has them; what is not known is left empty."""
    page = running.open()
    document = running.project.component("worker")
    cpu, memory = (document.get(figure) is not None for figure in ("cpu", "memory"))
    expect(row(page, "worker").locator(".cpu")).to_have_text(re.compile(r"^[\d.]+ %$" if cpu else "^$"))
    expect(row(page, "worker").locator(".memory")).to_have_text(
        re.compile(r"^[\d.]+ MiB$" if memory else "^$")
    )


def test_an_external_dependency_is_shown_and_missed(project: Project, dashboard: Dashboard) -> None:
    """A service that is up shows its latency; when it has gone, the row says why, and a component that needs it waits."""
    with socket.create_server(("127.0.0.1", 0)) as service:
        port = service.getsockname()[1]
        project.write(jobs=AGENT).declare(f"""
            [components.worker]
            run = "jobs:run"
            depends_on = ["store"]

            [dependencies.store]
            url = "tcp://127.0.0.1:{port}"
            period = "200ms"
        """)
        dashboard.start()
        page = dashboard.open()
        expect(row(page, "store").locator(".phase")).to_have_text("up")
        expect(row(page, "store").locator(".cpu")).to_have_text(re.compile(r"^[\d.]+ ms$"))
    expect(row(page, "store").locator(".phase")).to_have_text("down")
    expect(row(page, "store").locator(".note")).to_contain_text("refused")
    row(page, "store").click()
    expect(panel(page).locator(".facts")).to_contain_text("needed byworker")


def test_a_link_works_once(running: Dashboard) -> None:
    """Without a login the page tells how to get one; a link logs one browser in, and is refused to the next."""
    page = running.context.new_page()
    page.goto(running.origin)
    expect(page.get_by_role("alert")).to_contain_text("launcher dashboard")
    link = running.link()
    page.goto(link)
    expect(rows(page)).to_have_count(3)
    assert page.url == f"{running.origin}/"
    with pytest.raises(HTTPError, match="403"):
        fetch(link)


def test_a_crash_and_the_recovery_are_seen_as_they_happen(running: Dashboard) -> None:
    """A killed process is seen to back off and to come back, in the time line, in the row, and by a screen reader."""
    page = running.open()
    row(page, "worker").click()
    page.get_by_role("tab", name="Events").click()
    expect(page.locator(".event", has_text="ready")).not_to_have_count(0)
    os.kill(running.project.component("worker")["pid"], signal.SIGKILL)
    expect(page.locator(".event", has_text="SIGKILL").first).to_be_visible()
    expect(row(page, "worker").locator(".restarts")).to_have_text("↻ 1")
    expect(row(page, "worker").locator(".phase")).to_have_text("ready")
    expect(page.locator("#live")).to_contain_text("worker ready")
    expect(panel(page).locator(".facts")).to_contain_text("incarnation2")


def test_log_lines_are_followed_paused_and_searched(running: Dashboard) -> None:
    """Lines appear as they are written; a paused view counts what came, and shows it when it goes on; a search narrows."""
    page = running.open()
    row(page, "echo").click()
    lines = page.get_by_role("log", name="log line")
    say(running.project, "the first line")
    expect(lines).to_contain_text("the first line")
    follow = page.locator(".follow")
    follow.click()
    say(running.project, "the second line")
    expect(follow).to_have_text("Paused, 1 new")
    expect(lines).not_to_contain_text("the second line")
    follow.click()
    expect(lines).to_contain_text("the second line")
    page.get_by_label("Search the log").fill("second")
    expect(lines).not_to_contain_text("the first line")
    expect(lines).to_contain_text("the second line")
    page.get_by_label("Lowest level").select_option("error")
    expect(lines).not_to_contain_text("the second line")


def test_markup_in_log_lines_does_nothing(running: Dashboard) -> None:
    """A line that would be a picture, a script and bold text on a careless page is shown letter by letter."""
    line = "<img src=trap onerror=\"document.title='caught'\"><script>document.title='caught'</script><b>bold</b>"
    page = running.open()
    row(page, "echo").click()
    say(running.project, line)
    message = page.locator(".line .message", has_text="bold")
    expect(message).to_have_text(line)
    assert message.locator("*").count() == 0
    assert page.title() != "caught"
    assert not any("trap" in url for url in running.requested)


def test_the_policy_is_in_force(running: Dashboard) -> None:
    """A script inside the page is refused: what the other tests find absent would be found if it were there."""
    page = running.open()
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))"
    )
    assert page.evaluate("window.ran") is None
    eventually("the browser tells of the violation", lambda: page.evaluate("0") == 0 and running.violations)
    running.complaints.clear()


def test_a_restart_is_confirmed_with_the_names_of_dependents(running: Dashboard) -> None:
    """A restart names who depends on the component; cancelled it does nothing, confirmed it gives a new incarnation."""
    page = running.open()
    row(page, "api").click()
    restart = panel(page).get_by_role("button", name="Restart")
    restart.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Restart api?")
    expect(dialog.get_by_role("listitem")).to_have_text(["worker"])
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    assert running.project.component("api")["incarnation"] == 1
    restart.click()
    dialog.get_by_role("button", name="Restart api").click()
    expect(page.locator(".notice.good")).to_contain_text("api is ready again")
    assert running.project.component("api")["incarnation"] == 2
    expect(panel(page).locator(".facts")).to_contain_text("incarnation2")


def test_nobody_is_asked_where_nobody_depends_on_it(running: Dashboard) -> None:
    """A component without dependents is stopped and started at once, and its buttons follow."""
    page = running.open()
    row(page, "worker").click()
    stop, start = (panel(page).get_by_role("button", name=name, exact=True) for name in ("Stop", "Start"))
    expect(start).to_be_disabled()
    stop.click()
    expect(page.locator(".notice.good")).to_contain_text("worker has stopped")
    expect(row(page, "worker").locator(".phase")).to_have_text("stopped")
    expect(stop).to_be_disabled()
    start.click()
    expect(row(page, "worker").locator(".phase")).to_have_text("ready")


def test_replicas_come_and_go(running: Dashboard) -> None:
    """Another number of replicas is asked for in the panel, and each gets a row."""
    page = running.open()
    row(page, "api").click()
    page.get_by_label("Replicas").fill("3")
    panel(page).get_by_role("button", name="Scale").click()
    expect(row(page, "api.3").locator(".phase")).to_have_text("ready")
    page.get_by_label("Replicas").fill("1")
    panel(page).get_by_role("button", name="Scale").click()
    expect(rows(page)).to_have_count(3)


def test_a_failed_command_is_explained(running: Dashboard) -> None:
    """A restart that fails says why and what to do, and stays until it is closed."""
    page = running.open()
    running.project.write(jobs="import nowhere_to_be_found")
    row(page, "worker").click()
    panel(page).get_by_role("button", name="Restart").click()
    notice = page.get_by_role("alert").filter(has_text="nowhere_to_be_found")
    expect(notice).to_contain_text("worker is not ready")
    expect(notice.locator(".hint")).to_contain_text("hint: ")
    expect(row(page, "worker").locator(".note")).to_contain_text("nowhere_to_be_found")
    expect(page).to_have_title(re.compile(r"^\(1!\) "))
    notice.get_by_role("button").click()
    expect(notice).to_have_count(0)


def test_a_restart_of_the_launcher_is_survived(running: Dashboard) -> None:
    """The page says that it is disconnected, how to log in again when the session has gone, and goes on by itself then."""
    page = running.open()
    assert running.project.run("down").returncode == 0
    alert = page.locator("#banner")
    expect(alert).to_contain_text("Disconnected since")
    expect(alert).to_contain_text(f"launcher up --api {running.port}")
    expect(page.locator("#overall")).to_have_text("disconnected")
    running.start("--mode", "multi")
    expect(alert).to_contain_text("launcher dashboard")
    running.open().close()
    expect(alert).to_be_hidden()
    expect(page.locator("#overall")).to_have_text("up")
    page.get_by_role("tab", name="Events").click()
    expect(page.locator(".events")).to_contain_text("another launcher has begun")
    row(page, "echo").click()
    page.get_by_role("tab", name="Log").click()
    say(running.project, "said to the new one")
    expect(page.get_by_role("log", name="log line")).to_contain_text("said to the new one")


def test_the_keyboard_is_enough(running: Dashboard) -> None:
    """Filter, move, open, restart, cancel and close without a pointer; where the focus is can be seen."""
    page = running.open()
    page.keyboard.press("/")
    page.keyboard.type("ready e")
    expect(rows(page)).to_have_count(2)
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("wor")
    expect(rows(page)).to_have_count(1)
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(rows(page)).to_have_count(3)
    page.keyboard.press("Home")
    names = [item.get_attribute("data-name") or "" for item in rows(page).all()]
    page.keyboard.press("End")
    expect(row(page, names[-1])).to_be_focused()
    for name in reversed(names[:-1]):
        page.keyboard.press("ArrowUp")
        expect(row(page, name)).to_be_focused()
    assert row(page, names[0]).evaluate("node => getComputedStyle(node).outlineStyle") == "solid"
    for _ in range(names.index("api")):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(panel(page).get_by_role("heading")).to_be_focused()
    expect(panel(page).get_by_role("heading")).to_have_text("api")
    restart = panel(page).get_by_role("button", name="Restart")
    for _ in range(5):
        page.keyboard.press("Tab")
        if restart.evaluate("node => node === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.get_by_role("tab", name="Log").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Events")).to_be_focused()
    expect(page.get_by_role("tabpanel", name="Events")).to_be_visible()
    page.keyboard.press("Escape")
    expect(panel(page).get_by_role("heading")).to_have_text("All components")
    expect(row(page, "api")).to_be_focused()
    assert running.project.component("api")["incarnation"] == 1
