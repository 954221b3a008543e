from __future__ import annotations

from collections.abc import Iterator

import pytest
from embedding_models import embedding_models
from openai_support import OpenAIApi

from gateway import functions
from gateway.provider import Provider
from gateway.running import Gateway


@pytest.fixture(scope="session")
def openai_provider() -> Iterator[Provider]:
    server = Provider()
    yield server
    server.shutdown()


@pytest.fixture(autouse=True)
def fresh_provider(openai_provider: Provider) -> None:
    """Every test starts with a provider that has seen nothing and follows no script."""
    openai_provider.requests.clear()
    openai_provider.scripts.clear()
    openai_provider.files.clear()


@pytest.fixture(scope="session")
def api(openai_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAIApi]:
    """The gateway that these tests share, recording into its own database."""
    folder = tmp_path_factory.mktemp("openai")
    models = embedding_models(openai_provider.url)
    config = functions.write(folder, openai_provider.url, models)
    running = Gateway(config, folder / "data")
    yield OpenAIApi(running, openai_provider)
    assert running.stop() == 0


@pytest.fixture(scope="session")
def debugging(
    openai_provider: Provider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OpenAIApi]:
    """One that records nothing, under a base path, with errors as JSON."""
    folder = tmp_path_factory.mktemp("openai-debugging")
    settings = (
        '[gateway]\nbase_path = "/p/"\nunstable_error_json = true\n'
        "observability = { enabled = false }\n"
    )
    running = Gateway(functions.write(folder, openai_provider.url, settings), folder / "data")
    yield OpenAIApi(running, openai_provider, "/p")
    assert running.stop() == 0
