"""The part of the table that says when a component is ready, and what it does when something it depends on is lost."""

from __future__ import annotations

from launcher.config import fields
from launcher.config.fields import Field

READY = Field(
    "ready",
    fields.READY,
    "How to know that it is ready, beyond what it tells itself.",
    default_doc='none; for a command: a connection to `port`, else `{ alive = "0.5s" }`',
    constraint="a path needs a `port`; `notify` and `alive` are for commands",
    example='{ url = "/health", timeout = "2s" }',
    secret=True,
)

ON_DEPENDENCY_LOSS = Field(
    "on_dependency_loss",
    fields.DEPENDENCY_LOSS,
    "What follows when something it depends on is lost after it was ready: it keeps going; it stops, and starts again when that is back; or it "
    "is restarted once when that is back.",
    default="keep",
    constraint="not for one-shots",
    example='"restart"',
)

HEARTBEAT = Field(
    "heartbeat",
    fields.HEARTBEAT,
    "Once it is ready, its event loop has to turn at least once in this time. If it does not, the stacks of all threads are logged; in a "
    "process of its own it is then killed and restarted, in a shared one it is unready until the loop turns again.",
    default_doc="not watched",
    constraint="at least `1s`; not for one-shots",
    example='"30s"',
    kinds=fields.IN_PYTHON,
)
