"""What a request brings for ``dynamic::`` credentials."""

from __future__ import annotations


class Credentials(dict[str, str]):
    """Values by key. They are secret: whatever holds them can be shown without showing them."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Credentials({', '.join(sorted(self))})"
