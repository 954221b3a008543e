"""A reader beside a writer at full speed sees frames, each once and in order, and no damage."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

from tensorzero.storage.spool.segment import Segment, Tables
from tzcore.spool import HEADER_BYTES, Writer

FRAMES = 60_000


def _write(folder: str) -> None:
    writer = Writer(folder, segment_bytes=64 * 1024 * 1024)
    for number in range(FRAMES):
        writer.append([(b"ChatInference", b'{"n":%d,"text":"%s"}' % (number, b"x" * 400))])
    writer.close()


def test_a_frame_committed_during_a_look_is_never_taken_for_damage(tmp_path: Path) -> None:
    folder = tmp_path / "w"
    process = multiprocessing.get_context("spawn").Process(target=_write, args=(str(folder),))
    process.start()
    path = folder / "0000000001.seg"
    while not path.exists():
        assert process.is_alive()
    at, seen, ended = HEADER_BYTES, 0, False
    with Segment(path) as segment:
        while not ended:
            tables: Tables = {}
            taken = segment.take(tables, at, final=False, max_frames=FRAMES, max_bytes=1 << 40)
            assert not taken.damage, f"frame {seen} of a living writer at {taken.damage[0].start}"
            for row in tables.get(b"ChatInference", ()):
                assert row.startswith(b'{"n":%d,' % seen)
                seen += 1
            at, ended = taken.end, taken.ended
    process.join()
    assert seen == FRAMES
