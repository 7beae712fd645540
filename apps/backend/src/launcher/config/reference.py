"""The reference of all keys as Markdown, made from the table."""

from __future__ import annotations

from collections.abc import Iterator

from launcher.config.entries import written
from launcher.config.environment import FOREIGN_VARIABLES, OWN_VARIABLES, variable_name
from launcher.config.fields import ALL_KINDS, Field, KeyPath, Named, Node, Section
from launcher.config.table import ROOT

_HEAD = "| key | type | default | meaning | example | variable |\n|---|---|---|---|---|---|"


def reference() -> str:
    """Return the reference: one table per section, then the variables that are no keys."""
    parts = ["# Reference of `launcher.toml`", _INTRODUCTION]
    parts += list(_sections(ROOT, ()))
    parts += ["## Other variables", "| variable | meaning |\n|---|---|\n" + "\n".join(_variables())]
    return "\n\n".join(parts) + "\n"


_INTRODUCTION = (
    "Later layers win: defaults, file, profiles, `LAUNCHER_*` in `.env`, `LAUNCHER_*` in the environment, flags. "
    "Texts in the file may hold `${VAR}`, `${VAR:-default}` and `${VAR:?message}`; `$$` is a dollar sign. "
    'Durations are seconds (`10`, `0.5`) or texts (`"500ms"`, `"2m"`, `"1h30m"`). In variables and flags, lists are '
    "separated by commas, and tables are written as in TOML."
)


def _variables() -> Iterator[str]:
    for name, meaning in (OWN_VARIABLES | FOREIGN_VARIABLES).items():  # type: ignore[operator]  # both are dicts
        yield f"| `{name}` | {meaning} |"


def _sections(node: Node, path: KeyPath) -> Iterator[str]:
    if isinstance(node, Named):
        name = "AGENT" if path[-1:] == ("each",) else "NAME"
        if isinstance(node.item, Field):
            yield _heading(path, node.doc)
            yield f"{_HEAD}\n{_row(node.item, (*path, name), name)}"
        else:
            yield from _sections(node.item, (*path, name))
        return
    if not isinstance(node, Section):
        return
    if path:
        yield _heading(path, node.doc)
        yield "\n".join([_HEAD, *(_row(field, (*path, field.key), field.key) for field in node.fields())])
    for key, child in node.nodes.items():
        if not (path[-2:-1] == ("each",) and key == "restart"):
            yield from _sections(child, (*path, key))


def _heading(path: KeyPath, doc: str) -> str:
    return f"## `[{'.'.join(path)}]`\n\n{doc}"


def _row(field: Field, path: KeyPath, key: str) -> str:
    default = (
        f"`{written(field.default)}`"
        if field.default is not None and not field.default_doc
        else field.default_doc
    )
    meaning = field.doc
    if field.kinds != ALL_KINDS:
        meaning += f" For {', '.join(sorted(f'`{kind}`' for kind in field.kinds))}."
    if field.constraint:
        meaning += f" {field.constraint[0].upper()}{field.constraint[1:]}."
    cells = (f"`{key}`", field.type.name, default, meaning, f"`{field.example}`", f"`{variable_name(path)}`")
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
