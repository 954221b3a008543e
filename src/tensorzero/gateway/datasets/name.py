"""What a dataset may be called."""

from __future__ import annotations

from tensorzero.types.errors import InvalidDatasetName


def check_dataset_name(name: str) -> None:
    """Raises ``InvalidDatasetName`` for the two kinds of names that are taken."""
    if name == "builder" or name.startswith("tensorzero::"):
        raise InvalidDatasetName(name)
