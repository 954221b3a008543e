# cython: language_level=3
"""The spool's writer: rows of finished inferences in memory-mapped, preallocated segments.

A segment is a file ``<10 digits>.seg``: a 16-byte header, then frames. A frame is 8-aligned:

    length u32 | crc32 u32 | payload of ``length`` bytes | zero padding

and its payload is one row after the other:

    table name length u8 | row length u32 | table name | row (one JSON object, no newline)

All numbers are little-endian. One frame holds all rows of one inference: they are recorded
together or not at all. The length word is written last, so a frame that a killed process left
half-written is still "no frame here". A length of ``0xFFFFFFFF`` ends a segment.

The mapping is shared with the file, so a committed frame survives the death of every process;
against power loss the readers sync what they have taken before they rely on it. Blocks are
allocated when a segment is made: a full disk shows there, never as a bus error in ``append``.
"""

import fcntl
import mmap
import os
from zlib import crc32

from libc.stdint cimport uint32_t
from libc.string cimport memcpy

cdef extern from *:
    """
    /* Everything written before is visible to whoever sees this word. */
    static inline void commit_word(void *at, uint32_t word) {
        __atomic_store_n((uint32_t *)at, word, __ATOMIC_RELEASE);
    }
    """
    void commit_word(void *at, uint32_t word) noexcept nogil

MAGIC = b"TZSPOOL1"
HEADER_BYTES = 16
END_OF_SEGMENT = 0xFFFFFFFF
LOCK_NAME = "writer.lock"

cdef Py_ssize_t HEADER = 16
cdef uint32_t END_MARK = 0xFFFFFFFF


class SpoolFull(Exception):
    """No room for another frame: the spool's limit is reached, or the disk is full."""


cdef class Writer:
    """Appends frames to a directory of its own, which it keeps locked.

    Cost of ``append``: a copy and a checksum, about a microsecond for two kilobytes.
    """

    cdef readonly str directory
    cdef readonly unsigned long long segment
    cdef readonly Py_ssize_t offset
    cdef readonly unsigned long long backlog_bytes
    cdef Py_ssize_t segment_bytes
    cdef Py_ssize_t size
    cdef unsigned long long limit_bytes
    cdef object mapping
    cdef unsigned char[::1] view
    cdef int lock_fd

    def __init__(self, str directory, *, Py_ssize_t segment_bytes=16777216,
                 unsigned long long limit_bytes=10737418240):
        """Take the directory (made if absent). Raises ``SpoolFull`` when there is no room for a
        first segment, ``BlockingIOError`` when another writer holds it."""
        self.directory = directory
        self.segment_bytes = segment_bytes
        self.limit_bytes = limit_bytes
        self.segment = 0
        self.size = 0
        self.mapping = None
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self.lock_fd = os.open(os.path.join(directory, LOCK_NAME), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self.lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for name in os.listdir(directory):
            if name.endswith(".seg"):
                self.segment = max(self.segment, int(name[:-4]))
        self._open_segment(self.segment_bytes)

    def append(self, list rows):
        """Write all rows of one inference as one frame; returns ``(segment, end offset)``.

        ``rows`` are pairs of table name (at most 255 bytes) and row. Raises ``SpoolFull``; then
        nothing was written.
        """
        cdef Py_ssize_t payload = 0
        cdef bytes table
        cdef bytes row
        cdef Py_ssize_t at
        cdef uint32_t word
        cdef unsigned char* base
        for table, row in rows:
            if len(table) > 255 or len(row) > 0x7FFFFFFF:
                raise ValueError("a table name or row is too long for the spool")
            payload += 5 + len(table) + len(row)
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
        word = <uint32_t>crc32(self.view[self.offset + 8:self.offset + 8 + payload])
        memcpy(base + 4, &word, 4)
        word = <uint32_t>payload
        commit_word(base, word)
        self.offset += frame
        self.backlog_bytes += <unsigned long long>frame
        return self.segment, self.offset

    def reserve(self, Py_ssize_t wanted):
        """Make sure that a frame of ``wanted`` bytes has room; raises ``SpoolFull``."""
        if self.offset + wanted + 16 > self.size:
            self._rotate(wanted)

    def close(self):
        """End the segment and let the directory go; what is in it stays."""
        if self.lock_fd >= 0:
            self._end_segment()
            os.close(self.lock_fd)
            self.lock_fd = -1

    def _rotate(self, Py_ssize_t frame):
        cdef unsigned long long held = 0
        for name in os.listdir(self.directory):
            if name.endswith(".seg"):
                try:
                    held += <unsigned long long>os.stat(os.path.join(self.directory, name)).st_size
                except FileNotFoundError:
                    continue
        cdef Py_ssize_t wanted = max(self.segment_bytes, frame + HEADER + 16)
        if held + <unsigned long long>wanted > self.limit_bytes:
            raise SpoolFull(f"{held} bytes wait to be recorded, the limit is {self.limit_bytes}")
        self._open_segment(wanted)

    def _open_segment(self, Py_ssize_t size):
        """Make the next segment; the one before it is ended only once this one exists."""
        cdef unsigned long long number = self.segment + 1
        path = os.path.join(self.directory, f"{number:010d}.seg")
        # Under its name a segment is whole from the start: readers never meet an empty file.
        unfinished = path + ".new"
        fd = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, size)
            mapping = mmap.mmap(fd, size)
            mapping[:len(MAGIC)] = MAGIC
            os.rename(unfinished, path)
        except OSError as error:
            os.unlink(unfinished)
            raise SpoolFull(f"cannot allocate {size} bytes: {error.strerror}") from None
        finally:
            os.close(fd)
        self._end_segment()
        self.mapping = mapping
        self.view = mapping
        self.size = size
        self.segment = number
        self.offset = HEADER

    def _end_segment(self):
        if self.mapping is None:
            return
        commit_word(&self.view[self.offset], END_MARK)
        self.view = None
        self.mapping.close()
        self.mapping = None
