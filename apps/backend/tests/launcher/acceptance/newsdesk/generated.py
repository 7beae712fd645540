"""Requests that follow from the OpenAPI document: random ones, valid and invalid, and every single mistake one by one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast
from urllib.parse import quote

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as hypothesis_settings
from schemathesis.generation import GenerationMode

from tests.launcher.acceptance.newsdesk.wire import Headers, Request

Document = Mapping[str, Any]

RANDOM_PER_OPERATION = 12
"""How many random requests of each sort; the single mistakes come on top."""

SEED = 20_251_124
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")
JSON: Headers = (("Content-Type", "application/json"),)
VOLATILE_HEADERS = frozenset({"x-schemathesis-testcaseid", "user-agent", "content-length", "connection"})

WRONG_VALUES: tuple[Any, ...] = (
    None,
    True,
    7,
    1.5,
    "",
    " ",
    [],
    ["text"],
    {},
    {"text": "text"},
    "nul \0",
    "\ud800",
)
"""What a member of a body may be by mistake."""

WRONG_WORDS = (
    "",
    "x",
    "-1",
    "0",
    "1.5",
    "1e2",
    " 1",
    "+1",
    "0x10",
    "true",
    "null",
    "9" * 30,
    "9" * 5000,
    "\0",
    "é",
    "a b",
    "..",
)
"""What a parameter may be by mistake."""

BROKEN_BODIES: tuple[tuple[str, bytes], ...] = (
    ("empty", b""),
    ("unfinished", b'{"title": "T", '),
    ("two documents", b'{"title": "T", "body": "B"} {}'),
    ("not a number", b'{"title": NaN, "body": "B"}'),
    ("the same member twice", b'{"title": "first", "title": "second", "body": "twice"}'),
    ("no text", b"\xff\xfe\x00"),
    ("byte order mark", b'\xef\xbb\xbf{"title": "T", "body": "B"}'),
    ("deeper than any parser", b"[" * 100_000),
    ("single quotes", b"{'title': 'T', 'body': 'B'}"),
)

CONTENT_TYPES: tuple[str | None, ...] = (
    None,
    "",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/octet-stream",
    "application/vnd.newsdesk+json",
    "Application/JSON; charset=utf-8",
    "application/json; charset=utf-16",
    "nonsense",
)


def random_requests(document: Document) -> dict[str, list[Request]]:
    """For every operation some valid and some invalid requests, the same ones in every run, by operation."""
    schema = schemathesis.openapi.from_dict(dict(document))
    found: dict[str, list[Request]] = {}
    for result in schema.get_all_operations():
        operation = cast(Any, result).ok()  # an operation it cannot read raises here
        modes = [GenerationMode.POSITIVE]
        if operation.body or len(operation.query) or len(operation.path_parameters):
            modes.append(GenerationMode.NEGATIVE)  # there is something to be wrong
        found[operation.label] = [request for mode in modes for request in _drawn(operation, mode)]
    return found


def _drawn(operation: Any, mode: GenerationMode) -> list[Request]:
    drawn: list[Request] = []

    @seed(SEED)
    @hypothesis_settings(
        max_examples=RANDOM_PER_OPERATION,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def collect(case: Any) -> None:
        prepared = requests.Request(**case.as_transport_kwargs(base_url="http://newsdesk")).prepare()
        body: Any = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body
        headers = tuple((k, str(v)) for k, v in prepared.headers.items() if k.lower() not in VOLATILE_HEADERS)
        content = b"" if body is None and prepared.method == "POST" else body
        note = f"random, {'valid' if mode is GenerationMode.POSITIVE else 'invalid'}"
        drawn.append(Request(str(prepared.method), prepared.path_url, headers, content, note=note))

    collect()
    return drawn


def single_mistakes(document: Document, known: str) -> dict[str, list[Request]]:
    """For every operation a valid request for the article ``known``, and then each mistake the schema knows of, alone."""
    found = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            mistakes = _Mistakes(document, path, method.upper(), operation, known)
            found[f"{method.upper()} {path}"] = list(mistakes.all())
        wrong = [method for method in METHODS if method.lower() not in item]
        found[f"other methods of {path}"] = [
            Request(method, _filled(path, known), note="method") for method in wrong
        ]
    return found


def _filled(path: str, value: str) -> str:
    return path.replace("{article_id}", value)


class _Mistakes:
    """The mistakes one can make with one operation."""

    def __init__(self, document: Document, path: str, method: str, operation: Document, known: str) -> None:
        self._document = document
        self._path = path
        self._method = method
        self._operation = operation
        self._known = known

    def all(self) -> Iterator[Request]:
        """A valid request, then the mistakes."""
        yield self._request(note="valid")
        yield self._request("?colour=red", note="a parameter nobody declared")
        yield self._request(headers=(("Accept", "image/png"),), note="wants what is not on offer")
        for parameter in self._operation.get("parameters", ()):
            if parameter["in"] == "path":
                yield from self._in_path(parameter)
            else:
                yield from self._in_query(parameter)
        content = self._operation.get("requestBody", {}).get("content", {})
        if content:
            schema = self._resolved(content["application/json"]["schema"])
            yield from self._in_members(schema)
            yield from self._in_body()
        elif self._method == "POST":
            yield self._request(headers=JSON, body=b'{"title": 7}', note="a body nobody asked for")

    def _request(self, query: str = "", note: str = "", **changes: Any) -> Request:
        target = _filled(self._path, changes.pop("article", self._known)) + query
        if self._method == "POST" and "body" not in changes:
            content = b"" if "requestBody" not in self._operation else json.dumps(self._valid()).encode()
            changes = {"headers": JSON, **changes, "body": content}
        return Request(self._method, target, note=note, **changes)

    def _in_path(self, parameter: Document) -> Iterator[Request]:
        longest = "x" * 64  # ArticleId allows 64 characters
        for word in (
            "unknown",
            longest,
            f"{longest}x",
            f"{self._known}%0a",
            *(quote(word) for word in WRONG_WORDS if word),
        ):
            yield self._request(article=word, note=f"path {parameter['name']}")
        yield self._request(article="a%2Fb", note=f"path {parameter['name']}")
        yield self._request(article="%zz", note=f"path {parameter['name']}")

    def _in_query(self, parameter: Document) -> Iterator[Request]:
        name = parameter["name"]
        schema = next(
            one
            for one in parameter["schema"].get("anyOf", [parameter["schema"]])
            if one.get("type") == "integer"
        )
        low, high = int(schema["minimum"]), int(schema["maximum"])
        for number in (low, high, low - 1, high + 1):
            yield self._request(f"?{name}={number}", note=f"query {name}")
        for word in WRONG_WORDS:
            yield self._request(f"?{name}={quote(word)}", note=f"query {name}")
        yield self._request(f"?{name}", note=f"query {name} without value")
        yield self._request(f"?{name}={low}&{name}={high}", note=f"query {name} twice")

    def _in_members(self, schema: Document) -> Iterator[Request]:
        valid = self._valid()
        for name, member in schema["properties"].items():
            rest = {key: value for key, value in valid.items() if key != name}
            yield self._with(rest, f"without {name}")
            for value in WRONG_VALUES:
                yield self._with({**rest, name: value}, f"{name}: {value!r}")
            longest = member.get("maxLength", 64)
            yield self._with({**rest, name: "x" * longest}, f"{name} of {longest} characters")
            yield self._with({**rest, name: "x" * (longest + 1)}, f"{name} of {longest + 1} characters")
        yield self._with({**valid, "colour": "red"}, "a member nobody declared")
        for whole in WRONG_VALUES:
            yield self._with(whole, f"not an object: {whole!r}")

    def _in_body(self) -> Iterator[Request]:
        for what, content in BROKEN_BODIES:
            yield self._request(headers=JSON, body=content, note=f"body: {what}")
        valid = json.dumps(self._valid()).encode()
        for kind in CONTENT_TYPES:
            headers = () if kind is None else (("Content-Type", kind),)
            yield self._request(headers=headers, body=valid, note=f"content type {kind}")
        yield self._request(
            headers=(*JSON, ("Content-Encoding", "gzip")), body=valid, note="says it is compressed"
        )

    def _with(self, content: object, note: str) -> Request:
        return self._request(headers=JSON, body=json.dumps(content).encode(), note=f"body: {note}")

    def _valid(self) -> dict[str, Any]:
        """The smallest valid body: every required member, as short as it may be."""
        schema = self._resolved(self._operation["requestBody"]["content"]["application/json"]["schema"])
        return {name: "x" * schema["properties"][name].get("minLength", 1) for name in schema["required"]}

    def _resolved(self, schema: Document) -> Document:
        reference = schema.get("$ref")
        return self._document["components"]["schemas"][reference.rsplit("/", 1)[1]] if reference else schema
