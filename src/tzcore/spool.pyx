# cython: language_level=3
"""The spool: rows of finished inferences in memory-mapped, preallocated segments.

A segment is a file ``<10 digits>.seg``: a 16-byte header, then frames. A frame is 8-aligned:

    length u32 | crc32 u32 | payload of ``length`` bytes | zero padding

and its payload is one row after the other:

    table name length u8 | row length u32 | table name | row (one JSON object, no newline)

All numbers are little-endian. One frame holds all rows of one inference: they are recorded
together or not at all. The length word is written last, so a frame that a killed process left
half-written is still "no frame here". A length of ``0xFFFFFFFF`` ends a segment; nothing but
zeros follows it.

The mapping is shared with the file, so a committed frame survives the death of every process;
against power loss the readers sync what they have taken before they rely on it. Blocks are
allocated when a segment is made: a full disk shows there, never as a bus error in ``append``.
"""

import fcntl
import mmap
import os
from time import monotonic
from zlib import crc32

from cpython.buffer cimport PyBUF_READ
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport uint32_t
from libc.string cimport memcpy

cdef extern from *:
    """
    #include <stdint.h>
    /* A frame must be whole before its length is seen, on every processor. */
    static inline void tz_publish(uint32_t *at, uint32_t value) {
        __atomic_store_n(at, value, __ATOMIC_RELEASE);
    }
    """
    void tz_publish(uint32_t* at, uint32_t value) nogil

MAGIC = b"TZSPOOL1"
HEADER_BYTES = 16
END_OF_SEGMENT = 0xFFFFFFFF
LOCK_NAME = "writer.lock"
SPARE_NAME = "spare"
NEXT_NAME = "next"

# What stopped ``read_frames``.
OPEN = 0
"""Nothing is committed here (yet)."""
ENDED = 1
"""The end mark: the writer went on to the next segment."""
FULL = 2
"""The caller's limits are reached."""
SHORT = 3
"""The frame here reaches beyond the given bytes."""
DAMAGED = 4
"""Neither a frame nor nothing."""

# Looking for room costs milliseconds when much waits; a full spool is not looked at more often.
cdef double LOOK_AGAIN_S = 0.02
cdef Py_ssize_t HEADER = 16
cdef uint32_t END_MARK = 0xFFFFFFFF


class SpoolFull(Exception):
    """No room for another frame: the spool's limit is reached, or the disk is full."""


cdef inline uint32_t _word(const unsigned char* at) noexcept nogil:
    cdef uint32_t value
    memcpy(&value, at, 4)
    return value


cdef inline object _checksum(const unsigned char* at, Py_ssize_t length):
    return crc32(PyMemoryView_FromMemory(<char*>at, length, PyBUF_READ))


