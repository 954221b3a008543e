"""Segments: what the writer wrote is what the reader finds, whatever happened to the file."""

from __future__ import annotations

import os
import shutil
import struct
import time
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tensorzero.storage.spool.directory import WriterDirectory
from tensorzero.storage.spool.segment import Segment, Tables, Taken
from tzcore.spool import HEADER_BYTES, MAGIC, SpoolFull, Writer, find_frame, read_frames

rows = st.lists(
    st.tuples(
        st.sampled_from([b"ChatInference", b"ModelInference", b"T" * 255, b""]),
        st.binary(max_size=200),
    ),
    min_size=1,
    max_size=4,
)
SMALL = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
MIB = 1024 * 1024


def read(path: Path, *, final: bool = True, start: int = HEADER_BYTES) -> tuple[Tables, Taken]:
    tables: Tables = {}
    with Segment(path) as segment:
        taken = segment.take(tables, start, final=final, max_frames=1 << 40, max_bytes=1 << 40)
    return tables, taken


def by_table(frames: list[list[tuple[bytes, bytes]]]) -> Tables:
    tables: Tables = {}
    for frame in frames:
        for table, row in frame:
            tables.setdefault(table, []).append(row)
    return tables


def write(
    folder: Path, frames: list[list[tuple[bytes, bytes]]], size: int = 64 * 1024
) -> list[Path]:
    """Frames as a writer leaves them that was killed: no end mark."""
    writer = Writer(str(folder), segment_bytes=size)
    for frame in frames:
        writer.append(frame)
    directory = WriterDirectory(folder)
    return [directory.segment_path(number) for number in directory.segments()]


@SMALL
@given(frames=st.lists(rows, max_size=30))
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, frames: list) -> None:
    folder = tmp_path_factory.mktemp("spool") / "w"
    writer = Writer(str(folder), segment_bytes=4096)
    ends = [writer.append(frame) for frame in frames]
    assert ends == sorted(set(ends))
    directory = WriterDirectory(folder)
    found: Tables = {}
    numbers = directory.segments()
    for number in numbers:
        last = number == numbers[-1]
        tables, taken = read(directory.segment_path(number), final=False)
        assert taken.ended is not last
        assert taken.damage == []
        for table, some in tables.items():
            found.setdefault(table, []).extend(some)
    assert found == by_table(frames)
    if ends:
        assert taken.end == ends[-1][1]
    assert not directory.abandoned()
    writer.close()
    assert directory.abandoned()
    assert read(directory.segment_path(numbers[-1]), final=False)[1].ended


def test_a_frame_larger_than_a_segment_gets_its_own(tmp_path: Path) -> None:
    writer = Writer(str(tmp_path / "w"), segment_bytes=4096)
    small, large = [(b"t", b"small")], [(b"t", os.urandom(5 * MIB))]
    for frame in (small, large, small):
        writer.append(frame)
    directory = WriterDirectory(tmp_path / "w")
    found = [read(directory.segment_path(n), final=False)[0] for n in directory.segments()]
    assert [by_table([frame]) for frame in (small, large, small)] == found


