from typing import Any

class AnswerWriter:
    def __init__(self, text_type: type[Any]) -> None: ...
    def chat(
        self,
        inference_id: str,
        episode_id: str,
        variant_name: str,
        content: list[Any],
        usage: Any,
        extra: dict[str, Any] | None,
        finish_reason: str | None,
    ) -> bytes: ...
    def json(
        self,
        inference_id: str,
        episode_id: str,
        variant_name: str,
        raw: str | None,
        parsed: Any,
        usage: Any,
        extra: dict[str, Any] | None,
        finish_reason: str | None,
    ) -> bytes: ...
