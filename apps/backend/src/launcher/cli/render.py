"""All text that commands print about documents: tables, lists and one-line summaries. Nothing here asks or does anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from launcher.cli.columns import chosen
from launcher.observe.shown import shown
from launcher.observe.text import clip, coloured, duration, pad, percent, safe, size, width

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from launcher.documents import ComponentDocument, DependencyDocument, StatusDocument
    from launcher.errors import Problem
    from launcher.model.logs import LogLine
    from launcher.observe.store_documents import StoreDocument
    from launcher.observe.usage_documents import ProcessDocument

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

AT_REST = ("stopped", "failed", "completed")

NAMED = 4
"""Components of one process that are named; of further ones their number is told."""


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    colours: Sequence[str] = (),
    limit: int | None = None,
) -> list[str]:
    """Return aligned lines.

    Args:
        header: names of the columns.
        rows: the cells; the last column may be as long as it likes.
        colours: for the second column, one per row; empty for none.
        limit: widest line, in terminal columns; the last cell is cut.
    """
    cells = [tuple(safe(cell.replace("\n", " "), color=False) for cell in row) for row in rows]
    columns = [max(map(width, column)) for column in zip(header, *cells, strict=True)]
    if limit is not None:
        columns[-1] = max(1, limit - sum(columns[:-1]) - 2 * len(columns[:-1]))
        header, *cells = [(*row[:-1], clip(row[-1], columns[-1])) for row in (header, *cells)]
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


def status_lines(
    status: StatusDocument, *, color: bool = False, columns: int | None = None, cut: bool = False
) -> list[str]:
    """Return the table of ``launcher status``.

    Args:
        status: what to show.
        color: use colour.
        columns: width of the terminal, which decides on the columns of the table; ``None`` for all.
        cut: let no line be wider than that.
    """
    launcher = status["launcher"]
    mode, pid, age = launcher["mode"], launcher["pid"], duration(launcher["uptime"])
    limit = columns if cut else None

    def clipped(lines: Iterable[str]) -> list[str]:
        return [line if limit is None else clip(line, limit) for line in lines]

    lines = clipped([f"{status['name']} is {launcher['state']}: mode {mode}, PID {pid}, for {age}"])
    components = status["components"]
    colours = [PHASE_COLOURS.get(item["phase"], "") if color else "" for item in components]
    lines += table(*chosen(components, list(map(situation, components)), columns), colours, limit)
    lines += clipped([*_start_lines(components), *cost_lines(status)])
    if status["dependencies"]:
        lines += ["", *_dependency_lines(status["dependencies"], color=color, limit=limit)]
    lines += clipped(store_lines(status.get("store")))
    hints = {
        item["name"]: item["last_exit"]["hint"]
        for item in components
        if item["last_exit"] is not None
        and item["last_exit"]["hint"]
        and item["phase"] in {"failed", "backoff"}
    }
    lines += clipped(f"hint for {name}: {hint}" for name, hint in hints.items())
    crashed = [item["name"] for item in components if _has_crashed(item)]
    return lines + (clipped([f"crash reports: launcher crash {' '.join(crashed)}"]) if crashed else [])


def _has_crashed(item: ComponentDocument) -> bool:
    """Whether there is a report of how it ended last, and it does not run again."""
    ended = item["last_exit"]
    return (
        item["phase"] in {"failed", "backoff"}
        and ended is not None
        and ended["kind"] not in {"returned", "unreachable"}
    )


def cost_lines(status: StatusDocument) -> list[str]:
    """Return what all processes cost, of which a launcher of an earlier version says nothing."""
    families = status.get("processes", [])
    if not families:
        return []
    lines = []
    for family in families:
        if family["part"] == "launcher" and family["components"]:
            names, (cpu, memory) = family["components"], _cost([family])
            named = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if names[NAMED:] else "")
            share = "share the launcher's process" if len(names) > 1 else "is in the launcher's process"
            lines.append(f"{named} {share}: CPU {cpu}, memory {memory}")
    cpu, memory = _cost(families)
    own = _cost([family for family in families if family["part"] != "component"])
    itself = "" if lines else f"; the launcher itself: CPU {own[0]}, memory {own[1]}"
    kind = (
        "" if all(family["memory_kind"] == "pss" for family in families) else " (shared pages counted twice)"
    )
    return [*lines, f"all processes: CPU {cpu}, memory {memory}{kind}{itself}"]


def _cost(families: Sequence[ProcessDocument]) -> tuple[str, str]:
    return percent(sum(each["cpu"] for each in families)), size(sum(each["memory"] for each in families))


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
    loop = item.get("loop")
    if loop is not None and loop["blocked"]:
        by = f" by {loop['by']}" if loop["by"] else ""
        at = f" at {loop['where']}" if loop["where"] else ""
        return f"loop blocked for {duration(loop['lag'])}{by}{at}"
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


def _dependency_lines(
    items: Sequence[DependencyDocument], *, color: bool, limit: int | None = None
) -> list[str]:
    rows, colours = [], []
    for item in items:
        state = {True: "up", False: "down", None: "unknown"}[item["up"]]
        latency = "-" if item["latency"] is None else f"{item['latency'] * 1000:.1f} ms"
        reason = f" ({item['reason']})" if item["reason"] and not item["up"] else ""
        rows.append((item["name"], state, duration(item["seconds"]), latency, item["url"] + reason))
        colours.append({True: "32", False: "31", None: ""}[item["up"]] if color else "")
    return table(("DEPENDENCY", "STATE", "SINCE", "LATENCY", "URL"), rows, colours, limit)


def store_lines(store: StoreDocument | None) -> list[str]:
    """Return how the state store is doing; nothing of one in memory, or of a launcher that knows none."""
    if store is None or store["url"].startswith("memory:"):
        return []
    front = f"state store: {store['url']}: "
    if store["reachable"]:
        return ["", f"{front}reachable"]
    if store["reachable"] is None:
        return ["", f"{front}not reached yet"]
    parts = [f"not reachable since {duration(store['seconds'])}"]
    waiting, lost = store["waiting"], store["lost"]
    if waiting:
        parts.append(f"{waiting} entr{'ies wait' if waiting != 1 else 'y waits'}")
    if lost:
        parts.append(f"{lost} lost")
    hint = f"; hint: {store['hint']}" if store["hint"] else ""
    return ["", f"{front}{', '.join(parts)} ({store['reason']}{hint})"]


def not_up(status: StatusDocument) -> list[str]:
    """Return the components that are wanted up and are not."""
    return [
        item["name"] for item in status["components"] if item["desired"] == "up" and item["phase"] not in FINE
    ]


def amiss(status: StatusDocument) -> list[str]:
    """Return the components that are not as they are wanted, or whose event loop is blocked."""
    up = not_up(status)
    return [
        item["name"]
        for item in status["components"]
        if item["name"] in up
        or (item["desired"] == "down" and item["phase"] not in AT_REST)
        or is_blocked(item)
    ]


def is_blocked(item: ComponentDocument) -> bool:
    """Whether the event loop of a component is blocked, of which a launcher of an earlier version says nothing."""
    loop = item.get("loop")
    return loop is not None and loop["blocked"]


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
    if plan.get("hooks"):
        rows = [
            [hook["name"], ", ".join(hook["on"]), ", ".join(hook["components"]) or "all", hook["how"]]
            for hook in plan["hooks"]
        ]
        lines += ["", *table(("HOOK", "TOLD OF", "COMPONENTS", "HOW"), rows)]
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
    parts = [safe(part, color=bool(colour)) for part in shown(line)]
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
