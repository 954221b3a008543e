"""Makes a small JSON value that satisfies a schema, for the offline provider.

Not a solver: it follows the keywords that schemas of functions and tools use, and the caller
checks the result against the schema.
"""

from __future__ import annotations

from typing import Any

MAX_DEPTH = 24


def minimal_instance(schema: Any, root: Any = None, depth: int = 0) -> Any:
    """The smallest plausible instance: required properties only, first of each choice."""
    root = schema if root is None else root
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return None if isinstance(schema, dict) else {}
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    if "default" in schema:
        return schema["default"]
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#"):
        return minimal_instance(_resolve(root, reference), root, depth + 1)
    for keyword in ("anyOf", "oneOf"):
        if schema.get(keyword):
            return minimal_instance(
                {**_without(schema, keyword), **schema[keyword][0]}, root, depth + 1
            )
    if schema.get("allOf"):
        merged: dict[str, Any] = _without(schema, "allOf")
        for part in schema["allOf"]:
            merged = _merge(merged, part)
        return minimal_instance(merged, root, depth + 1)
    return _of_type(schema, _type_of(schema), root, depth)


def _type_of(schema: dict[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        return str(kind[0]) if kind else "null"
    if isinstance(kind, str):
        return kind
    if "items" in schema or "prefixItems" in schema:
        return "array"
    return "object"


def _of_type(schema: dict[str, Any], kind: str, root: Any, depth: int) -> Any:
    if kind == "string":
        return _string(schema)
    if kind in ("integer", "number"):
        return _number(schema, kind)
    if kind == "boolean":
        return False
    if kind == "null":
        return None
    if kind == "array":
        items = [minimal_instance(item, root, depth + 1) for item in schema.get("prefixItems", ())]
        while len(items) < schema.get("minItems", 0):
            items.append(minimal_instance(schema.get("items", {}), root, depth + 1))
        return items
    properties = schema.get("properties", {})
    return {
        name: minimal_instance(properties.get(name, {}), root, depth + 1)
        for name in schema.get("required", ())
    }


def _string(schema: dict[str, Any]) -> str:
    examples = {
        "date-time": "2026-01-01T00:00:00Z",
        "date": "2026-01-01",
        "time": "00:00:00Z",
        "email": "user@example.com",
        "uri": "https://example.com",
        "uuid": "00000000-0000-7000-8000-000000000000",
    }
    text = examples.get(schema.get("format", ""), "text")
    minimum = schema.get("minLength", 0)
    if len(text) < minimum:
        text += "x" * (minimum - len(text))
    return text[: schema.get("maxLength", len(text))]


def _number(schema: dict[str, Any], kind: str) -> int | float:
    step = schema.get("multipleOf", 1 if kind == "integer" else 0)
    value = schema.get("minimum", 0)
    if "exclusiveMinimum" in schema and schema["exclusiveMinimum"] is not False:
        value = max(value, schema["exclusiveMinimum"] + (step or 1))
    if "maximum" in schema:
        value = min(value, schema["maximum"])
    if step:
        value = -(-value // step) * step
    return int(value) if kind == "integer" else value


def _without(schema: dict[str, Any], keyword: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != keyword}


def _merge(left: dict[str, Any], right: Any) -> dict[str, Any]:
    if not isinstance(right, dict):
        return left
    merged = {**left, **right}
    for key in ("properties",):
        if key in left and key in right:
            merged[key] = {**left[key], **right[key]}
    if "required" in left and "required" in right:
        merged["required"] = [*left["required"], *right["required"]]
    return merged


def _resolve(root: Any, reference: str) -> Any:
    node = root
    for token in reference.lstrip("#").strip("/").split("/"):
        if token == "":
            continue
        token = token.replace("~1", "/").replace("~0", "~")
        node = node.get(token, {}) if isinstance(node, dict) else {}
    return node
