"""Which components are started: what was asked for, what that needs, and nothing that was excluded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from launcher.core.suggest import did_you_mean
from launcher.errors import Problem


class Pattern(NamedTuple):
    """A name or wildcard that somebody selected or excluded, and where."""

    text: str
    where: str


@dataclass(frozen=True, slots=True)
class Universe:
    """Everything that can be named.

    Attributes:
        needs: what each component depends on, as written, in the order of declaration.
        members: the components of each entry of agents.
        open: entries of agents whose members are not known (they were not asked for).
        dependencies: names of external services.
        groups: members of each group, as written.
    """

    needs: Mapping[str, tuple[str, ...]]
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    open: frozenset[str] = frozenset()
    dependencies: frozenset[str] = frozenset()
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def matching(self, text: str) -> tuple[str, ...]:
        """Return the components that a name, an entry, a group or a wildcard stands for."""
        if text in self.needs:
            return (text,)
        if text in self.members:
            return self.members[text]
        if any(mark in text for mark in "*?["):
            from fnmatch import fnmatchcase

            return tuple(name for name in self.needs if fnmatchcase(name, text))
        if text in self.groups:
            return tuple(name for member in self.groups[text] for name in self.matching(member))
        return ()

    def expanded(self, text: str) -> tuple[str, ...]:
        """Return the components that an entry of ``depends_on`` stands for."""
        return self.members.get(text, (text,) if text in self.needs else ())

    def hint(self, text: str) -> str:
        """Say what was probably meant by an unknown name."""
        if text in self.dependencies:
            return "it is an external service: it is never started, and asked for when a component needs it"
        known = dict.fromkeys([*self.needs, *self.members, *self.groups])
        return did_you_mean(text, known, what="there are")


class Selection(NamedTuple):
    """The outcome.

    Attributes:
        components: names in the order of declaration.
        dependencies: the external services that they need.
        depends_on: what each needs, with entries of agents replaced by their members.
    """

    components: tuple[str, ...]
    dependencies: frozenset[str]
    depends_on: Mapping[str, tuple[str, ...]]


def reachable(universe: Universe, only: Sequence[Pattern]) -> set[str]:
    """Return the entries and components that a selection can come to need, without knowing the agents of any entry."""
    if not only:
        return set(universe.needs)
    waiting = [name for pattern in only for name in _roughly(universe, pattern.text)]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [known for need in universe.needs[name] for known in _roughly(universe, need)]
    return found


def _roughly(universe: Universe, text: str) -> list[str]:
    names = list(universe.matching(text))
    if any(mark in text for mark in "*?["):
        return names + [entry for entry in universe.open if entry not in names]
    if text in universe.groups:
        return [name for member in universe.groups[text] for name in _roughly(universe, member)]
    entry = text.partition(".")[0]
    return names + ([entry] if entry in universe.open else [])


def select(
    universe: Universe,
    only: Sequence[Pattern],
    exclude: Sequence[Pattern],
    notes: list[str],
    problems: list[Problem],
) -> Selection:
    """Return what to start.

    Args:
        universe: what can be named.
        only: what is wanted; empty for everything.
        exclude: what is not.
        notes: is told what is started beyond that.
        problems: collects unknown names, and exclusions of what is needed.
    """
    excluded = {name: pattern.where for pattern in exclude for name in _known(universe, pattern, problems)}
    asked = (
        [name for pattern in only for name in _known(universe, pattern, problems)]
        if only
        else list(universe.needs)
    )
    chosen = {name: "" for name in asked if name not in excluded}
    missing: dict[str, list[str]] = {}
    depends_on: dict[str, tuple[str, ...]] = {}
    waiting = list(chosen)
    for name in waiting:  # grows while it is gone through
        depends_on[name] = _needed(universe, name, excluded, missing, notes)
        for need in depends_on[name]:
            if need in universe.needs and need not in chosen and need not in excluded:
                chosen[need] = name
                waiting.append(need)
    _report(missing, excluded, problems)
    _tell(chosen, depends_on, notes)
    if not chosen and not problems:
        problems.append(
            Problem(
                exclude[0].where if exclude else "selection",
                "leaves nothing to start",
                "select at least one component",
            )
        )
    ordered = tuple(name for name in universe.needs if name in chosen)
    services = frozenset(
        need for name in ordered for need in depends_on[name] if need in universe.dependencies
    )
    return Selection(ordered, services, {name: depends_on[name] for name in ordered})


def _known(universe: Universe, pattern: Pattern, problems: list[Problem]) -> tuple[str, ...]:
    names = universe.matching(pattern.text)
    if not names and pattern.text not in universe.groups:
        what = "is a dependency" if pattern.text in universe.dependencies else "matches no component"
        what = (
            f"unknown component {pattern.text}"
            if what != "is a dependency" and "*" not in pattern.text
            else f"{pattern.text} {what}"
        )
        problems.append(Problem(pattern.where, what, universe.hint(pattern.text)))
    return names


def _needed(
    universe: Universe,
    name: str,
    excluded: Mapping[str, str],
    missing: dict[str, list[str]],
    notes: list[str],
) -> tuple[str, ...]:
    needs: dict[str, None] = {}
    for text in universe.needs[name]:
        members = universe.members.get(text)
        if members is None:
            if text in excluded:
                missing.setdefault(text, []).append(name)
            needs[text] = None
            continue
        left = [member for member in members if member not in excluded]
        if members and not left:
            missing.setdefault(members[0], []).append(name)
        elif len(left) < len(members):
            gone = ", ".join(member for member in members if member in excluded)
            notes.append(f"{name} depends on all of {text}: it does not wait for {gone}, which is excluded")
        needs |= dict.fromkeys(left)
    return tuple(needs)


def _report(
    missing: Mapping[str, Sequence[str]], excluded: Mapping[str, str], problems: list[Problem]
) -> None:
    for name, users in missing.items():
        listed = ", ".join(users)
        hint = f"exclude {listed} as well, or take {name} out of depends_on"
        problems.append(
            Problem(
                excluded[name],
                f"cannot exclude {name}: {listed} {'needs' if len(users) == 1 else 'need'} it",
                hint,
            )
        )


def _tell(chosen: Mapping[str, str], depends_on: Mapping[str, Iterable[str]], notes: list[str]) -> None:
    for name, first in chosen.items():
        if first:
            users = [user for user in chosen if name in depends_on.get(user, ())] or [first]
            more = f" and {len(users) - 1} more" if len(users) > 1 else ""
            need = "needs" if len(users) == 1 else "need"
            notes.append(f"also starting {name}, which {users[0]}{more} {need}")


def check_needs(universe: Universe, where: Callable[[str], str], problems: list[Problem]) -> None:
    """Report every name in ``depends_on`` that is neither a component nor a dependency."""
    for name, needs in universe.needs.items():
        for text in needs:
            entry = text.partition(".")[0]
            known = text in universe.needs or text in universe.members or text in universe.dependencies
            if known or (entry in universe.open and entry != text):
                continue
            names = dict.fromkeys([*universe.needs, *universe.members, *universe.dependencies])
            hint = did_you_mean(
                text, [known_name for known_name in names if known_name != name], what="there are"
            )
            problems.append(
                Problem(
                    where(name), f"depends on {text}, which is neither a component nor a dependency", hint
                )
            )


def chosen_groups(
    universe: Universe, selection: Selection, where: Mapping[str, str], problems: list[Problem]
) -> dict[str, tuple[str, ...]]:
    """Return the groups with their members spelled out, reduced to what is started."""
    groups: dict[str, tuple[str, ...]] = {}
    for group, texts in universe.groups.items():
        members: dict[str, None] = {}
        for text in texts:
            names = universe.matching(text) if text not in universe.groups else universe.expanded(text)
            entry = text.partition(".")[0]
            if (
                not names
                and entry not in universe.open
                and entry not in universe.members
                and text not in universe.open
            ) or (not names and entry in universe.members and "*" not in text and universe.members[entry]):
                problems.append(Problem(where[group], f"unknown component {text}", universe.hint(text)))
            members |= {name: None for name in names if name in selection.components}
        if members:
            groups[group] = tuple(members)
    return groups
