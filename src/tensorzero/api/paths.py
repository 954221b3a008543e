"""Routes whose path has parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import unquote_to_bytes

from tensorzero.api.exchange import Exchange
from tensorzero.api.use_case import UseCaseRoute


class PathTable:
    """Finds the handler of a method and a path such as ``/v1/datasets/{name}/datapoints``.

    Paths are taken as they were sent and decoded segment by segment: ``%2F`` belongs to a
    parameter. A path that is a route as it stands is no other route's parameter.
    """

    def __init__(self, routes: Mapping[tuple[str, str], UseCaseRoute], base_path: str) -> None:
        """``routes``: by method and path template, without the base path."""
        methods: dict[str, dict[str, UseCaseRoute]] = {}
        for (method, template), route in routes.items():
            methods.setdefault(base_path + template, {})[method] = route
        for by_method in methods.values():
            if "GET" in by_method:
                # Its body is not sent; whoever writes the answer sees to that.
                by_method.setdefault("HEAD", by_method["GET"])
        # `sorted` keeps the order of those with parameters.
        templates = sorted(methods, key=lambda template: "{" in template)
        self._paths = [(template.split("/"), methods[template]) for template in templates]

    def find(self, method: str, raw_path: bytes) -> Callable[[Exchange], None] | None:
        """The handler, with the path's parameters."""
        by_method, parameters = self._routes(raw_path)
        return by_method[method].at(parameters) if method in by_method else None

    def methods(self, raw_path: bytes) -> list[str]:
        """What the path can be asked with; empty where there is no such path."""
        return sorted(self._routes(raw_path)[0])

    def _routes(self, raw_path: bytes) -> tuple[Mapping[str, UseCaseRoute], dict[str, str]]:
        """The handlers of a path by method, and the path's parameters."""
        segments = _segments(raw_path)
        for template, by_method in self._paths:
            parameters = _match(template, segments)
            if parameters is not None:
                return by_method, parameters
        return {}, {}


def _segments(raw_path: bytes) -> list[str]:
    """None for a path that is not UTF-8: it names nothing here."""
    try:
        return [unquote_to_bytes(segment).decode() for segment in raw_path.split(b"/")]
    except UnicodeDecodeError:
        return []


def _match(template: Sequence[str], segments: Sequence[str]) -> dict[str, str] | None:
    """The parameters, ``None`` when the path is another; a parameter is never empty."""
    if len(template) != len(segments):
        return None
    parameters: dict[str, str] = {}
    for wanted, segment in zip(template, segments, strict=True):
        if wanted.startswith("{"):
            if not segment:
                return None
            parameters[wanted[1:-1]] = segment
        elif wanted != segment:
            return None
    return parameters
