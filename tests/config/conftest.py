from __future__ import annotations

from pathlib import Path

import pytest

from config.folder import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    path = tmp_path / "app"
    path.mkdir()
    return Folder(path.resolve())
