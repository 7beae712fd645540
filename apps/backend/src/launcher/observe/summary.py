"""What is said once when everything is up: how it runs, where it answers, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.core.plan import MAIN
from launcher.model.spec import API_ADDRESS
from launcher.observe.places import address, relative

if TYPE_CHECKING:
    from launcher.core.plan import Plan


def summary(plan: Plan) -> list[tuple[str, str]]:
    """Return the lines, each as a word and what it stands for."""
    spec = plan.spec
    first = next(iter(plan.components), "NAME")
    return [
        ("mode", f"{spec.mode} ({plan.mode_reason}): {_processes(plan)}"),
        *(
            (name, address(component))
            for name, component in plan.components.items()
            if address(component) and component.replica == 1
        ),
        ("logs", relative(spec.log_dir)),
        *([("page", f"launcher dashboard opens http://{API_ADDRESS}:{spec.api}")] if spec.api else []),
        ("stop", "Ctrl-C, or in another terminal: launcher down"),
        ("more", f"launcher status · launcher logs -f {first} · launcher restart {first}"),
    ]


def _processes(plan: Plan) -> str:
    inside = sum(host == MAIN for host in plan.placement.values())
    alone = len(plan.placement) - inside
    parts = [f"{inside} in this process"] if inside else []
    parts += [
        f"{alone} in {'a process' if alone == 1 else 'processes'} of {'its' if alone == 1 else 'their'} own"
    ]
    return ", ".join(parts if alone else parts[:1])
