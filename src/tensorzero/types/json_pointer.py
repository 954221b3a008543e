"""JSON pointers (RFC 6901) as escape hatches and cost entries use them."""

from __future__ import annotations

from typing import Any


def unescape(token: str) -> str:
    """``~1`` is ``/``, ``~0`` is ``~``, in this order."""
    return token.replace("~1", "/").replace("~0", "~")


def lookup(document: Any, pointer: str) -> tuple[bool, Any]:
    """The value at ``pointer``: ``(True, value)``, or ``(False, None)`` where there is none."""
    node = document
    if pointer == "":
        return True, node
    for raw in pointer[1:].split("/"):
        token = unescape(raw)
        if isinstance(node, dict):
            if token not in node:
                return False, None
            node = node[token]
        elif isinstance(node, list):
            if not _is_index(token) or int(token) >= len(node):
                return False, None
            node = node[int(token)]
        else:
            return False, None
    return True, node


MAX_TOKENS = 100
"""A longer pointer would make a body nested too deep to be written."""


class PointerError(ValueError):
    """A pointer that cannot be applied; the text says why."""


def assign(document: dict[str, Any], pointer: str, value: Any) -> None:
    """Set ``value`` at ``pointer``, making objects on the way; ``-`` at the end appends.

    What lies on the way is copied before it is changed: parts of a document may belong to others
    (a configured schema, an entry's value), and only ``document`` itself is the caller's to edit.
    """
    parent: Any = document
    tokens = split(pointer)
    for position, token in enumerate(tokens[:-1]):
        parent = _step(parent, token, "/" + "/".join(tokens[: position + 1]))
    last = tokens[-1]
    if isinstance(parent, list):
        if last == "-":
            parent.append(value)
        elif _is_index(last) and int(last) < len(parent):
            parent[int(last)] = value
        else:
            raise PointerError(f"index `{last}` is not in an array of length {len(parent)}")
    elif isinstance(parent, dict):
        if last == "-":
            raise PointerError("`-` appends to arrays only, and its parent is an object")
        if last not in parent and _is_index(last):
            raise PointerError(f"`{last}` looks like an array index, and its parent is an object")
        parent[last] = value
    else:
        raise PointerError(f"the parent of `{last}` is neither an object nor an array")


def remove(document: dict[str, Any], pointer: str) -> bool:
    """Delete what is at ``pointer``; ``False`` when nothing was there. Copies as ``assign``."""
    tokens = split(pointer)
    parent: Any = document
    for token in tokens[:-1]:
        if isinstance(parent, dict) and token in parent:
            parent = _own(parent, token)
        elif isinstance(parent, list) and _is_index(token) and int(token) < len(parent):
            parent = _own(parent, int(token))
        else:
            return False
    last = tokens[-1]
    if last == "-":
        raise PointerError("`-` names no element that could be deleted")
    if isinstance(parent, dict) and last in parent:
        del parent[last]
        return True
    if isinstance(parent, list) and _is_index(last) and int(last) < len(parent):
        del parent[int(last)]
        return True
    return False


def split(pointer: str) -> list[str]:
    """The pointer's tokens, unescaped."""
    if not pointer:
        raise PointerError("the pointer is empty")
    if not pointer.startswith("/"):
        raise PointerError("the pointer does not start with `/`")
    if pointer.endswith("/"):
        raise PointerError("the pointer ends with `/`")
    tokens = [unescape(token) for token in pointer[1:].split("/")]
    if len(tokens) > MAX_TOKENS:
        raise PointerError(f"the pointer has more than {MAX_TOKENS} parts")
    return tokens


def _step(parent: Any, token: str, where: str) -> Any:
    if isinstance(parent, dict):
        if token not in parent:
            if _is_index(token):
                raise PointerError(f"`{where}` does not exist, and looks like an array index")
            parent[token] = {}
        return _own(parent, token)
    if isinstance(parent, list):
        if token == "-":
            raise PointerError("`-` is only meant as the last element")
        if not _is_index(token) or int(token) >= len(parent):
            raise PointerError(f"index `{token}` of `{where}` is out of range")
        return _own(parent, int(token))
    raise PointerError(f"`{where}` passes through a value that is neither object nor array")


def _own(parent: Any, key: Any) -> Any:
    """The child at ``key``; a container becomes a copy that belongs to ``parent`` alone."""
    child = parent[key]
    if isinstance(child, dict):
        child = parent[key] = dict(child)
    elif isinstance(child, list):
        child = parent[key] = list(child)
    return child


def _is_index(token: str) -> bool:
    return token.isascii() and token.isdigit() and (token == "0" or token[0] != "0")
