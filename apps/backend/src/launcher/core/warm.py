"""Whether a component may be forked from a process that has its libraries imported, or has to start in a fresh interpreter.

A warm start must not be told from a cold one but by its speed. So whatever the fresh interpreter would have taken from the component's own
environment must not have been taken from another one before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from launcher.model.spec import ComponentSpec

FIXED_AT_START = ("PYTHON", "LD_", "LC_", "LANG", "GLIBC_", "MALLOC_", "TZDIR", "OPENSSL_")
"""Beginnings of names of variables that the interpreter, the C library and OpenSSL read when a process begins, and never again."""

PATCHING = ("gevent", "eventlet")
"""Libraries that replace parts of others while these are being imported, so that the order of imports matters."""

EVERYTHING = "*"
"""Stands for all variables in a record of what was read."""


def cold_reason(
    spec: ComponentSpec, shared: Mapping[str, str], read: Mapping[str, str], imports: Collection[str]
) -> str:
    """Return why a component has to start cold, or nothing when it may start warm.

    Args:
        spec: the component.
        shared: the variables that the libraries were imported with.
        read: which of them were read meanwhile, and by the import of which module; `EVERYTHING` for all.
        imports: the libraries that the component needs.
    """
    if not spec.warm:
        return "as declared"
    for library in PATCHING:
        if library in imports:
            return f"{library} changes libraries while they are imported"
    for name, value in spec.environment.items():
        if shared.get(name) == value:
            continue
        if name.startswith(FIXED_AT_START):
            return f"{name} is set for it, and read when an interpreter starts"
        reader = read.get(name) or read.get(EVERYTHING)
        if reader:
            return f"{name} is set for it, and {reader} reads it while it is imported"
    return ""


def told_start(cold: str, hazards: Mapping[str, str]) -> str:
    """Return how a component starts, in words.

    Args:
        cold: why it starts in a fresh interpreter; empty when it does not.
        hazards: the libraries that it imports for itself although it starts warm, and what each does.
    """
    if cold:
        return f"cold ({cold})"
    if hazards:
        return f"warm, but for {', '.join(f'{module} ({what})' for module, what in sorted(hazards.items()))}"
    return "warm"
