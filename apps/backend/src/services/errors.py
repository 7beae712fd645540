"""The one error of the services that callers handle: a service that cannot be used right now."""

from __future__ import annotations


class ServiceUnavailable(Exception):
    """A service did not answer, or is not yet in a usable state; trying again later may succeed.

    Everything else (a refused password, an invalid statement) is raised as the driver raised it, since
    waiting does not mend it. `service` is its name, `target` its address without credentials, `hint` what to
    do.
    """

    def __init__(self, service: str, target: str, why: str, hint: str = "") -> None:
        super().__init__(f"{service} at {target} is not available: {why}")
        self.service = service
        self.target = target
        self.why = why
        self.hint = hint


def brief(problem: BaseException) -> str:
    """The first line of an error, or its type when it has no text."""
    lines = str(problem).strip().splitlines()
    return lines[0] if lines else type(problem).__name__
