from collections.abc import Mapping
from typing import Any

class RowWriter:
    def __init__(self, text_type: type[Any]) -> None: ...
    def chat(
        self,
        id: str,
        function_name: str,
        variant_name: str,
        episode_id: str,
        given: Any,
        params: str,
        processing_time_ms: int,
        ttft_ms: int | None,
        tags: Mapping[str, str],
        extra_body: str,
        snapshot_hash: str,
        output: list[Any],
        tools: dict[str, Any] | None,
    ) -> bytes: ...
    def json(
        self,
        id: str,
        function_name: str,
        variant_name: str,
        episode_id: str,
        given: Any,
        params: str,
        processing_time_ms: int,
        ttft_ms: int | None,
        tags: Mapping[str, str],
        extra_body: str,
        snapshot_hash: str,
        output: str,
        output_schema: str,
        auxiliary: list[Any],
    ) -> bytes: ...
    def model(
        self,
        inference_id: str,
        function_name: str,
        variant_name: str,
        snapshot_hash: str,
        model_name: str,
        provider_name: str,
        cached: bool,
        response: Any,
        cost: float | None,
    ) -> bytes: ...
