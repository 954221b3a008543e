"""The example of ``docs/adding-a-provider.md`` is a provider, and its test passes."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tensorzero.config.provider_types import EMBEDDING_TYPES, PROVIDER_TYPES
from tensorzero.providers import registry

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-provider.md"


def _load(name: str, source: str, folder: Path) -> ModuleType:
    path = folder / f"{name}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example, its_test = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    provider = _load("acme_example", example, tmp_path).AcmeProvider
    module = _load("acme_example_test", its_test, tmp_path)
    monkeypatch.setitem(registry.PROVIDERS.loaded, "acme", provider)
    tests = [value for name, value in vars(module).items() if name.startswith("test_")]
    assert len(tests) == 3
    for test in tests:
        test()


def test_the_example_is_in_the_projects_style(tmp_path: Path) -> None:
    for number, source in enumerate(
        re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    ):
        path = tmp_path / f"example{number}.py"
        path.write_text(source)
        config = Path(__file__).parents[2] / "pyproject.toml"
        command = [sys.executable, "-m", "ruff", "check", "--config", str(config), str(path)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout


def test_what_is_registered_is_what_the_configuration_takes() -> None:
    assert set(registry.PROVIDERS) == set(PROVIDER_TYPES)
    assert set(registry.EMBEDDING_PROVIDERS) == set(EMBEDDING_TYPES)


def test_each_line_of_the_registry_names_what_is_there() -> None:
    for name, factory in registry.PROVIDERS.items():
        assert registry.PROVIDERS[name] is factory
        assert name == "openai" or getattr(factory, "type", None) == name
    for name, embedding in registry.EMBEDDING_PROVIDERS.items():
        assert getattr(embedding, "type", None) == name
    assert registry.PROVIDERS.get("acme") is None
