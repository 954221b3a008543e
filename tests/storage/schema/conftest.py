"""One engine for all schema tests, emptied before each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from databases import drop_everything

from tensorzero.storage.database.embedded import EmbeddedDatabase


@pytest.fixture
def db(engine: EmbeddedDatabase) -> Iterator[EmbeddedDatabase]:
    drop_everything(engine)
    yield engine
