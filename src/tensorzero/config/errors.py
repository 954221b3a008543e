"""What is wrong with a configuration: every fault, one line each."""

from __future__ import annotations

from collections.abc import Sequence


class ConfigErrors(Exception):
    """One or more faults; each line names the key and says what would be right."""

    def __init__(self, errors: Sequence[str]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(self.errors))
