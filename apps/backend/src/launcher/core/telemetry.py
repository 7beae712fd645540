"""What tells OpenTelemetry whose spans, metrics and logs a process sends, through the two variables that every SDK reads.

The variables: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/. The attributes:
https://opentelemetry.io/docs/specs/semconv/resource/service/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, unquote
from uuid import UUID, uuid5

if TYPE_CHECKING:
    from collections.abc import Mapping

    from launcher.model.spec import ComponentSpec

NAME = "OTEL_SERVICE_NAME"
ATTRIBUTES = "OTEL_RESOURCE_ATTRIBUTES"

_INSTANCES = UUID("4d63009a-8d0f-11ee-aad7-4c796ed8e320")
"""The namespace that the semantic conventions give for instances whose ID is made from something lasting."""


def resource_variables(
    backend: str, home: str, spec: ComponentSpec, environment: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables for a process that runs one component. Nothing that somebody has set is replaced or taken away.

    Args:
        backend: name of the project, which becomes ``service.namespace``.
        home: what tells this checkout on this machine from others; together with the component it makes ``service.instance.id``, which
            therefore stays the same over restarts and modes.
        spec: the component; its replicas are one service.
        environment: the variables that the process has otherwise.
    """
    given = environment.get(ATTRIBUTES, "")
    known = {unquote(pair.partition("=")[0].strip()) for pair in given.split(",") if "=" in pair}
    ours = {
        "service.namespace": backend,
        "service.instance.id": str(uuid5(_INSTANCES, f"{home}\n{backend}\n{spec.name}")),
    }
    # A name among the attributes would lose against the variable of its own, so that one must not be set then.
    named = bool(environment.get(NAME)) or "service.name" in known
    fresh = [f"{key}={quote(value, safe='')}" for key, value in ours.items() if key not in known]
    pairs = [given] if given.strip() else []
    variables = {} if named else {NAME: spec.declared_name}
    return {**variables, ATTRIBUTES: ",".join([*pairs, *fresh])} if fresh else variables
