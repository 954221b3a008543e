"""Makes a small JSON value that fits a schema.

Not a solver: it follows the keywords that schemas of functions and tools use, varies its choices
a few times, and holds each try against the schema. Sizes are bounded, because schemas come from
requests too.
"""

from __future__ import annotations

from typing import Any

from tensorzero.providers.dummy.pattern import matching_text
from tensorzero.types.schema import JSONSchema

MAX_DEPTH = 24
MAX_NODES = 2_000
MAX_TEXT = 100_000
TRIES = 12

_EXAMPLES = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "user@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com",
    "uri-reference": "/",
    "uuid": "00000000-0000-7000-8000-000000000000",
    "json-pointer": "/a",
    "regex": ".",
}


def fitting_instance(schema: JSONSchema) -> Any:
    """The first small instance that fits; where no try does, the first try."""
    first: Any = None
    for choice in range(TRIES):
        maker = _Maker(schema.value, choice)
        try:
            instance = maker.make(schema.value)
        except (AttributeError, LookupError, TypeError, ValueError):
            # A keyword that this draft of JSON Schema does not check has an odd value.
            continue
        if schema.is_valid(instance):
            return instance
        if first is None:
            first = instance
        if maker.nodes > MAX_NODES:
            break
    return first


class _Maker:
    """One try. ``choice`` picks among alternatives: the first, the second, …"""

    def __init__(self, root: Any, choice: int) -> None:
        self.root = root
        self.choice = choice
        self.nodes = 0

    def make(self, schema: Any, depth: int = 0) -> Any:
        self.nodes += 1
        if not isinstance(schema, dict) or depth > MAX_DEPTH or self.nodes > MAX_NODES:
            return None
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][self.choice % len(schema["enum"])]
        if "default" in schema and self.choice == 0:
            return schema["default"]
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.startswith("#"):
            rest = _without(schema, "$ref")
            return self.make(_merge(_resolve(self.root, reference), rest), depth + 1)
        for keyword in ("anyOf", "oneOf"):
            if schema.get(keyword):
                options = schema[keyword]
                chosen = options[self.choice % len(options)]
                return self.make(_merge(_without(schema, keyword), chosen), depth + 1)
        if schema.get("allOf"):
            merged: Any = _without(schema, "allOf")
            for part in schema["allOf"]:
                if isinstance(part, dict) and str(part.get("$ref", "")).startswith("#"):
                    part = _merge(_resolve(self.root, part["$ref"]), _without(part, "$ref"))
                merged = _merge(merged, part)
            return self.make(merged, depth + 1)
        return self._of_type(schema, self._type(schema), depth)

    def _type(self, schema: dict[str, Any]) -> str:
        kind = schema.get("type")
        if isinstance(kind, list) and kind:
            return str(kind[self.choice % len(kind)])
        if isinstance(kind, str):
            return kind
        if {"items", "prefixItems", "minItems", "contains"} & schema.keys():
            return "array"
        if {"pattern", "minLength", "maxLength", "format"} & schema.keys():
            return "string"
        if {"minimum", "maximum", "multipleOf", "exclusiveMinimum"} & schema.keys():
            return "number"
        return "object"

    def _of_type(self, schema: dict[str, Any], kind: str, depth: int) -> Any:
        if kind == "string":
            text = _string(schema)
            self.nodes += len(text) // 16
            return text
        if kind in ("integer", "number"):
            return _number(schema, kind)
        if kind == "boolean":
            return self.choice % 2 == 1
        if kind == "null":
            return None
        if kind == "array":
            return self._array(schema, depth)
        return self._object(schema, depth)

    def _array(self, schema: dict[str, Any], depth: int) -> list[Any]:
        items = [self.make(item, depth + 1) for item in schema.get("prefixItems", ())]
        if "contains" in schema:
            items.append(self.make(schema["contains"], depth + 1))
        item = schema.get("items", {})
        distinct = schema.get("uniqueItems") is True
        while len(items) < schema.get("minItems", 0) and self.nodes <= MAX_NODES:
            made = self.make(item, depth + 1)
            if distinct and made in items:
                made = self._another(item, items, depth)
            items.append(made)
        return items

    def _another(self, schema: Any, items: list[Any], depth: int) -> Any:
        """A value that is not in ``items`` yet, if another choice gives one."""
        choice = self.choice
        made: Any = None
        for self.choice in range(choice + 1, choice + 1 + TRIES):
            made = self.make(schema, depth + 1)
            if isinstance(made, (int, float)) and not isinstance(made, bool):
                made += len(items)
            elif isinstance(made, str) and "enum" not in schema:
                made += str(len(items))
            if made not in items:
                break
        self.choice = choice
        return made

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        out = {
            name: self.make(self._property(schema, name), depth + 1)
            for name in schema.get("required", ())
        }
        for name, needed in schema.get("dependentRequired", {}).items():
            if name in out:
                for one in needed:
                    out.setdefault(one, self.make(self._property(schema, one), depth + 1))
        for name in properties:
            if len(out) >= schema.get("minProperties", 0):
                break
            out.setdefault(name, self.make(properties[name], depth + 1))
        while len(out) < schema.get("minProperties", 0) and self.nodes <= MAX_NODES:
            name = f"key{len(out)}"
            out[name] = self.make(self._property(schema, name), depth + 1)
        return out

    def _property(self, schema: dict[str, Any], name: str) -> Any:
        known = schema.get("properties", {}).get(name)
        if known is None:
            known = schema.get("additionalProperties", {})
        return known if isinstance(known, dict) else {}


def _string(schema: dict[str, Any]) -> str:
    text = _EXAMPLES.get(schema.get("format", ""), "text")
    if "pattern" in schema:
        text = matching_text(schema["pattern"], MAX_TEXT) or text
    minimum = min(schema.get("minLength", 0), MAX_TEXT)
    if len(text) < minimum:
        text += "x" * (minimum - len(text))
    return text[: schema.get("maxLength", len(text))]


def _number(schema: dict[str, Any], kind: str) -> int | float:
    step = schema.get("multipleOf", 1 if kind == "integer" else 0)
    small = step or 0.5
    value = schema.get("minimum", 0)
    low: Any = schema.get("exclusiveMinimum")
    if _is_number(low):
        value = max(value, low + small)
    if "maximum" in schema:
        value = min(value, schema["maximum"])
    high: Any = schema.get("exclusiveMaximum")
    if _is_number(high) and value >= high:
        value = high - small
    if step:
        value = -(-value // step) * step
        if value > schema.get("maximum", value):
            value -= step
    return int(value) if kind == "integer" else value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _without(schema: dict[str, Any], keyword: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != keyword}


def _merge(left: Any, right: Any) -> Any:
    """Both schemas as one: of limits the right one's, of properties and required ones all."""
    if not isinstance(left, dict) or not isinstance(right, dict):
        return left if isinstance(left, dict) else right
    merged = {**left, **right}
    if "properties" in left and "properties" in right:
        merged["properties"] = {**left["properties"], **right["properties"]}
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