@pytest.mark.parametrize("chunk", [8, 64, 4096])
def test_limits_and_pieces(tmp_path: Path, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any size of reading pieces, and any stop in between, gives the same frames."""
    monkeypatch.setattr("tensorzero.storage.spool.segment.CHUNK_BYTES", chunk)
    frames = [[(b"t", b"%d" % n * (n % 50))] for n in range(200)]
    (path,) = write(tmp_path / "w", frames)
    tables: Tables = {}
    place, count = HEADER_BYTES, 0
    with Segment(path) as segment:
        while not (
            taken := segment.take(tables, place, final=True, max_frames=7, max_bytes=300)
        ).ended:
            assert 0 < taken.frames <= 7
            place, count = taken.end, count + taken.frames
    assert tables == by_table(frames)
    assert count + taken.frames == 200


def torn(path: Path, at: int, content: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(content)


def test_a_killed_writers_torn_frame_is_cut_off(tmp_path: Path) -> None:
    """The payload is there, its length is not: it was never answered, and is no damage."""
    (path,) = write(tmp_path / "w", [[(b"t", b"kept")]])
    tables, taken = read(path)
    torn(path, taken.end + 4, b"\x12\x34\x56\x78\x01\x00\x00\x00\x00thalf a row")
    tables, again = read(path)
    assert tables == {b"t": [b"kept"]}
    assert (again.ended, again.damage, again.end) == (True, [], taken.end)
    _, live = read(path, final=False)
    assert (live.ended, live.damage) == (False, [])


def test_a_hole_before_later_frames_is_passed_over(tmp_path: Path) -> None:
    """After a power loss pages can be there whose predecessors are not."""
    frames = [[(b"t", b"%d" % n * 20)] for n in range(3)]
    (path,) = write(tmp_path / "w", frames)
    (length,) = struct.unpack_from("<I", path.read_bytes(), HEADER_BYTES)
    first_end = (HEADER_BYTES + 8 + length + 7) & ~7
    (length,) = struct.unpack_from("<I", path.read_bytes(), first_end)
    second_end = (first_end + 8 + length + 7) & ~7
    torn(path, first_end, bytes(second_end - first_end))
    tables, taken = read(path)
    assert tables == {b"t": [b"0" * 20, b"2" * 20]}
    assert [(d.start, d.end) for d in taken.damage] == [(first_end, second_end)]
    # While its writer lives, the same is a frame that is being written.
    tables, taken = read(path, final=False)
    assert tables == {b"t": [b"0" * 20]}
    assert (taken.end, taken.damage) == (first_end, [])


def test_a_bad_checksum_costs_one_frame(tmp_path: Path) -> None:
    frames = [[(b"t", b"row %d" % n)] for n in range(50)]
    for final in (True, False):
        (path,) = write(tmp_path / f"w{final}", frames)
        place = path.read_bytes().index(b"row 25")
        torn(path, place, b"X")
        tables, taken = read(path, final=final)
        assert tables[b"t"] == [b"row %d" % n for n in range(50) if n != 25]
        (damage,) = taken.damage
        assert b"Xow 25" in damage.content
        assert damage.end - damage.start == len(damage.content)


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF, 0x00FFFFFF, 3, 1])
def test_a_damaged_length_costs_one_frame(tmp_path: Path, length: int) -> None:
    frames = [[(b"t", b"row %d" % n)] for n in range(10)]
    (path,) = write(tmp_path / "w", frames)
    place = path.read_bytes().index(b"row 5") - 8 - 6
    torn(path, place & ~7, struct.pack("<I", length))
    tables, taken = read(path)
    assert tables[b"t"] == [b"row %d" % n for n in range(10) if n != 5]
    assert len(taken.damage) == 1


def test_a_damaged_header_costs_nothing(tmp_path: Path) -> None:
    (path,) = write(tmp_path / "w", [[(b"t", b"row")]])
    torn(path, 0, b"garbage!")
    tables, taken = read(path)
    assert tables == {b"t": [b"row"]}
    assert [(d.start, d.end) for d in taken.damage] == [(0, HEADER_BYTES)]


@pytest.mark.parametrize("size", [0, 1, 8, 15, 16, 17, 23, 24, 31, 1000])
def test_short_files(tmp_path: Path, size: int) -> None:
    (path,) = write(tmp_path / "w", [[(b"t", b"x" * 2000)]])
    os.truncate(path, size)
    tables, taken = read(path)
    assert tables == {}
    assert taken.ended
    assert not read(path, final=False)[1].ended


@SMALL
@given(
    frames=st.lists(rows, min_size=1, max_size=20),
    wounds=st.lists(
        st.tuples(st.integers(0, 3000), st.binary(min_size=1, max_size=12)), min_size=1, max_size=4
    ),
    cut=st.none() | st.integers(0, 4096),
)
def test_whatever_is_damaged_the_rest_is_read(
    tmp_path_factory: pytest.TempPathFactory, frames: list, wounds: list, cut: int | None
) -> None:
    """Every frame found was written; every frame that no wound touched is found, once."""
    folder = tmp_path_factory.mktemp("spool") / "w"
    writer = Writer(str(folder), segment_bytes=64 * 1024)
    numbered = [[*frame, (b"id", b"%d" % n)] for n, frame in enumerate(frames)]
    ends = [writer.append(frame)[1] for frame in numbered]
    path = WriterDirectory(folder).segment_path(1)
    before = path.read_bytes()
    for place, content in wounds:
        torn(path, place, content)
    if cut is not None:
        os.truncate(path, cut)
    after = path.read_bytes().ljust(len(before), b"\0")
    whole = []
    for number, (start, end) in enumerate(zip([HEADER_BYTES, *ends], ends, strict=False)):
        if before[start:end] == after[start:end]:
            whole.append(b"%d" % number)
    began = time.monotonic()
    tables, taken = read(path)
    assert time.monotonic() - began < 5
    assert taken.ended
    found = tables.get(b"id", [])
    assert len(found) == len(set(found))
    assert set(whole) <= set(found)
    assert set(found) <= {b"%d" % n for n in range(len(frames))}
    # The same again, in pieces: damage does not depend on where reading begins.
    pieces: Tables = {}
    place = HEADER_BYTES
    with Segment(path) as segment:
        while True:
            some = segment.take(pieces, place, final=True, max_frames=3, max_bytes=1 << 40)
            if some.ended:
                break
            place = some.end
    assert pieces == tables


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=600))
def test_any_bytes_are_read_in_bounds(data: bytes) -> None:
    tables: Tables = {}
    status, used, frames, size, wanted = read_frames(data, len(data), tables, 100, 1 << 40)
    assert 0 <= used <= len(data)
    assert sum(len(row) for some in tables.values() for row in some) == size
    assert (frames > 0) == (used > 0)
    assert status in range(5) and wanted >= 0
    assert 0 <= find_frame(data, 0) <= max(len(data), 0)


@pytest.mark.parametrize("kind", ["random", "zeros", "ones", "lengths", "nested"])
def test_sixteen_megabytes_of_anything_take_bounded_time(tmp_path: Path, kind: str) -> None:
    size = 16 * MIB
    body = {
        "random": lambda: os.urandom(size),
        "zeros": lambda: b"\1" + bytes(size - 1),
        "ones": lambda: b"\xff" * size,
        # Every place looks like a frame that reaches to the end.
        "lengths": lambda: b"".join(
            struct.pack("<II", size - place - 8, 0) for place in range(0, size, 8)
        ),
        "nested": lambda: struct.pack("<IIBI", 100, 7, 1, 82)[:8].ljust(8, b"\0") * (size // 8),
    }[kind]()
    path = tmp_path / "1.seg"
    path.write_bytes(MAGIC.ljust(HEADER_BYTES, b"\0") + body)
    began = time.monotonic()
    _, taken = read(path)
    assert time.monotonic() - began < 20
    assert taken.ended


def test_a_frame_that_follows_garbage_is_found(tmp_path: Path) -> None:
    payload = b"\x01\x05\x00\x00\x00thello"
    frame = struct.pack("<II", len(payload), crc32(payload)) + payload
    path = tmp_path / "1.seg"
    garbage = os.urandom(4 * MIB)
    path.write_bytes(MAGIC.ljust(HEADER_BYTES, b"\0") + garbage + frame.ljust(64, b"\0"))
    tables, taken = read(path)
    assert tables == {b"t": [b"hello"]}
    assert taken.damage[0].content == garbage


def test_the_limit_counts_all_writers(tmp_path: Path) -> None:
    first = Writer(str(tmp_path / "a"), segment_bytes=64 * 1024, limit_bytes=200 * 1024)
    second = Writer(str(tmp_path / "b"), segment_bytes=64 * 1024, limit_bytes=200 * 1024)
    row = [(b"t", b"x" * 1000)]
    with pytest.raises(SpoolFull, match="limit is 204800"):
        for _ in range(200):
            first.append(row)
    held = first.segment, first.offset
    with pytest.raises(SpoolFull, match="limit"):
        first.append(row)
    assert (first.segment, first.offset) == held
    with pytest.raises(SpoolFull, match="limit"):
        second.reserve()
    # Nothing half-made is left, and the segment that is there goes on.
    assert sorted(os.listdir(tmp_path / "b")) == ["0000000001.seg", "writer.lock"]
    first.append([(b"t", b"small")])
    assert second.append(row) == (1, HEADER_BYTES + 8 + 6 + 1000 + 2)


def test_a_reserve_is_room_for_what_follows(tmp_path: Path) -> None:
    writer = Writer(str(tmp_path / "a"), segment_bytes=64 * 1024, limit_bytes=130 * 1024)
    writer.reserve()
    writer.reserve()
    row = [(b"t", b"x" * 1000)]
    for _ in range(120):
        writer.append(row)
    assert writer.segment == 2
    with pytest.raises(SpoolFull):
        writer.reserve()
    writer.close()
    with pytest.raises(SpoolFull, match="closed"):
        writer.append(row)
    assert sorted(os.listdir(tmp_path / "a"))[-1] == "writer.lock"


def test_what_is_left_free_for_others(tmp_path: Path) -> None:
    with pytest.raises(SpoolFull, match="are left to others"):
        Writer(str(tmp_path / "a"), keep_free_bytes=1 << 60)
    assert os.listdir(tmp_path) == []


def test_a_full_spool_is_not_searched_for_room_at_each_request(tmp_path: Path) -> None:
    """It notices within moments that there is room again."""
    writer = Writer(str(tmp_path / "a"), segment_bytes=64 * 1024, limit_bytes=128 * 1024)
    other = tmp_path / "b"
    other.mkdir()
    for number in range(3000):
        (other / f"{number:010d}.seg").write_bytes(b"x" * 40)
    began = time.process_time()
    for _ in range(2000):
        with pytest.raises(SpoolFull, match="limit"):
            writer.reserve()
    assert time.process_time() - began < 2
    shutil.rmtree(other)
    time.sleep(0.05)
    writer.reserve()


def test_nothing_is_no_frame(tmp_path: Path) -> None:
    writer = Writer(str(tmp_path / "a"))
    assert writer.append([]) == (1, HEADER_BYTES)
    writer.append([(b"t", b"row")])
    assert read(tmp_path / "a" / "0000000001.seg", final=False)[0] == {b"t": [b"row"]}


def test_a_directory_has_one_writer(tmp_path: Path) -> None:
    writer = Writer(str(tmp_path / "a"))
    writer.append([(b"t", b"row")])
    with pytest.raises(FileExistsError):
        Writer(str(tmp_path / "a"))
    assert sorted(os.listdir(tmp_path)) == ["a"]
    assert not WriterDirectory(tmp_path / "a").abandoned()


def test_rows_that_cannot_be_framed(tmp_path: Path) -> None:
    writer = Writer(str(tmp_path / "a"))
    with pytest.raises(ValueError, match="table name"):
        writer.append([(b"t" * 256, b"row")])
    assert writer.append([(b"t", b"row")])[1] == HEADER_BYTES + 24


def test_mappings_and_descriptors_are_released_at_once(tmp_path: Path) -> None:
    def mapped() -> int:
        return Path("/proc/self/maps").read_text().count(str(tmp_path))

    descriptors = len(os.listdir("/proc/self/fd"))
    writer = Writer(str(tmp_path / "a"), segment_bytes=64 * 1024)
    for _ in range(300):
        writer.append([(b"t", b"x" * 1000)])
        assert mapped() == 1
    for path in (tmp_path / "a").glob("*.seg"):
        read(path)
    writer.reserve()
    assert mapped() == 2
    writer.close()
    assert mapped() == 0
    assert len(os.listdir("/proc/self/fd")) == descriptors
