"""The control interface as a document of OpenAPI 3.1, made of the table of routes and the types of their documents."""

from __future__ import annotations

import re
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from launcher import __version__
from launcher.web.access import Reach
from launcher.web.documents import ErrorDocument, GapDocument

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from launcher.web.parameters import Parameter
    from launcher.web.route import Route

Json = dict[str, Any]

PLAIN: Mapping[Any, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    NoneType: "null",
}

ABOUT = """The control interface of a running launcher.

On the control socket nothing else is needed. Over TCP every request needs the token, or the cookie of a browser that has logged in, and what
changes something needs a header Origin of this server when it comes with a cookie."""

REFUSALS = {
    "400": "The request asks for something that cannot be.",
    "401": "Over TCP: the token is missing or wrong.",
    "403": "Over TCP: a page of another server asks; or the route is offered on the control socket only.",
    "404": "There is no such component.",
    "409": "A component failed, or the command cannot be carried out now.",
    "421": "Over TCP: the header Host names another server.",
    "504": "The state was not reached in time; the command goes on.",
}


def openapi_document(routes: Sequence[Route]) -> Json:
    """Return the document."""
    schemas: dict[str, Json] = {}
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    error = _json(schema(ErrorDocument, schemas))
    return {
        "openapi": "3.1.0",
        "info": {"title": "launcher", "version": __version__, "description": ABOUT},
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "responses": {code: {"description": text, "content": error} for code, text in REFUSALS.items()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _operation(route: Route, schemas: dict[str, Json]) -> Json:
    names = re.findall(r"\{(\w+)\}", route.path)
    summary, _, details = (route.handle.__doc__ or "").strip().partition("\n")
    operation: Json = {
        "operationId": route.handle.__name__,
        "summary": summary.rstrip("."),
        "parameters": [_in_path(name) for name in names] + [_in_query(one) for one in route.query],
        "responses": {
            str(route.status): _answer(route, schemas),
            **({"503": _answer(route, schemas)} if route.unready else {}),
            **{code: {"$ref": f"#/components/responses/{code}"} for code in REFUSALS},
        },
    }
    if details.strip():
        operation["description"] = details.strip()
    if route.reach is not Reach.OWNER:
        operation["security"] = []
    return operation


def _answer(route: Route, schemas: dict[str, Json]) -> Json:
    if route.stream:
        events = [_event(route.stream, route.answer, schemas), _event("gap", GapDocument, schemas)]
        told = "A stream of events; the schema is that of each of them."
        return {"description": told, "content": {"text/event-stream": {"schema": {"oneOf": events}}}}
    if route.status == 303:
        return {"description": "Go on there.", "headers": {"Location": {"schema": {"type": "string"}}}}
    other = {"type": "object" if route.media == "application/json" else "string"}
    body = schema(route.answer, schemas) if route.answer is not None else other
    told = "Done." if route.status == 200 else "Begun."
    return {"description": told, "content": {route.media: {"schema": body}}}


def _event(kind: str, document: Any, schemas: dict[str, Json]) -> Json:
    data = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": schema(document, schemas),
    }
    properties = {"event": {"const": kind}, "data": data, "id": {"type": "string"}}
    return {"type": "object", "properties": properties, "required": ["event", "data"]}


def _json(body: Json) -> Json:
    return {"application/json": {"schema": body}}


def _in_path(name: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _in_query(parameter: Parameter) -> Json:
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": parameter.description,
        "schema": dict(parameter.schema),
    }


def schema(kind: Any, schemas: dict[str, Json]) -> Json:
    """Return the JSON Schema of a type; that of each ``TypedDict`` goes to ``schemas`` under its name, and is referred to.

    Raises:
        TypeError: documents have no such types.
    """
    if kind is Any:
        return {}
    if kind in PLAIN:
        return {"type": PLAIN[kind]}
    if is_typeddict(kind):
        return _reference(kind, schemas)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is list:
        return {"type": "array", "items": schema(inner[0], schemas)}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema(inner[1], schemas)}
    if origin in {Required, NotRequired}:
        return schema(inner[0], schemas)
    if origin in {Union, UnionType}:
        return {"anyOf": [schema(each, schemas) for each in inner]}
    raise TypeError(f"no schema for {kind}")


def _reference(kind: Any, schemas: dict[str, Json]) -> Json:
    name = kind.__name__
    if name not in schemas:
        schemas[name] = {}  # a document may hold itself
        hints = get_type_hints(kind, include_extras=True)
        schemas[name] = {
            "type": "object",
            "description": (kind.__doc__ or "").strip(),
            "properties": {key: schema(each, schemas) for key, each in hints.items()},
            "required": [key for key, each in hints.items() if _required(each, total=kind.__total__)],
        }
    return {"$ref": f"#/components/schemas/{name}"}


def _required(hint: Any, *, total: bool) -> bool:
    """Whether a key must be there; the class itself does not know, since its annotations are text until they are asked for."""
    return get_origin(hint) is Required or (total and get_origin(hint) is not NotRequired)
