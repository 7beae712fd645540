"""The JSON Schema of ``launcher.toml``, made from the table, for editors and other tools."""

from __future__ import annotations

from collections.abc import Mapping

from launcher.config.build import KIND_OF
from launcher.config.fields import Field, Named, Node, Section
from launcher.config.table import COMPONENT, DEPENDENCY, ROOT
from launcher.config.table_hooks import HOOK
from launcher.config.table_restart import RESTART

DRAFT = "https://json-schema.org/draft/2020-12/schema"

_REFERENCE = {"$ref": "#/$defs/interpolated"}
_INTERPOLATED = {
    "type": "string",
    "pattern": r"\$\{",
    "description": "Text with ${VAR}, ${VAR:-default} or ${VAR:?message}; $$ is a dollar sign.",
}


def json_schema() -> dict[str, object]:
    """Return the schema, draft 2020-12.

    It says what a file alone can tell. What several layers or names decide together is left to ``launcher check``.
    """
    schema = _schema(ROOT)
    return {
        "$schema": DRAFT,
        "title": "launcher.toml",
        **schema,
        "$defs": {"interpolated": _INTERPOLATED},
    }


def _schema(node: Node) -> dict[str, object]:
    if isinstance(node, Field):
        return _field(node)
    if isinstance(node, Named):
        return {
            "type": "object",
            "description": node.doc,
            "patternProperties": {node.pattern: _schema(node.item)},
            "additionalProperties": False,
        }
    return _section(node)


def _field(field: Field) -> dict[str, object]:
    schema: dict[str, object] = {"description": _sentence(field)}
    if field.default is not None:
        schema["default"] = field.default
    own = dict(field.type.schema)
    if _takes_any_text(own):
        return {**schema, **own}
    return {**schema, "anyOf": [own, _REFERENCE]}


def _takes_any_text(schema: Mapping[str, object]) -> bool:
    return schema.get("type") in ("string", ["string", "number"]) and "pattern" not in schema


def _sentence(field: Field) -> str:
    parts = [field.doc]
    if field.constraint:
        parts.append(f"{field.constraint[0].upper()}{field.constraint[1:]}.")
    if field.default_doc and field.default is None:
        parts.append(f"Default: {field.default_doc}.")
    return " ".join(parts)


def _section(node: Section) -> dict[str, object]:
    table: dict[str, object] = {
        "type": "object",
        "description": node.doc,
        "properties": {key: _schema(child) for key, child in node.nodes.items()},
        "additionalProperties": False,
    }
    if node is COMPONENT:
        table |= _component_rules()
    if node is RESTART:
        policy = node.nodes[node.shorthand]
        assert isinstance(policy, Field), policy  # noqa: S101 (so the table is written)
        return {"description": node.doc, "anyOf": [table, dict(policy.type.schema), _REFERENCE]}
    if node is DEPENDENCY:
        table["required"] = ["url"]
    if node is HOOK:
        table["oneOf"] = [{"required": ["command"]}, {"required": ["url"]}]
    return table


def _component_rules() -> dict[str, object]:
    rules: list[object] = []
    for key, kind in KIND_OF.items():
        foreign = {
            field.key: False
            for field in COMPONENT.fields()
            if kind not in field.kinds and field.key not in KIND_OF
        }
        foreign |= {"each": False} if key != "launcher" else {}
        same: dict[str, object] = {"kind": {"anyOf": [{"const": str(kind)}, _REFERENCE]}}
        rules.append({"if": {"required": [key]}, "then": {"properties": {**same, **foreign}}})
    return {"oneOf": [{"required": [key]} for key in KIND_OF], "allOf": rules}
