from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.provider import Provider
from gateway.running import Gateway, write_config


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    server = Provider()
    yield server
    server.shutdown()


@pytest.fixture(scope="module")
def gateway(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("gateway")
    running = Gateway(write_config(folder, provider.url), folder / "data")
    yield running
    assert running.stop() == 0
