"""Every command of ``docs/queries.md`` works as it is typed there."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from queries.recorded import Recorded, id_at, text_input

PAGE = (Path(__file__).parents[2] / "docs" / "queries.md").read_text()
COMMANDS = [line.strip() for line in PAGE.splitlines() if line.startswith("    curl ")]


@pytest.fixture(scope="module")
def drafted(recorded: Recorded) -> str:
    inference_id = id_at("2026-05-01T00:00:00")
    recorded.chat("draft_email", inference_id, input=text_input("Say thanks"), tags={"env": "live"})
    return inference_id


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command(recorded: Recorded, drafted: str, command: str) -> None:
    curl, silent, url, option, body = shlex.split(command)
    assert (curl, silent, option) == ("curl", "-s", "-d")
    answer = recorded.client.post(url.replace("localhost:3000", recorded.url), content=body)
    assert answer.status_code == 200, answer.text
    found = answer.json()["inferences"]
    asked = json.loads(body)
    if "ids" in asked:
        assert found == []
    elif "function_name" in asked or "search_query_experimental" in asked:
        assert drafted in [inference["inference_id"] for inference in found]
    else:
        assert found


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 6
