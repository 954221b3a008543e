from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import functions
from gateway.api import Api
from gateway.provider import Provider
from gateway.running import Gateway, write_config
from gateway.scripted import Upstream, start


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


@pytest.fixture(autouse=True)
def fresh_provider(provider: Provider) -> None:
    """Every test starts with a provider that has seen nothing and follows no script."""
    provider.requests.clear()
    provider.scripts.clear()
    provider.files.clear()
    provider.fetched.clear()


@pytest.fixture(scope="session")
def api(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The gateway that the tests of ``/inference`` share: recording into its own database."""
    folder = tmp_path_factory.mktemp("api")
    running = Gateway(functions.write(folder, provider.url), folder / "data")
    yield Api(running, provider)
    assert running.stop() == 0


@pytest.fixture(scope="session")
def silent(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One that records nothing, under a base path, with errors as JSON and debug texts."""
    folder = tmp_path_factory.mktemp("silent")
    settings = (
        '[gateway]\nbase_path = "/p/"\ndebug = true\nunstable_error_json = true\n'
        "observability = { enabled = false }\n"
    )
    running = Gateway(functions.write(folder, provider.url, settings), folder / "data")
    yield Api(running, provider, "/p")
    assert running.stop() == 0


@pytest.fixture(scope="session")
def storeless(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One that records but stores no files, and sends them by content."""
    folder = tmp_path_factory.mktemp("storeless")
    settings = (
        "[gateway]\nunstable_error_json = true\n"
        "fetch_and_encode_input_files_before_inference = true\n"
        '[object_storage]\ntype = "disabled"\n'
    )
    running = Gateway(functions.write(folder, provider.url, settings), folder / "data")
    yield Api(running, provider)
    assert running.stop() == 0


@pytest.fixture(scope="session")
def scripted(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One whose models are answered by ``upstream``."""
    folder = tmp_path_factory.mktemp("scripted")
    server = Upstream()
    running = start(folder, server)
    api = Api(running, provider)
    api.upstream = server
    yield api
    assert running.stop() == 0


@pytest.fixture
def upstream(scripted: Api) -> Upstream:
    """The server behind ``scripted``: nothing seen, every model says hello."""
    server = scripted.upstream
    assert server is not None
    server.seen.clear()
    server.answers.clear()
    return server
