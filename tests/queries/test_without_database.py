"""Inference queries where nothing is recorded, and while the database is away."""

from __future__ import annotations

from pathlib import Path

from gateway.clickhouse import ClickHouse
from gateway.running import Gateway
from queries.recorded import Recorded, write_config


def test_without_recording_nothing_is_found(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    config.write_text(f"[gateway]\nobservability.enabled = false\n{config.read_text()}")
    gateway = Gateway(config, tmp_path / "data")
    try:
        recorded = Recorded(gateway)
        assert recorded.list() == []
        assert recorded.get("0190f000-0000-7000-8000-000000000001") == []
        recorded.refused(404, "Unknown function: nobody", function_name="nobody")
    finally:
        assert gateway.stop() == 0


def test_a_server_is_asked_like_the_embedded_database(tmp_path: Path) -> None:
    server = ClickHouse(tmp_path / "clickhouse")
    try:
        environment = server.environment
        gateway = Gateway(write_config(tmp_path), tmp_path / "data", environment=environment)
        recorded = Recorded(gateway)
        inference_id = recorded.infer(function_name="shapes", tags={"k": "v"})
        tag = {"type": "tag", "key": "k", "value": "v", "comparison_operator": "="}
        assert recorded.ids(filters=tag) == recorded.ids() == [inference_id]
        server.kill()
        for route, body in (("list_inferences", {}), ("get_inferences", {"ids": [inference_id]})):
            answer = recorded.post(route, body)
            assert answer.status_code == 503, answer.text
            assert "can't be reached" in answer.json()["error"]
        server.start()
        assert recorded.ids() == [inference_id]
        assert gateway.stop() == 0
    finally:
        server.kill()
