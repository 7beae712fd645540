"""The part of the table that says where the state is kept."""

from __future__ import annotations

from functools import partial

from launcher.config import values
from launcher.config.fields import A_SECOND_OR_MORE, TEXT, Field, section
from launcher.config.state_urls import parse_state_url
from launcher.config.values import Type

STATE_URL = Type(
    "URL", parse_state_url, {"type": "string", "pattern": r"^\s*(?i:memory|sqlite|rediss?|valkeys?)://"}
)
KEPT = Type(
    "whole number",
    partial(values.parse_count, least=1),
    {"type": "integer", "minimum": 1},
    values.number_from_text,
)

STATE = section(
    "Where transitions and the last snapshot are kept, for `launcher history` and `launcher status --all`.",
    Field(
        "url",
        STATE_URL,
        "Where it is kept. In memory it ends with the launcher; a file outlives it; a Redis or Valkey server shows it to other machines.",
        default="memory://",
        constraint="`memory://`, `sqlite:///PATH`, `redis://…` or `rediss://…`; a path is relative to the project directory",
        example='"sqlite:///.launcher/state.db"',
        secret=True,
    ),
    Field(
        "expiry",
        A_SECOND_OR_MORE,
        "In Redis: who has given no sign of life for so long is shown as lost, and after ten times as long not at all.",
        default="1m",
        example='"15s"',
    ),
    Field(
        "kept",
        KEPT,
        "How many transitions are kept.",
        default=10_000,
        constraint="in memory at most 1000",
        example="1000",
    ),
    Field(
        "kept_for",
        A_SECOND_OR_MORE,
        "How long the transitions of a launcher are kept after it was last heard of.",
        default="720h",
        example='"24h"',
    ),
    Field(
        "machine",
        TEXT,
        "Name of this machine, for others.",
        default_doc="its host name",
        constraint="in containers: a name that lasts; no two launchers that share a store may have the same name and run directory",
        example='"web-1"',
    ),
)
