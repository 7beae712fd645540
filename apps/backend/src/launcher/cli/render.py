"""All text that commands print about documents: tables, lists and one-line summaries. Nothing here asks or does anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from launcher.observe.text import coloured, duration, pad, safe, width

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from launcher.documents import CheckDocument, ComponentDocument, DependencyDocument, StatusDocument
    from launcher.errors import Problem
    from launcher.model.logs import LogLine

PHASE_COLOURS = {
    "ready": "32",
    "completed": "32",
    "waiting": "33",
    "starting": "33",
    "unready": "33",
    "stopping": "33",
    "backoff": "31",
    "failed": "31",
}

LEVEL_COLOURS = {"DEBUG": "2", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}

FINE = ("ready", "completed")


def table(header: Sequence[str], rows: Iterable[Sequence[str]], colours: Sequence[str] = ()) -> list[str]:
    """Return aligned lines.

    Args:
        header: names of the columns.
        rows: the cells; the last column may be as long as it likes.
        colours: for the second column, one per row; empty for none.
    """
    cells = [tuple(safe(cell.replace("\n", " "), color=False) for cell in row) for row in rows]
    columns = [max(map(width, column)) for column in zip(header, *cells, strict=True)]
    lines = [_row(header, columns)]
    for number, row in enumerate(cells):
        colour = colours[number] if colours else ""
        lines.append(_row(row, columns, colour))
    return lines


def _row(cells: Sequence[str], columns: Sequence[int], colour: str = "") -> str:
    padded = [pad(cell, columns[index]) for index, cell in enumerate(cells)]
    if colour:
        padded[1] = coloured(padded[1], colour)
    return "  ".join(padded).rstrip()


def status_lines(status: StatusDocument, *, color: bool = False) -> list[str]:
    """Return the table of ``launcher status``."""
    launcher = status["launcher"]
    mode, pid, age = launcher["mode"], launcher["pid"], duration(launcher["uptime"])
    lines = [f"{status['name']} is {launcher['state']}: mode {mode}, PID {pid}, for {age}"]
    components = status["components"]
    colours = [PHASE_COLOURS.get(item["phase"], "") if color else "" for item in components]
    header = ["NAME", "PHASE", "SINCE", "PID", "RESTARTS", "URL / REASON"]
    rows = [_component_cells(item) for item in components]
    lines += table(*_with_starts(*_with_checks(header, rows, components), components, 4), colours)
    lines += _start_lines(components)
    if status["dependencies"]:
        lines += ["", *_dependency_lines(status["dependencies"], color=color)]
    hints = {
        item["name"]: item["last_exit"]["hint"]
        for item in components
        if item["last_exit"] is not None
        and item["last_exit"]["hint"]
        and item["phase"] in {"failed", "backoff"}
    }
    return lines + [f"hint for {name}: {hint}" for name, hint in hints.items()]


def _component_cells(item: ComponentDocument) -> list[str]:
    return [
        item["name"],
        item["phase"],
        duration(item["seconds"]),
        "-" if item["pid"] is None else str(item["pid"]),
        str(item["restarts"]),
        situation(item),
    ]


def _with_checks(
    header: list[str], rows: list[list[str]], items: Sequence[ComponentDocument]
) -> tuple[list[str], list[list[str]]]:
    """Add a column that says how the last readiness check went, if any was made; earlier versions say nothing of that."""
    checks = [item.get("check") for item in items]
    if not any(checks):
        return header, rows
    words = [_check_word(check) if check else "-" for check in checks]
    return [*header[:-1], "CHECK", header[-1]], [
        [*row[:-1], word, row[-1]] for row, word in zip(rows, words, strict=True)
    ]


def _check_word(check: CheckDocument) -> str:
    return f"{check['latency'] * 1000:.1f} ms" if check["ok"] else "failed"


def _with_starts(
    header: list[str], rows: list[list[str]], items: Sequence[Mapping[str, Any]], at: int
) -> tuple[list[str], list[list[str]]]:
    """Add a column that says ``warm`` or ``cold``, if any of the items was started either way."""
    words = [item["start"].partition(" ")[0].rstrip(",") for item in items]
    if not any(words):
        return header, rows
    return [*header[:at], "START", *header[at:]], [
        [*row[:at], word or "-", *row[at:]] for row, word in zip(rows, words, strict=True)
    ]


def _start_lines(components: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return why processes did not start warm, or not altogether: each reason once."""
    names: dict[str, list[str]] = {}
    for item in components:
        if item["start"] not in {"", "warm"}:
            names.setdefault(item["start"], []).append(item["name"])
    return [f"start of {', '.join(each)}: {start}" for start, each in names.items()]


def situation(item: ComponentDocument) -> str:
    """Return the one thing that people want to know about a component in its phase."""
    if item["waits_for"]:
        return "waits for " + ", ".join(f"{wait['name']} ({wait['what']})" for wait in item["waits_for"])
    if item["phase"] in FINE:
        return _with_beside(item, item["url"] or "-")
    again = item["next_attempt_in"]
    parts = [] if again is None else [f"again in {duration(again)}"]
    if item["reason"]:
        parts.append(item["reason"])
    return _with_beside(item, ": ".join(parts) or item["url"] or "-")


def _needs(item: ComponentDocument) -> list[str]:
    """Return what it has lost; a launcher of an earlier version says nothing of that."""
    return [
        f"needs {need['name']}: {need['what']} for {duration(need['seconds'])}"
        for need in item.get("needs", [])
    ]


