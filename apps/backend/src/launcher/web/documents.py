"""The documents of the control interface alone: what happened, what was lost, whether something is ready."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NotRequired, Required, TypedDict

from launcher.config.secrets import redacted
from launcher.documents import ChangeDocument, ComponentDocument, change_document, overall_state
from launcher.model.state import Desired, Phase

if TYPE_CHECKING:
    from launcher.core.view import View
    from launcher.model.state import ComponentState
    from launcher.supervisor.journal import Entry

READY = frozenset({Phase.READY, Phase.COMPLETED})


class TransitionDocument(ChangeDocument):
    """One change in the journal of this run; ``id`` is where to go on after it."""

    id: str
    seq: int


class GapDocument(TypedDict):
    """Something is missing before what follows.

    ``asked`` is the point that the stream could not go on from, ``missing`` how many events were lost; null where nobody knows.
    """

    asked: str
    reason: str
    missing: int | None


class ReadinessDocument(TypedDict):
    """Whether a component, or with an empty name the whole backend, is ready; if not, why."""

    component: str
    ready: bool
    reason: str


class AliveDocument(TypedDict):
    """The supervisor's loop turns."""

    ok: bool


class ReplicasDocument(TypedDict):
    """All replicas of one component."""

    components: list[ComponentDocument]


class LogDocument(TypedDict, total=False):
    """One line of output, as it stands in the log file; what is empty is left out."""

    time: Required[str]
    component: Required[str]
    stream: Required[str]
    message: Required[str]
    incarnation: int
    level: str
    logger: str
    extra: dict[str, Any]


class LoginDocument(TypedDict):
    """An address that logs one browser in, and for how many seconds."""

    url: str
    seconds: float


class ProblemDocument(TypedDict):
    """One thing that is wrong with a declaration."""

    where: str
    what: str
    hint: str


class ErrorFields(TypedDict):
    """What failed and why, what to do about it, and what the command line would end with."""

    message: str
    hint: str
    exit_code: int
    problems: NotRequired[list[ProblemDocument]]


class ErrorDocument(TypedDict):
    """Why a request was not answered as it should be."""

    error: ErrorFields


def transition_document(run: str, entry: Entry) -> TransitionDocument:
    """Return one entry of the journal of a run."""
    change = change_document(entry.time, entry.transition)
    return {"id": f"{run}-{entry.seq}", "seq": entry.seq, **change}


def readiness_document(view: View, name: str) -> ReadinessDocument:
    """Return whether a component is ready, or with an empty name the whole backend: everything that is wanted up, while it stays up.

    Raises:
        KeyError: there is no such component.
    """
    states = [view.fleet.components[name]] if name else list(view.fleet.components.values())
    missing = [
        state for state in states if state.phase not in READY and (name or state.desired is Desired.UP)
    ]
    whole = name or overall_state(view) == "up"
    reason = "; ".join(_unready(state) for state in missing)
    if not whole and not missing:
        reason = f"the backend is {overall_state(view)}"
    return {"component": name, "ready": not reason, "reason": redacted(reason)}


def _unready(state: ComponentState) -> str:
    return f"{state.name} is {state.phase}" + (f" ({state.reason})" if state.reason else "")
