# cython: language_level=3
"""Counters in a file that every worker maps: counting is one addition in memory.

A worker adds to a file of its own; whoever is asked for the figures reads the files of all. A
file outlives the process that wrote it, so a worker that is started again goes on counting where
the last one stopped. Layout, little-endian, all entries 8-aligned:

    magic "TZCOUNT1" | used bytes u64 | entries: value f64 | key length u32 | key | padding

``used`` is written after the entry it covers, so a reader never sees half an entry. Cost of
``Cell.add``: well below 0.1 microseconds.
"""

import mmap
import os
import struct

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    static inline void tz_publish(void *at, uint64_t value) {
        __atomic_store_n((uint64_t *)at, value, __ATOMIC_RELEASE);
    }
    """
    void tz_publish(void *at, uint64_t value) noexcept nogil

MAGIC = b"TZCOUNT1"
cdef Py_ssize_t HEADER = 16
cdef Py_ssize_t FILE_BYTES = 1 << 20


class TooManySeries(Exception):
    """The file has no room for another key."""


cdef class Cell:
    """One figure. Belongs to the counters that gave it."""

    cdef Counters counters
    cdef double *value

    cpdef void add(self, double amount=1.0):
        self.value[0] += amount

    def get(self):
        return self.value[0]


cdef class Counters:
    """The figures of one process, by key (any text)."""

    cdef object mapping
    cdef unsigned char[::1] view
    cdef Py_ssize_t used
    cdef dict cells

    def __init__(self, int fd=-1):
        """Map a file open for reading and writing, empty or of figures; without one the figures
        are this process's alone. The descriptor can be closed. Raises ``OSError``."""
        if fd < 0:
            self.mapping = mmap.mmap(-1, FILE_BYTES)
        else:
            if os.fstat(fd).st_size < FILE_BYTES:
                os.posix_fallocate(fd, 0, FILE_BYTES)
            self.mapping = mmap.mmap(fd, FILE_BYTES)
        self.view = self.mapping
        self.cells = {}
        if self.mapping[:len(MAGIC)] != MAGIC:
            self.used = HEADER
            (<uint64_t *>&self.view[8])[0] = HEADER
            self.mapping[:len(MAGIC)] = MAGIC
            return
        self.used = HEADER
        for key, at in _entries(self.mapping):
            self.cells[key] = self._cell(at)
            self.used = at + _entry_bytes(len(key.encode()))

    cdef Cell _cell(self, Py_ssize_t at):
        cdef Cell cell = Cell.__new__(Cell)
        cell.counters = self
        cell.value = <double *>&self.view[at]
        return cell

    def cell(self, str key not None):
        """The figure of this key, 0 at first. Raises ``TooManySeries``."""
        cell = self.cells.get(key)
        if cell is not None:
            return cell
        cdef bytes raw = key.encode()
        cdef Py_ssize_t size = _entry_bytes(len(raw))
        cdef Py_ssize_t at = self.used
        cdef uint32_t length = <uint32_t>len(raw)
        if at + size > FILE_BYTES:
            raise TooManySeries(f"{FILE_BYTES} bytes of figures are full")
        (<double *>&self.view[at])[0] = 0.0
        memcpy(&self.view[at + 8], &length, 4)
        memcpy(&self.view[at + 12], <const char *>raw, len(raw))
        self.used = at + size
        tz_publish(&self.view[8], <uint64_t>self.used)
        cell = self.cells[key] = self._cell(at)
        return cell


def _entry_bytes(Py_ssize_t key_bytes):
    return (12 + key_bytes + 7) & ~<Py_ssize_t>7


def _entries(data):
    """Keys and the offsets of their values."""
    (used,) = struct.unpack_from("<Q", data, 8)
    cdef Py_ssize_t at = HEADER
    while at < used:
        (length,) = struct.unpack_from("<I", data, at + 8)
        yield bytes(data[at + 12:at + 12 + length]).decode(), at
        at += _entry_bytes(length)


def read_counters(int fd):
    """The figures in a file, by key. Raises ``OSError``; an empty file has none."""
    data = os.pread(fd, FILE_BYTES, 0)
    if len(data) < HEADER or data[:len(MAGIC)] != MAGIC:
        return {}
    return {key: struct.unpack_from("<d", data, at)[0] for key, at in _entries(data)}
