"""The part of the table about restarts."""

from __future__ import annotations

from launcher.config.fields import COUNT, POLICY, SECONDS, SOME_SECONDS, Field, section

RESTART = section(
    "When and how fast an ended component is started again. A plain text is the policy.",
    Field(
        "policy",
        POLICY,
        "Which ends lead to a restart.",
        default="always",
        default_doc="`always`; `never` for one-shots",
        constraint="a one-shot is never restarted `always`",
        example='"on-failure"',
    ),
    Field(
        "delay",
        SECONDS,
        "First delay; doubled with each consecutive failure.",
        default="200ms",
        example='"1s"',
    ),
    Field(
        "max_delay", SECONDS, "Longest delay.", default="30s", constraint="at least `delay`", example='"1m"'
    ),
    Field(
        "immediate_after",
        SECONDS,
        "A component that was ready for this long is first restarted without delay.",
        default="10s",
        example='"5s"',
    ),
    Field(
        "reset_after",
        SECONDS,
        "Being ready for this long forgets earlier failures.",
        default="1m",
        example='"5m"',
    ),
    Field(
        "max_restarts",
        COUNT,
        "More restarts than this within `window` are given up.",
        default=5,
        example="10",
    ),
    Field("window", SOME_SECONDS, "Length of the restart window.", default="1m", example='"5m"'),
    shorthand="policy",
)
