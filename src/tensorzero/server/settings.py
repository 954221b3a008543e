"""What the supervisor tells its children, as one JSON text on their command line.

Nothing in it is secret: credentials stay in the environment and in files only we can read.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from zlib import crc32

import orjson

SPOOL_LIMIT_BYTES = 10 * 1024**3
"""What the spool of one gateway holds at most, all workers together."""
_MIB = 1024 * 1024
SEGMENT_BYTES = 16 * _MIB
"""A segment of inferences."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Paths and switches of one gateway."""

    data_dir: str
    spool_dir: str
    log_format: str = "pretty"
    debug: bool = False
    workers: int = 1
    records: bool = True
    embedded: bool = True

    def to_json(self) -> str:
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def from_json(cls, text: str) -> Settings:
        return cls(**orjson.loads(text))

    @property
    def control_socket(self) -> str:
        """The shipper's Unix socket; near the spool unless its path would be too long."""
        path = str(Path(self.spool_dir) / "shipper.sock")
        if len(path) < 100:
            return path
        return f"/tmp/tensorzero-{os.getuid()}-{hash_of(path):x}.sock"

    def keep_free_bytes(self) -> int:
        """What the spool leaves free of its disk: a full one would keep the embedded database
        from taking what waits. An eighth, within 16 to 256 MiB; nothing for a server's sake."""
        if not self.embedded:
            return 0
        status = os.statvfs(self.spool_dir)
        total = status.f_blocks * status.f_frsize
        return min(max(total // 8, 16 * _MIB), 256 * _MIB)

    @property
    def quarantine_dir(self) -> str:
        return str(Path(self.data_dir) / "quarantine")


def hash_of(text: str) -> int:
    """A hash that is the same in every process."""
    return crc32(text.encode())
