from typing import Any

class ChunkWriter:
    def __init__(
        self, inference_id: str, episode_id: str, variant_name: str, text_type: type[Any]
    ) -> None: ...
    def content(self, blocks: list[Any], extra: dict[str, Any] | None) -> bytes: ...
    def raw(self, delta: str, extra: dict[str, Any] | None) -> bytes: ...

def frames(chunks: list[bytes]) -> bytes:
    """Each of ``chunks``, none of which has a line end, as an event of its own."""
