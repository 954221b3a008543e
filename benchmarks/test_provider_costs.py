"""A request may cost 1.3 times one with ``openai``, whatever the provider type: ``make bench``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from provider_costs import TYPES, Providers, measure, signing
from stages import HotPath

LIMIT = 1.3
SIGNING_LIMIT_S = 30e-6


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HotPath]:
    made = HotPath(tmp_path_factory.mktemp("stages"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def providers(tmp_path_factory: pytest.TempPathFactory) -> Providers:
    return Providers(tmp_path_factory.mktemp("providers"))


@pytest.mark.parametrize("name", TYPES)
def test_type(name: str, providers: Providers, path: HotPath) -> None:
    cost = measure(providers, path, name)
    assert cost.ratio <= LIMIT, f"{cost.ratio:.2f} times a request with openai"


def test_signing() -> None:
    assert signing() <= SIGNING_LIMIT_S
