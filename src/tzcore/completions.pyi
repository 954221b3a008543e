from typing import Any

class CompletionWriter:
    """Writes chat completions; holds nothing but its scratch buffer."""

    def __init__(self) -> None: ...
    def write(
        self,
        inference_id: str,
        episode_id: str,
        finish_reason: bytes,
        content: str | None,
        message_end: bytes,
        created: int,
        model: str,
        usage: Any,
        extra: dict[str, Any] | None,
    ) -> bytes:
        """One answer. ``message_end``: further members of the message, its brace included;
        ``extra``: further members of the whole, ``None`` without."""

    def usage(self, usage: Any) -> bytes:
        """``usage`` alone, as a stream's last chunk has it."""
