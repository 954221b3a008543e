from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.running import Gateway
from queries.recorded import Recorded, write_config


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """The gateway that the tests of queries share; each test has functions of its own."""
    folder: Path = tmp_path_factory.mktemp("queries")
    running = Gateway(write_config(folder), folder / "data")
    yield Recorded(running)
    assert running.stop() == 0
