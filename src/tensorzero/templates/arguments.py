"""Checks the arguments of filters, tests and functions against their Python signatures."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple

from tensorzero.templates.errors import RenderFault


class _Signature(NamedTuple):
    least: int
    most: float
    positional: tuple[str, ...]
    keywords: frozenset[str]
    any_keyword: bool


@cache
def _signature(function: Callable[..., Any]) -> _Signature:
    least, most = 0, 0.0
    positional: list[str] = []
    keywords: set[str] = set()
    any_keyword = False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            most += 1
            least += parameter.default is parameter.empty
            positional.append(parameter.name)
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
                keywords.add(parameter.name)
        elif parameter.kind is parameter.VAR_POSITIONAL:
            most = float("inf")
        elif parameter.kind is parameter.VAR_KEYWORD:
            any_keyword = True
        else:
            keywords.add(parameter.name)
    return _Signature(least, most, tuple(positional), frozenset(keywords), any_keyword)


def problem(function: Callable[..., Any], positional: int, keywords: Iterable[str]) -> str | None:
    """What is wrong with a call of ``function``, or ``None``.

    ``positional`` counts the state and the value too.
    """
    signature = _signature(function)
    given = set(keywords)
    if positional > signature.most:
        return "too many arguments"
    if not signature.any_keyword:
        unknown = sorted(given - signature.keywords)
        if unknown:
            return f"too many arguments: unknown keyword argument '{unknown[0]}'"
    if positional < signature.least:
        return "missing argument"
    if given.intersection(signature.positional[:positional]) and not signature.any_keyword:
        return "too many arguments: an argument is given twice"
    return None


def check(function: Callable[..., Any], positional: int, keywords: Iterable[str]) -> None:
    """Raise :class:`RenderFault` if the call doesn't fit."""
    text = problem(function, positional, keywords)
    if text is not None:
        raise RenderFault(text)
