"""What the readers of the commonest forms share: each provider reads nearly all of its answers in
one pass, and leaves the others to its general way."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

OTHER_FORM = (ValueError, RecursionError)
"""What decoding raises where a body or an event is not of the form, or nested without end."""

_Number = Annotated[int, Meta(ge=-(2**62), le=2**62)]
_Figure = _Number | float | bool | str | None
CommonUsage = dict[str, _Figure | dict[str, _Figure] | list[dict[str, _Figure]]] | None
"""A usage object. It is passed on as it came, so it holds nothing that cannot be written again:
no number beyond 64 bits, no depth."""
