"""The dashboard on small and large screens, in light and dark, with few and with many components."""

from __future__ import annotations

from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from tests.launcher.acceptance.project import AGENT, Project
from tests.launcher.browser.conftest import PATIENCE, Dashboard

expect.set_options(timeout=PATIENCE)

MANY = 100

BROKEN = """
    async def run():
        raise ValueError("a very long and unbroken word: " + "x" * 200)
"""

CONTRAST = """
() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const over = ([r, g, b, a = 1], below) => [r, g, b].map((value, place) => value * a + below[place] * (1 - a));
  const ground = (node) => {
    if (!node) return [255, 255, 255];
    const colour = parse(getComputedStyle(node).backgroundColor);
    return colour[3] === 0 ? ground(node.parentElement) : over(colour, ground(node.parentElement));
  };
  const light = (colour) => {
    const [r, g, b] = colour.map((value) => value / 255).map((value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    const text = [...node.childNodes].filter((child) => child.nodeType === 3).map((child) => child.data.trim()).join("");
    if (!text || !node.checkVisibility() || node.closest("svg, button:disabled")) continue;
    const below = ground(node);
    const [one, other] = [light(over(parse(getComputedStyle(node).color), below)), light(below)];
    found.push({ text, ratio: (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05) });
  }
  return found;
}
"""
"""The contrast of every visible text, as WCAG 2.2 defines it (relative luminance, success criterion 1.4.3)."""


def declared(count: int) -> str:
    """A declaration of agents in layers: each depends on two of those before."""
    parts = ["[launcher]\nkeep_going = true\n"]
    for number in range(count):
        needs = sorted({number // 2, number // 3} - {number})
        parts.append(
            f'[components.agent{number}]\nrun = "jobs:run"\ndepends_on = {[f"agent{one}" for one in needs]}\n'
        )
    return "\n".join(parts)


@pytest.fixture
def troubled(project: Project, dashboard: Dashboard) -> Dashboard:
    """Some agents that work, and one that never starts, with a long reason."""
    project.write(jobs=AGENT, broken=BROKEN).declare(
        declared(6)
        + '\n[components.broken]\nrun = "broken:run"\ndepends_on = ["agent1"]\nrestart = { policy = "never" }\n'
    )
    dashboard.project.up("--api", str(dashboard.port), "--mode", "single")
    project.wait("broken", "failed")
    return dashboard


def width(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth"))


def test_a_hundred_components_are_updated_in_place(project: Project, dashboard: Dashboard) -> None:
    """With a hundred rows, a restart of one component replaces no row, and a filter leaves what it names."""
    project.write(jobs=AGENT).declare(declared(MANY))
    dashboard.start("--mode", "single")
    page = dashboard.open()
    rows = page.locator("#list [role=option]")
    expect(rows).to_have_count(MANY)
    expect(page.locator("#counts button", has_text=f"{MANY} ready")).to_be_visible()
    page.evaluate("""() => {
      window.changed = 0;
      const count = (records) => { window.changed += records.filter((each) => each.target.matches(".rows, #list")).length; };
      new MutationObserver(count).observe(document.getElementById("list"), { childList: true, subtree: true });
    }""")
    page.locator('[data-name="agent99"]').click()
    page.locator("#panel").get_by_role("button", name="Restart").click()
    expect(page.locator("#panel .facts")).to_contain_text("incarnation2")
    assert page.evaluate("window.changed") == 0
    page.locator("#filter").fill("agent7")
    expect(rows).to_have_count(11)
    assert page.evaluate("window.changed") > 0


@pytest.mark.parametrize("opened", ["", "broken"])
def test_a_narrow_screen_needs_no_scrolling_sideways(troubled: Dashboard, opened: str) -> None:
    """At 360 px the list, and the panel that covers it when a component is opened, fit the screen."""
    page = troubled.open()
    page.set_viewport_size({"width": 360, "height": 740})
    expect(page.locator("#panel")).to_be_hidden()
    if opened:
        page.locator(f'[data-name="{opened}"]').click()
        expect(page.locator("#list")).to_be_hidden()
        expect(page.locator("#panel .problem").first).to_contain_text("ValueError")
    assert width(page) <= 360
    inside = "document.querySelectorAll('.overview, .panel, .facts, .lines, .bar')"
    assert page.evaluate(f"[...{inside}].every((node) => node.scrollWidth <= node.clientWidth)")
    if opened:
        page.get_by_role("button", name="Close (Escape)").click()
        expect(page.locator("#list")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(troubled: Dashboard, scheme: Literal["light", "dark"]) -> None:
    """The page follows the preference, and every text has a contrast of at least 4.5 to what is behind it."""
    page = troubled.open()
    page.emulate_media(color_scheme=scheme)
    page.locator('[data-name="broken"]').click()
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(part) for part in ground.removeprefix("rgb(").removesuffix(")").split(","))
    assert (brightness > 3 * 128) is (scheme == "light")
    texts = page.evaluate(CONTRAST)
    assert len(texts) > 30
    assert [each for each in texts if each["ratio"] < 4.5] == []


def test_nothing_moves_for_those_who_prefer_that(troubled: Dashboard) -> None:
    """With reduced motion, what turns while a component starts stands still."""
    page = troubled.open()
    turning = "getComputedStyle(document.querySelector('.row .glyph')).animationName"
    page.evaluate("document.querySelector('.row .glyph').dataset.phase = 'starting'")
    assert page.evaluate(turning) == "turn"
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(turning) == "none"


def test_arrows_lead_from_what_is_needed_to_who_needs_it(troubled: Dashboard) -> None:
    """The chosen row's arrows stand out: one for each that it needs, and one for each that needs it."""
    page = troubled.open()
    page.locator('[data-name="agent1"]').click()
    needs = page.locator("#arrows .needs").get_attribute("d") or ""
    needed_by = page.locator("#arrows .needed-by").get_attribute("d") or ""
    assert needs.count("M") == 1
    assert needed_by.count("M") == 5
    facts = page.locator("#panel .facts")
    expect(facts).to_contain_text("needsagent0")
    expect(facts).to_contain_text("needed by")
