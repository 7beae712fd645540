"""What was found, as a document, as tables and as a page."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest

from launcher.cli.render import table
from launcher.compare.chart import WIDTH, bars
from launcher.compare.figures import BY_KEY, Spread
from launcher.compare.findings import Blow, Findings
from launcher.compare.page import page
from launcher.compare.plan import Comparison
from launcher.compare.report import Report, caption, document, report, tables
from launcher.compare.verdict import Gate

MACHINE = {"system": "Linux", "architecture": "x86_64", "python": "3.11.7", "cores": 2}
HOSTILE = "<script>alert('x')</script>"


def found(runs: int = 3, *, name: str = "small", notes: tuple[str, ...] = ()) -> Report:
    """Return a report of two modes that differ in memory, not in CPU; only one of them had a load."""
    findings = Findings(
        {
            "single": [{"memory": 30.0 + run, "cpu": 0.1 * run, "load": 2.0} for run in range(runs)],
            "multi": [{"memory": 90.0 + run, "cpu": 0.1 * run} for run in range(runs)],
        },
        {
            "single": [Blow(("api", name), (), launcher_ended=True, seconds=None)],
            "multi": [
                Blow(("api",), (name,), launcher_ended=False, seconds=0.5),
                Blow((name,), (), launcher_ended=False, seconds=None),
            ],
        },
        list(notes),
    )
    gates = (Gate("memory", 0.7), Gate("cpu", 0.7)) if runs >= 3 else ()
    comparison = Comparison(("single", "multi"), runs, gates=gates)
    return report(name, comparison, findings, MACHINE, 1_800_000_000.0)


def test_the_document_is_json_and_complete() -> None:
    """It can be written and read, and holds every run, every pair, every blow and every gate."""
    read = json.loads(json.dumps(document(found(notes=("hm",)))))
    assert read["measured"] == "2027-01-15T08:00:00+00:00"
    assert {one["key"]: set(one["modes"]) for one in read["figures"]} == {
        "memory": {"single", "multi"},
        "cpu": {"single", "multi"},
        "load": {"single"},
    }
    assert read["figures"][0]["modes"]["multi"] == {
        "median": 91.0,
        "low": 90.0,
        "high": 92.0,
        "runs": [90, 91, 92],
    }
    assert [(pair["figure"], pair["ahead"]) for pair in read["pairs"]] == [
        ("memory", "single"),
        ("cpu", None),
    ]
    assert [gate["outcome"] for gate in read["gates"]] == ["met", "undecided"]
    assert read["blast"]["multi"][0]["noticed"] == ["small"]
    assert read["notes"] == ["hm"]


def test_the_tables_say_what_was_measured() -> None:
    """Figures with their range, ratios where they mean something, who was hit by what, and the gates."""
    figures, blast, gates = tables(found())
    assert figures.rows == (
        ("memory (PSS), MiB", "31.0 (30.0 to 32.0)", "91.0 (90.0 to 92.0)", "34 %"),
        ("CPU at rest, % of a core", "0.10 (0.00 to 0.20)", "0.10 (0.00 to 0.20)", "inside the noise"),
        ("the load, s", "2.00", "-", "-"),
    )
    assert blast.rows == (
        ("single", "api, small", "everything, the launcher too", "nobody", "never by itself"),
        ("multi", "api", "api", "small", "after 0.50 s"),
        ("multi", "small", "small", "nobody", "never"),
    )
    assert [row[-1] for row in gates.rows] == ["met", "not shown: the runs of both modes overlap"]
    for part in (figures, blast, gates):
        assert len(table(part.header, part.rows)) == len(part.rows) + 1


def test_too_few_runs_are_said_to_be_too_few() -> None:
    """Nothing is ranked after two runs, and the caption says why and what to do."""
    few = found(2)
    assert {row[-1] for row in tables(few)[0].rows} == {"inside the noise", "-"}
    assert "--runs 3" in caption(few)[1]


def test_a_process_of_many_components_is_not_listed() -> None:
    """A long list of names would break the table; the page has a column for each."""
    findings = Findings(
        {"single": []}, {"single": [Blow(tuple("abcde"), (), launcher_ended=True, seconds=None)]}
    )
    many = report("many", Comparison(("single",), 1), findings, MACHINE, 0.0)
    assert tables(many)[1].rows[0][1] == "5 components in one process"


class Reader(HTMLParser):
    """The elements of a page and its text, with what is still open at the end."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_names_on_the_page_are_only_names() -> None:
    """Whatever a backend, a component or a note is called, it is text and never markup."""
    read = Reader(page(found(name=HOSTILE, notes=(HOSTILE,))))
    assert "script" not in read.tags
    assert read.text.count(HOSTILE) >= 5


@pytest.mark.parametrize("runs", [1, 3])
def test_the_page_says_the_same_as_the_tables(runs: int) -> None:
    """Every cell of every table can be read on the page."""
    few = found(runs)
    text = Reader(page(few)).text
    for part in tables(few)[:1]:
        for row in part.rows:
            assert all(cell in text for cell in row)


def test_charts_stay_in_their_frame() -> None:
    """The longest run ends before the value beside it, and nothing at all is drawn as nothing."""
    figure = BY_KEY["memory"]
    drawn = bars(
        figure,
        {"single": Spread(0, 0, 0), "multi": Spread(5, 1, 9)},
        {"single": [0], "multi": [1, 5, 9]},
        {"single": 0, "multi": 1},
    )
    places = [float(part.split('"')[0]) for part in drawn.split('x2="')[1:]]
    assert max(places) < WIDTH
    assert "5.0" in drawn
    nothing = bars(figure, {"single": Spread(0, 0, 0)}, {"single": [0]}, {"single": 0})
    assert "nan" not in nothing
