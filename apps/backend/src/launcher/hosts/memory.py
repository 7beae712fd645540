"""What was seen to be imported, kept in the run directory, so that the next zygote knows from the start.

It is a cache: whatever is missing, old or damaged costs time and nothing else.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from launcher import __version__
from launcher.core.warm import cold_reason, told_start
from launcher.model.spec import ComponentSpec, LauncherSpec

FILE = "warm.json"
VERSION = 1


@dataclass(slots=True)
class Memory:
    """What earlier zygotes and hosts have taught.

    Attributes:
        path: where it is kept; ``None`` for nowhere.
        needs: the libraries that each component was seen or read to import, in that order.
        hazards: libraries that must not be imported by a zygote, and what each does.
        read: environment variables that libraries read while they are imported, and which library does.
    """

    path: Path | None = None
    needs: dict[str, dict[str, None]] = field(default_factory=dict)
    hazards: dict[str, str] = field(default_factory=dict)
    read: dict[str, str] = field(default_factory=dict)
    _saved: str = ""

    def learn(self, component: str, modules: Iterable[str]) -> None:
        """Remember that a component imports these."""
        self.needs.setdefault(component, {}).update(dict.fromkeys(modules))

    def forget(self, modules: Iterable[str]) -> None:
        """Forget modules that cannot be imported any more."""
        for needs in self.needs.values():
            for module in modules:
                needs.pop(module, None)

    def hazards_of(self, component: str) -> dict[str, str]:
        """Return the hazards among the libraries that a component imports."""
        needs = self.needs.get(component, {})
        return {module: what for module, what in self.hazards.items() if module in needs}

    def save(self) -> None:
        """Write what has changed since it was read; what cannot be written is forgotten."""
        text = self._encoded()
        if self.path is None or text == self._saved:
            return
        fresh = self.path.with_suffix(f".{os.getpid()}")
        with suppress(OSError):
            fresh.write_text(text)
            fresh.replace(self.path)
            self._saved = text

    def _encoded(self) -> str:
        """Modules are written once and named by number: hosts share most of them."""
        modules = dict.fromkeys(module for needs in self.needs.values() for module in needs)
        numbers = {module: number for number, module in enumerate(modules)}
        document = {
            "version": VERSION,
            "python": _python(),
            "modules": list(modules),
            "needs": {name: [numbers[each] for each in needs] for name, needs in self.needs.items()},
            "hazards": self.hazards,
            "read": self.read,
        }
        return json.dumps(document)


def remembered(run_dir: str) -> Memory:
    """Return what is kept in a run directory, as far as it was learned with this Python."""
    if not run_dir:
        return Memory()
    path = Path(run_dir, FILE)
    memory = Memory(path)
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        text = path.read_text()
        document = json.loads(text)
        if (document["version"], document["python"]) != (VERSION, _python()):
            return memory
        modules = [str(module) for module in document["modules"]]
        needs = {name: {modules[each]: None for each in needs} for name, needs in document["needs"].items()}
        hazards, read = dict(document["hazards"]), dict(document["read"])
        return Memory(path, needs, hazards, read, text)
    return memory


def foreseen(spec: LauncherSpec, component: ComponentSpec, memory: Memory) -> str:
    """Return how a component that gets a process of its own will start, as far as that can be known before: see ``Launched``."""
    if sys.platform != "linux":
        return told_start("only Linux can fork hosts that outlive a zygote", {})
    shared = {**os.environ, **spec.environment}
    cold = cold_reason(component, shared, memory.read, memory.needs.get(component.declared_name, ()))
    return told_start(cold, memory.hazards_of(component.declared_name))


def _python() -> str:
    return f"{sys.executable} {sys.version} launcher {__version__}"
