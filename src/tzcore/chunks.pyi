from typing import Any

class ChunkWriter:
    def __init__(
        self, inference_id: str, episode_id: str, variant_name: str, text_type: type[Any]
    ) -> None: ...
    def content(self, blocks: list[Any], extra: dict[str, Any] | None) -> bytes: ...
    def raw(self, delta: str, extra: dict[str, Any] | None) -> bytes: ...
    def around_text(self, block_id: str) -> tuple[bytes, bytes]:
        """What stands before and after the text in a chunk of a chat function that is one text."""
    def around_raw(self) -> tuple[bytes, bytes]:
        """The same for a chunk of a json function."""
