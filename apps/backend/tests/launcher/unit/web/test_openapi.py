"""The OpenAPI document says what the handlers do."""

from __future__ import annotations

import json
from typing import Any, NotRequired, Required, TypedDict

import jsonschema
import pytest

from launcher.documents import StatusDocument, component_document, error_document, status_document
from launcher.errors import ConfigError, Problem, UnknownComponent
from launcher.model.events import Transition
from launcher.model.state import Desired, Exit, ExitKind, Phase
from launcher.supervisor.journal import Entry
from launcher.web.documents import readiness_document, transition_document
from launcher.web.openapi import openapi_document, schema
from launcher.web.routes import ROUTES
from tests.launcher.integration.web.scripted import ScriptedControl

DOCUMENT = openapi_document(ROUTES)


class Inner(TypedDict):
    """What is inside."""

    number: int | None


class Outer(TypedDict, total=False):
    """What is outside."""

    name: Required[str]
    inner: list[Inner]
    rest: dict[str, Any]


class Whole(TypedDict):
    """All but one."""

    sure: bool
    perhaps: NotRequired[float]


def test_schemas_of_types() -> None:
    """Each type of the documents has its schema; what need not be there is not required."""
    schemas: dict[str, dict[str, Any]] = {}
    assert schema(Outer, schemas) == {"$ref": "#/components/schemas/Outer"}
    assert schemas["Outer"] == {
        "type": "object",
        "description": "What is outside.",
        "properties": {
            "name": {"type": "string"},
            "inner": {"type": "array", "items": {"$ref": "#/components/schemas/Inner"}},
            "rest": {"type": "object", "additionalProperties": {}},
        },
        "required": ["name"],
    }
    assert schemas["Inner"]["properties"] == {"number": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}
    schema(Whole, schemas)
    assert schemas["Whole"]["required"] == ["sure"]
    with pytest.raises(TypeError):
        schema(bytes, schemas)


def test_every_route_is_described() -> None:
    """Path, method, summary, parameters of path and query, and answers of every route stand in the document."""
    described = {(method, path) for path, item in DOCUMENT["paths"].items() for method in item}
    assert described == {(route.method.lower(), route.path) for route in ROUTES}
    for route in ROUTES:
        operation = DOCUMENT["paths"][route.path][route.method.lower()]
        assert operation["summary"]
        names = [one["name"] for one in operation["parameters"]]
        assert names == ["name"] * ("{name}" in route.path) + [one.name for one in route.query]
        assert {str(route.status), "400", "401", "403", "421"} <= set(operation["responses"])
    names = [operation["operationId"] for item in DOCUMENT["paths"].values() for operation in item.values()]
    assert len(names) == len(set(names))


def _validate(name: str, document: object) -> None:
    # As a client sees it; and nothing is there that the schema does not name.
    schemas = {
        key: {**each, "additionalProperties": False}
        for key, each in DOCUMENT["components"]["schemas"].items()
    }
    whole = {"components": {"schemas": schemas}, "$ref": f"#/components/schemas/{name}"}
    jsonschema.validate(json.loads(json.dumps(document)), whole, jsonschema.Draft202012Validator)


async def test_documents_fit_their_schemas() -> None:
    """What is answered is what is described, with no field more or less."""
    view = ScriptedControl().view()
    exit_ = Exit(ExitKind.EXITED, "exited with code 3", code=3)
    change = Transition("db", 1, Phase.READY, Phase.BACKOFF, Desired.UP, "Exited", 1.0, exit=exit_)
    _validate(StatusDocument.__name__, status_document(view))
    for name in view.plan.components:
        _validate("ComponentDocument", component_document(view, name))
        _validate("ReadinessDocument", readiness_document(view, name))
    _validate("TransitionDocument", transition_document("0badcafe", Entry(1, 2.0, change)))
    _validate("ErrorDocument", error_document(UnknownComponent("no", hint="h")))
    _validate("ErrorDocument", error_document(ConfigError([Problem("a", "b")])))
