"""Routes whose path has parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.routing import compile_path

from tensorzero.api.exchange import Exchange
from tensorzero.api.use_case import UseCaseRoute


class PathTable:
    """Finds the handler of a method and a path such as ``/v1/datasets/{name}/datapoints``."""

    def __init__(self, routes: Mapping[tuple[str, str], UseCaseRoute], base_path: str) -> None:
        """``routes``: by method and path template, without the base path."""
        methods: dict[str, dict[str, UseCaseRoute]] = {}
        for (method, template), route in routes.items():
            methods.setdefault(base_path + template, {})[method] = route
        self._paths = [
            (compile_path(template)[0], by_method) for template, by_method in methods.items()
        ]

    def find(self, method: str, path: str) -> Callable[[Exchange], None] | None:
        """The handler, with the path's parameters."""
        for pattern, by_method in self._paths:
            match = pattern.match(path)
            if match is not None and method in by_method:
                return by_method[method].at(match.groupdict())
        return None

    def methods(self, path: str) -> list[str]:
        """What the path can be asked with; empty where there is no such path."""
        return sorted(
            {
                method
                for pattern, by_method in self._paths
                if pattern.match(path) is not None
                for method in by_method
            }
        )
