"""Reads ``input``: system, messages and every kind of content block."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlsplit

import orjson

from tensorzero.gateway.fields import (
    boolean,
    choice,
    fault,
    items,
    mapping,
    refuse_unknown,
    required,
    string,
    wrong,
)
from tensorzero.types.content import (
    Input,
    InputBlock,
    InputMessage,
    RawText,
    Role,
    Template,
    Text,
    Thought,
    ToolCall,
    ToolResult,
    Unknown,
)
from tensorzero.types.files import Detail, File, StoragePath
from tensorzero.types.mime import sniff_mime_type


def parse_input(value: Any, path: str) -> Input:
    table = mapping(value, path)
    refuse_unknown(table, path, ("system", "messages"))
    system = table.get("system")
    if system is not None and type(system) not in (str, dict):
        raise wrong(system, f"{path}.system", "a string or an object")
    messages = table.get("messages")
    if messages is None:
        return Input([], system)
    parsed = [
        _message(message, f"{path}.messages[{index}]")
        for index, message in enumerate(items(messages, f"{path}.messages"))
    ]
    return Input(parsed, system)


def _message(value: Any, path: str) -> InputMessage:
    table = mapping(value, path)
    role = cast(Role, choice(required(table, "role", path), f"{path}.role", ("user", "assistant")))
    content = required(table, "content", path)
    refuse_unknown(table, path, ("role", "content"))
    if type(content) is str:
        return InputMessage(role, [Text(content)])
    if type(content) is dict:
        return InputMessage(role, [Template(role, content)])
    if type(content) is not list:
        raise wrong(content, f"{path}.content", "a string, an object or an array of blocks")
    return InputMessage(
        role,
        [_block(block, f"{path}.content[{index}]", role) for index, block in enumerate(content)],
    )


def _block(value: Any, path: str, role: str) -> InputBlock:
    table = mapping(value, path)
    kind = string(required(table, "type", path), f"{path}.type")
    parser = _BLOCKS.get(kind)
    if parser is None:
        expected = ", ".join(f"`{name}`" for name in _BLOCKS)
        raise fault(path, f"unknown variant `{kind[:64]}`, expected one of {expected}")
    return parser(table, path, role)


def _text(table: dict[str, Any], path: str, role: str) -> InputBlock:
    fields = [key for key in table if key != "type"]
    if len(fields) != 1:
        raise fault(
            path, f"expected exactly one of `text` and `arguments`, found {len(fields)} keys"
        )
    key = fields[0]
    if key == "text":
        return Text(string(table["text"], f"{path}.text"))
    if key == "arguments":
        return Template(role, mapping(table["arguments"], f"{path}.arguments"))
    raise fault(path, f"unknown field `{key[:64]}`, expected `text` or `arguments`")


def _template(table: dict[str, Any], path: str, role: str) -> InputBlock:
    refuse_unknown(table, path, ("type", "name", "arguments"))
    name = string(required(table, "name", path), f"{path}.name")
    return Template(name, mapping(required(table, "arguments", path), f"{path}.arguments"))


def _raw_text(table: dict[str, Any], path: str, role: str) -> InputBlock:
    refuse_unknown(table, path, ("type", "value"))
    return RawText(string(required(table, "value", path), f"{path}.value"))


def parse_tool_call(table: dict[str, Any], path: str, role: str) -> InputBlock:
    call_id = string(required(table, "id", path), f"{path}.id")
    name, arguments = table.get("name"), table.get("arguments")
    if type(name) is str and type(arguments) in (str, dict):
        text = arguments if type(arguments) is str else orjson.dumps(arguments).decode()
        return ToolCall(call_id, name, text)
    if table.get("raw_name") is None and table.get("raw_arguments") is None:
        missing = "name" if type(name) is not str else "arguments"
        raise fault(path, f"missing field `{missing}`")
    raw_name = string(required(table, "raw_name", path), f"{path}.raw_name")
    raw = string(required(table, "raw_arguments", path), f"{path}.raw_arguments")
    return ToolCall(call_id, raw_name, raw)


def _tool_result(table: dict[str, Any], path: str, role: str) -> InputBlock:
    refuse_unknown(table, path, ("type", "id", "name", "result"))
    return ToolResult(
        string(required(table, "id", path), f"{path}.id"),
        string(required(table, "name", path), f"{path}.name"),
        string(required(table, "result", path), f"{path}.result"),
    )


def _optional_string(table: dict[str, Any], key: str, path: str) -> str | None:
    value = table.get(key)
    return None if value is None else string(value, f"{path}.{key}")


def parse_thought(table: dict[str, Any], path: str, role: str) -> InputBlock:
    summary = table.get("summary")
    if summary is not None:
        summary = [
            _summary(entry, f"{path}.summary[{index}]")
            for index, entry in enumerate(items(summary, f"{path}.summary"))
        ]
    provider_type = _optional_string(table, "provider_type", path)
    if provider_type is None:
        provider_type = _optional_string(table, "_internal_provider_type", path)
    return Thought(
        _optional_string(table, "text", path),
        _optional_string(table, "signature", path),
        summary,
        provider_type,
        table.get("extra_data"),
    )


def _summary(value: Any, path: str) -> dict[str, Any]:
    fields = mapping(value, path)
    kind = choice(required(fields, "type", path), f"{path}.type", ("summary_text",))
    return {"type": kind, "text": string(required(fields, "text", path), f"{path}.text")}


def parse_unknown(table: dict[str, Any], path: str, role: str) -> InputBlock:
    data = required(table, "data", path)
    model = _optional_string(table, "model_name", path)
    provider = _optional_string(table, "provider_name", path)
    both = _optional_string(table, "model_provider_name", path)
    if both is not None:
        if model is not None or provider is not None:
            raise fault(
                path, "`model_provider_name` cannot stand beside `model_name` or `provider_name`"
            )
        prefix, middle = "tensorzero::model_name::", "::provider_name::"
        if not both.startswith(prefix) or middle not in both:
            raise fault(f"{path}.model_provider_name", f"expected `{prefix}M{middle}P`")
        model, provider = both[len(prefix) :].rsplit(middle, 1)
    return Unknown(data, model, provider)


def _file(table: dict[str, Any], path: str, role: str) -> InputBlock:
    kind = table.get("file_type")
    if kind is None:
        if table.get("url") is not None:
            kind = "url"
        elif table.get("data") is not None:
            kind = "base64"
        elif table.get("storage_path") is not None and table.get("mime_type") is not None:
            kind = "object_storage_pointer"
        else:
            raise fault(path, "missing field `file_type`")
    kind = choice(
        kind,
        f"{path}.file_type",
        ("url", "base64", "object_storage_pointer", "object_storage", "object_storage_error"),
    )
    detail = table.get("detail")
    if detail is not None:
        choice(detail, f"{path}.detail", ("low", "high", "auto"))
    file = File(
        mime_type=_optional_string(table, "mime_type", path),
        source_url=_optional_string(table, "source_url", path),
        detail=cast("Detail | None", detail),
        filename=_optional_string(table, "filename", path),
    )
    if kind == "url":
        file.url = absolute_url(required(table, "url", path), f"{path}.url")
        return file
    if kind != "base64":
        file.storage_path = parse_storage_path(
            required(table, "storage_path", path), f"{path}.storage_path"
        )
        file.mime_type = string(required(table, "mime_type", path), f"{path}.mime_type")
    if kind in ("base64", "object_storage"):
        data = string(required(table, "data", path), f"{path}.data")
        if data.startswith("data:"):
            raise fault(f"{path}.data", "expected bare base64 without a `data:` prefix")
        file.data = data
        if file.mime_type is None:
            file.mime_type = _sniff(data, f"{path}")
    return file


def _sniff(data: str, path: str) -> str:
    try:
        head = base64.b64decode(data[:4096], validate=True)
    except (binascii.Error, ValueError):
        try:
            head = base64.b64decode(data[: len(data) // 4 * 4][:4096])
        except (binascii.Error, ValueError):
            raise fault(f"{path}.data", "invalid base64") from None
    mime_type = sniff_mime_type(head)
    if mime_type is None:
        raise fault(path, "missing field `mime_type`, and the content does not tell its type")
    return mime_type


def absolute_url(value: Any, path: str) -> str:
    text = string(value, path)
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = None
    if parts is None or not parts.scheme or not (parts.netloc or parts.scheme == "data"):
        raise fault(path, "relative URL without a base; expected an absolute URL")
    return text


def parse_storage_path(value: Any, path: str) -> StoragePath:
    """A pointer into an object store, in its full form: every key of its kind is there."""
    table = mapping(value, path)
    kind = mapping(required(table, "kind", path), f"{path}.kind")
    where = f"{path}.kind"
    store = choice(
        required(kind, "type", where), f"{where}.type", ("s3_compatible", "filesystem", "disabled")
    )
    full: dict[str, Any] = {"type": store}
    if store == "filesystem":
        full["path"] = string(required(kind, "path", where), f"{where}.path")
    elif store == "s3_compatible":
        for key in ("bucket_name", "region", "endpoint"):
            full[key] = _optional_string(kind, key, where)
        allow_http = kind.get("allow_http")
        full["allow_http"] = (
            None if allow_http is None else boolean(allow_http, f"{where}.allow_http")
        )
    return StoragePath(full, string(required(table, "path", path), f"{path}.path"))


_BLOCKS: dict[str, Callable[[dict[str, Any], str, str], InputBlock]] = {
    "text": _text,
    "template": _template,
    "raw_text": _raw_text,
    "tool_call": parse_tool_call,
    "tool_result": _tool_result,
    "thought": parse_thought,
    "file": _file,
    "image": _file,
    "unknown": parse_unknown,
}