def _with_beside(item: ComponentDocument, text: str) -> str:
    """Return the text with what is missing, and what happens beside the current incarnation; earlier versions do not speak of the latter."""
    more = "; ".join(filter(None, [*_needs(item), item.get("beside", "")]))
    if not more:
        return text
    return f"{text} ({more})" if text != "-" else more


def _dependency_lines(items: Sequence[DependencyDocument], *, color: bool) -> list[str]:
    rows, colours = [], []
    for item in items:
        state = {True: "up", False: "down", None: "unknown"}[item["up"]]
        latency = "-" if item["latency"] is None else f"{item['latency'] * 1000:.1f} ms"
        reason = f" ({item['reason']})" if item["reason"] and not item["up"] else ""
        rows.append((item["name"], state, duration(item["seconds"]), latency, item["url"] + reason))
        colours.append({True: "32", False: "31", None: ""}[item["up"]] if color else "")
    return table(("DEPENDENCY", "STATE", "SINCE", "LATENCY", "URL"), rows, colours)


def not_up(status: StatusDocument) -> list[str]:
    """Return the components that are wanted up and are not."""
    return [
        item["name"] for item in status["components"] if item["desired"] == "up" and item["phase"] not in FINE
    ]


def component_line(item: ComponentDocument) -> str:
    """Return one line about a component after a command on it."""
    life = (
        f" (incarnation {item['incarnation']})" if item["phase"] in FINE and item["incarnation"] > 1 else ""
    )
    where = situation(item)
    return f"{item['name']} is {item['phase']}{life}" + (f": {where}" if where != "-" else "")


def up_lines(status: StatusDocument) -> list[str]:
    """Return the summary of a backend that was started in the background."""
    launcher = status["launcher"]
    mode, pid, age = launcher["mode"], launcher["pid"], duration(launcher["uptime"])
    lines = [f"{status['name']} is {launcher['state']}: mode {mode}, PID {pid}, for {age}"]
    rows = [(item["name"], item["phase"], situation(item)) for item in status["components"]]
    lines += [f"  {line}" for line in table(("NAME", "PHASE", "URL / REASON"), rows)]
    return [*lines, f"  logs: {launcher['log_dir']}", "  stop: launcher down"]


def plan_lines(plan: dict[str, Any]) -> list[str]:
    """Return what ``launcher check`` shows."""
    count = len(plan["components"])
    source = f" ({plan['source']})" if plan["source"] else ""
    lines = [
        f"{plan['name']}{source}: {count} component{'s' if count != 1 else ''}, mode {plan['mode']} ({plan['mode_reason']})",
        "",
        "order of start:",
        *(f"  {number}. {', '.join(wave)}" for number, wave in enumerate(plan["waves"], 1)),
        "",
    ]
    rows = [
        [
            item["name"],
            item["kind"],
            {"main": "main process", "process": "process"}.get(
                item["placement"], f"host {item['placement']}"
            ),
            item["url"] or "-",
            item["ready"],
            _dependencies(item),
        ]
        for item in plan["components"]
    ]
    header = ["NAME", "KIND", "RUNS IN", "URL", "READY WHEN", "DEPENDS ON"]
    lines += table(*_with_starts(header, rows, plan["components"], 3))
    lines += _start_lines(plan["components"])
    if plan["dependencies"]:
        services = [(item["name"], item["url"], duration(item["timeout"])) for item in plan["dependencies"]]
        lines += ["", *table(("PROBED", "URL", "WAITED FOR AT MOST"), services)]
    lines += ["", f"logs: {plan['log_dir']}", f"run directory: {plan['run_dir']}"]
    lines += [f"note: {note}" for note in plan["notes"]]
    return lines + [f"warning: {warning}" for warning in plan["warnings"]]


def _dependencies(item: Mapping[str, Any]) -> str:
    """Return what a planned component depends on, and what it does when that is lost unless it keeps going."""
    names = ", ".join(item["depends_on"]) or "-"
    policy = item.get("on_dependency_loss", "keep")
    return names if policy == "keep" or names == "-" else f"{names} (on loss: {policy})"


def problem_lines(problems: Iterable[Problem]) -> list[str]:
    """Return every problem of a declaration with its place and its hint."""
    lines = []
    for problem in problems:
        lines.append(f"  {problem.where}: {problem.what}")
        if problem.hint:
            lines.append(f"    hint: {problem.hint}")
    return lines


def log_lines(line: LogLine, columns: int, *, prefix: bool = True, colour: str = "") -> str:
    """Return one log line as text; a message of several lines keeps its prefix on each.

    Args:
        line: what was logged.
        columns: width of the names.
        prefix: put time, component and level in front.
        colour: of the name; empty for none, and then colours in the message are taken out as well.
    """
    parts = [safe(part, color=bool(colour)) for part in line.message.split("\n")]
    if not prefix:
        return "\n".join(parts)
    name = pad(line.component or "-", columns)
    front = f"{_clock(line.time)} {coloured(f'{name} |', colour)}"
    level = (
        f"{coloured(line.level, LEVEL_COLOURS.get(line.level, '') if colour else '')} " if line.level else ""
    )
    return "\n".join([f"{front} {level}{parts[0]}", *(f"{front} {part}" for part in parts[1:])])


def _clock(moment: float) -> str:
    import time

    milliseconds = int(moment * 1000) % 1000
    return f"{time.strftime('%H:%M:%S', time.localtime(moment))}.{milliseconds:03}"