cdef class Writer:
    """Appends frames to a directory of its own, which it keeps locked.

    Cost of ``append``: a copy and a checksum, about a microsecond for two kilobytes. Whoever
    finds the directory without a lock on ``writer.lock`` knows that its writer is gone: it
    appears under its name only when it is locked and has its first segment.
    """

    cdef readonly str directory
    cdef readonly unsigned long long segment
    cdef readonly Py_ssize_t offset
    cdef readonly unsigned long long backlog_bytes
    cdef Py_ssize_t segment_bytes
    cdef Py_ssize_t size
    cdef unsigned long long limit_bytes
    cdef unsigned long long keep_free_bytes
    cdef object mapping
    cdef object spare
    cdef object no_room
    cdef double no_room_until
    cdef unsigned char[::1] view
    cdef int lock_fd

    def __cinit__(self):
        self.lock_fd = -1

    def __init__(self, str directory, *, Py_ssize_t segment_bytes=16777216,
                 unsigned long long limit_bytes=10737418240,
                 unsigned long long keep_free_bytes=0):
        """Make the directory, with a first segment.

        ``limit_bytes`` bounds what all writers beside this one hold together;
        ``keep_free_bytes`` of the disk are left to others (the embedded database needs room to
        take what waits here). Raises ``SpoolFull`` when there is no room for a first segment,
        ``FileExistsError`` when the directory is there already.
        """
        parent, name = os.path.split(directory.rstrip("/"))
        making = os.path.join(parent, f".{name}")
        self.segment_bytes = segment_bytes
        self.limit_bytes = limit_bytes
        self.keep_free_bytes = keep_free_bytes
        self.segment = 0
        self.size = 0
        self.mapping = None
        self.spare = None
        self.no_room = None
        self.no_room_until = 0.0
        self.directory = making
        os.makedirs(parent or ".", mode=0o700, exist_ok=True)
        try:
            os.mkdir(making, 0o700)
            lock = os.path.join(making, LOCK_NAME)
            self.lock_fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            raise
        except OSError as error:
            raise _full(error, making) from None
        try:
            fcntl.flock(self.lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._rotate(0)
            if os.path.exists(directory):
                raise FileExistsError(17, "there is a writer's directory already", directory)
            os.rename(making, directory)
            self.directory = directory.rstrip("/")
        except BaseException:
            self._release()
            for left in os.listdir(making):
                os.unlink(os.path.join(making, left))
            os.rmdir(making)
            raise

    def __dealloc__(self):
        if self.lock_fd >= 0:
            os.close(self.lock_fd)

    def append(self, list rows):
        """Write all rows of one inference as one frame; returns ``(segment, end offset)``.

        ``rows`` are pairs of table name (at most 255 bytes) and row. Raises ``SpoolFull`` or
        ``ValueError`` (more than 2 GiB); then nothing was written.
        """
        cdef Py_ssize_t payload = 0
        cdef bytes table
        cdef bytes row
        cdef Py_ssize_t at
        cdef uint32_t word
        cdef unsigned char* base
        if self.mapping is None:
            raise SpoolFull("the spool is closed")
        for table, row in rows:
            if len(table) > 255:
                raise ValueError("a table name is too long for the spool")
            payload += 5 + len(table) + len(row)
        if payload == 0:
            return self.segment, self.offset
        if payload > 0x7FFFFFFF:
            raise ValueError(f"an inference of {payload} bytes is too long for the spool")
        cdef Py_ssize_t frame = (8 + payload + 7) & ~<Py_ssize_t>7
        if self.offset + frame + 8 > self.size:
            self._rotate(frame)
        base = &self.view[self.offset]
        at = 8
        for table, row in rows:
            base[at] = <unsigned char>len(table)
            word = <uint32_t>len(row)
            memcpy(base + at + 1, &word, 4)
            at += 5
            memcpy(base + at, <const char*>table, len(table))
            at += len(table)
            memcpy(base + at, <const char*>row, len(row))
            at += len(row)
        word = <uint32_t>_checksum(base + 8, payload)
        memcpy(base + 4, &word, 4)
        tz_publish(<uint32_t*>base, <uint32_t>payload)
        self.offset += frame
        self.backlog_bytes += <unsigned long long>frame
        return self.segment, self.offset

    def reserve(self):
        """Make sure that a whole segment is there behind the current one.

        What is appended after it (up to ``segment_bytes``) cannot meet a full disk. Costs
        nothing when it is there already. Raises ``SpoolFull``.
        """
        if self.spare is None:
            if self.mapping is None:
                raise SpoolFull("the spool is closed")
            self.spare = self._allocate(self._spare_path(), self.segment_bytes)

    def close(self):
        """End the segment and let the directory go; what is in it stays."""
        if self.spare is not None:
            self.spare.close()
            self.spare = None
            os.unlink(self._spare_path())
        self._release()

    cdef _release(self):
        self._end_segment()
        if self.lock_fd >= 0:
            os.close(self.lock_fd)
            self.lock_fd = -1

    cdef str _path(self, unsigned long long number):
        return os.path.join(self.directory, f"{number:010d}.seg")

    cdef str _spare_path(self):
        return os.path.join(self.directory, SPARE_NAME)

    cdef _rotate(self, Py_ssize_t frame):
        """Go on in a new segment.

        It appears under its name only when nothing can fail any more: whoever sees it knows
        that nothing is appended to the one before.
        """
        cdef Py_ssize_t wanted = max(self.segment_bytes, frame + HEADER + 16)
        cdef unsigned long long number = self.segment + 1
        path = self._path(number)
        made = self._spare_path()
        spare = self.spare
        if spare is None or wanted > <Py_ssize_t>len(spare):
            made = os.path.join(self.directory, NEXT_NAME)
            mapping = self._allocate(made, wanted)
        else:
            mapping = spare
        try:
            os.rename(made, path)
        except OSError as error:
            raise _full(error, path) from None
        if mapping is spare:
            self.spare = None
        self._open_segment(mapping, number)

    cdef _allocate(self, str path, Py_ssize_t size):
        """A new mapped file whose blocks exist; raises ``SpoolFull``."""
        self._check_room(size)
        fd = -1
        try:
            # A file of this name can only be left from an attempt that failed.
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            os.posix_fallocate(fd, 0, size)
            mapping = mmap.mmap(fd, size)
        except OSError as error:
            if fd >= 0:
                os.unlink(path)
            raise _full(error, path) from None
        finally:
            if fd >= 0:
                os.close(fd)
        mapping[:len(MAGIC)] = MAGIC
        return mapping

    cdef _check_room(self, Py_ssize_t size):
        cdef unsigned long long held = 0
        cdef unsigned long long free
        if self.no_room is not None and monotonic() < self.no_room_until:
            raise SpoolFull(self.no_room)
        self.no_room = None
        root = os.path.dirname(self.directory) or "."
        try:
            for folder in os.listdir(root):
                held += _size_of(os.path.join(root, folder))
            status = os.statvfs(root)
        except OSError as error:
            raise _full(error, root) from None
        free = status.f_bavail * status.f_frsize
        reason = None
        if held + <unsigned long long>size > self.limit_bytes:
            reason = (
                f"the spool holds {held} bytes that wait for the database, "
                f"its limit is {self.limit_bytes}"
            )
        elif free < <unsigned long long>size + self.keep_free_bytes:
            reason = (
                f"the disk has {free} bytes free; a segment takes {size} and "
                f"{self.keep_free_bytes} are left to others"
            )
        if reason is not None:
            if size <= self.segment_bytes:
                self.no_room = reason
                self.no_room_until = monotonic() + LOOK_AGAIN_S
            raise SpoolFull(reason)

    cdef _open_segment(self, mapping, unsigned long long number):
        self._end_segment()
        self.mapping = mapping
        self.view = mapping
        self.size = len(mapping)
        self.segment = number
        self.offset = HEADER

    cdef _end_segment(self):
        if self.mapping is None:
            return
        tz_publish(<uint32_t*>&self.view[self.offset], END_MARK)
        self.view = None
        self.mapping.close()
        self.mapping = None


def _full(error, path):
    return SpoolFull(f"{path} cannot be written: {error.strerror}")


def _size_of(folder):
    """Bytes of the segments in one writer's directory."""
    held = 0
    try:
        names = os.listdir(folder)
    except OSError:
        return 0
    for name in names:
        if name.endswith(".seg") or name == SPARE_NAME:
            try:
                held += os.stat(os.path.join(folder, name)).st_size
            except FileNotFoundError:
                continue
    return held


cdef Py_ssize_t _walk(const unsigned char* payload, Py_ssize_t length) noexcept nogil:
    """The number of rows when they fill the payload exactly; else minus the rows tried."""
    cdef Py_ssize_t at = 0
    cdef Py_ssize_t rows = 0
    while at + 5 <= length:
        at += 5 + <Py_ssize_t>payload[at] + <Py_ssize_t>_word(payload + at + 1)
        rows += 1
    return rows if at == length and rows else -rows - 1


def read_frames(const unsigned char[::1] data not None, Py_ssize_t available, dict tables,
                Py_ssize_t max_frames, Py_ssize_t max_bytes):
    """Append the rows of consecutive frames to ``tables`` (table name → list of rows).

    ``data`` begins at a frame's place; ``available`` is how much of the segment lies from there
    on (``data`` may be less of it). Returns ``(status, used, frames, row bytes, wanted)``:
    ``used`` bytes hold ``frames`` whole frames, then ``status`` (``OPEN`` … ``DAMAGED``) tells
    what follows; for ``SHORT``, ``wanted`` bytes from there on are needed to tell more.
    """
    cdef Py_ssize_t length_of_data = data.shape[0]
    cdef Py_ssize_t at = 0
    cdef Py_ssize_t frames = 0
    cdef Py_ssize_t taken = 0
    cdef Py_ssize_t place
    cdef Py_ssize_t end
    cdef Py_ssize_t name_length
    cdef Py_ssize_t row_length
    cdef uint32_t length
    cdef const unsigned char* base
    if length_of_data == 0:
        return (SHORT if available >= 8 else OPEN), 0, 0, 0, 8
    base = &data[0]
    while True:
        if at + 8 > available:
            return OPEN, at, frames, taken, 0
        if at + 8 > length_of_data:
            return SHORT, at, frames, taken, 8
        length = _word(base + at)
        if length == 0:
            return OPEN, at, frames, taken, 0
        if length == END_MARK:
            return ENDED, at, frames, taken, 0
        end = at + 8 + <Py_ssize_t>length
        if end > available:
            return DAMAGED, at, frames, taken, 0
        if frames and (frames >= max_frames or taken >= max_bytes):
            return FULL, at, frames, taken, 0
        if end > length_of_data:
            return SHORT, at, frames, taken, end - at
        if _walk(base + at + 8, length) <= 0 or (
            <uint32_t>_checksum(base + at + 8, length) != _word(base + at + 4)
        ):
            return DAMAGED, at, frames, taken, 0
        place = at + 8
        while place < end:
            name_length = base[place]
            row_length = <Py_ssize_t>_word(base + place + 1)
            place += 5
            name = PyBytes_FromStringAndSize(<const char*>base + place, name_length)
            place += name_length
            row = PyBytes_FromStringAndSize(<const char*>base + place, row_length)
            place += row_length
            rows = tables.get(name)
            if rows is None:
                tables[name] = [row]
            else:
                (<list>rows).append(row)
            taken += row_length
        frames += 1
        at = (end + 7) & ~<Py_ssize_t>7
        if at > available:
            at = available


def count_rows(const unsigned char[::1] data not None, Py_ssize_t available):
    """Rows of consecutive frames, by their lengths alone: ``(status, used, rows, wanted)``."""
    cdef Py_ssize_t at = 0
    cdef Py_ssize_t rows = 0
    cdef Py_ssize_t found
    cdef Py_ssize_t end
    cdef uint32_t length
    while True:
        if at + 8 > available:
            return OPEN, at, rows, 0
        if at + 8 > data.shape[0]:
            return SHORT, at, rows, 8
        length = _word(&data[at])
        if length == 0:
            return OPEN, at, rows, 0
        if length == END_MARK:
            return ENDED, at, rows, 0
        end = at + 8 + <Py_ssize_t>length
        if end > available:
            return DAMAGED, at, rows, 0
        if end > data.shape[0]:
            return SHORT, at, rows, end - at
        found = _walk(&data[at + 8], length)
        if found <= 0:
            return DAMAGED, at, rows, 0
        rows += found
        at = min((end + 7) & ~<Py_ssize_t>7, available)


def find_frame(const unsigned char[::1] data not None, Py_ssize_t at):
    """The first place at or after ``at`` where a whole frame is, or an end mark with nothing
    behind it; ``len(data)`` when there is none.

    Places are multiples of 8 from the start of ``data``. What looks like a frame is tried over
    at most eight times the data's size, so that no content makes this slow.
    """
    cdef Py_ssize_t size = data.shape[0]
    cdef Py_ssize_t budget = 8 * size
    cdef Py_ssize_t last = size
    cdef Py_ssize_t rows
    cdef uint32_t length
    at = (at + 7) & ~<Py_ssize_t>7
    while last > 0 and data[last - 1] == 0:
        last -= 1
    while at + 8 <= size:
        length = _word(&data[at])
        if length == END_MARK:
            if last <= at + 4:
                return at
        elif length != 0 and at + 8 + <Py_ssize_t>length <= size and budget >= 0:
            rows = _walk(&data[at + 8], length)
            budget -= 8 * (rows if rows > 0 else -rows)
            if rows > 0:
                budget -= length
                if <uint32_t>_checksum(&data[at + 8], length) == _word(&data[at + 4]):
                    return at
        at += 8
    return size
