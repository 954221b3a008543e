# cython: language_level=3
"""Which inferences and episodes this machine's workers have recorded lately.

A table of ids in memory that all workers of a gateway map: feedback on what any of them has
recorded is told from feedback on nothing without a query. It holds 2^18 ids; each has one bucket
of 16 places, in which a new id takes the place of the oldest. Workers write without a lock: at
worst an id is lost, which costs its feedback a query. An id is never found that was not added,
because both halves must match and the random one is unique. Cost of ``add`` and of a question:
about 0.1 microseconds an id.
"""

import mmap
import os

from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int8_t, uint64_t

cdef Py_ssize_t WAYS = 16
cdef int BUCKET_BITS = 14
cdef Py_ssize_t BUCKETS = 1 << BUCKET_BITS
cdef Py_ssize_t FILE_BYTES = BUCKETS * (WAYS * 16 + 1)
# An episode's version digit is changed, so that it is not taken for an inference.
cdef uint64_t EPISODE = 0x8000


cdef int8_t DIGITS[256]
for _code in range(256):
    DIGITS[_code] = int(chr(_code), 16) if chr(_code) in "0123456789abcdef" else -1


cdef bint parse(str text, uint64_t* high, uint64_t* low) except -1:
    """The halves of a UUIDv7 in its usual spelling; ``False`` for any other text."""
    cdef Py_ssize_t length
    cdef const char* at = PyUnicode_AsUTF8AndSize(text, &length)
    cdef Py_ssize_t index
    cdef int count = 0
    cdef int digit
    high[0] = 0
    low[0] = 0
    if length != 36:
        return False
    for index in range(36):
        if index == 8 or index == 13 or index == 18 or index == 23:
            if at[index] != c"-":
                return False
            continue
        digit = DIGITS[<unsigned char>at[index]]
        if digit < 0:
            return False
        if count < 16:
            high[0] = (high[0] << 4) | <uint64_t>digit
        else:
            low[0] = (low[0] << 4) | <uint64_t>digit
        count += 1
    return high[0] >> 12 & 15 == 7


cdef class TargetMemory:
    """The table. ``fd``: the file that the workers share; it can be closed."""

    cdef object mapping
    cdef unsigned char[::1] view

    def __init__(self, int fd=-1):
        """Without a file the memory is this process's alone. Raises ``OSError``."""
        if fd < 0:
            self.mapping = mmap.mmap(-1, FILE_BYTES)
        else:
            if os.fstat(fd).st_size < FILE_BYTES:
                os.ftruncate(fd, FILE_BYTES)
            self.mapping = mmap.mmap(fd, FILE_BYTES)
        self.view = self.mapping

    cpdef add(self, str inference_id, str episode_id):
        """An inference and its episode are recorded."""
        cdef uint64_t high
        cdef uint64_t low
        if parse(inference_id, &high, &low):
            self.put(high, low)
        if parse(episode_id, &high, &low):
            self.put(high ^ EPISODE, low)

    def has_inference(self, str id not None):
        cdef uint64_t high
        cdef uint64_t low
        return parse(id, &high, &low) and self.place(high, low) >= 0

    def has_episode(self, str id not None):
        cdef uint64_t high
        cdef uint64_t low
        return parse(id, &high, &low) and self.place(high ^ EPISODE, low) >= 0

    cdef Py_ssize_t bucket(self, uint64_t low) noexcept:  # arithmetic alone
        return <Py_ssize_t>((low * <uint64_t>0x9E3779B97F4A7C15) >> (64 - BUCKET_BITS))

    cdef Py_ssize_t place(self, uint64_t high, uint64_t low) except -2:
        """Where it is in its bucket; -1 when it is not there."""
        cdef uint64_t* ids = <uint64_t*>&self.view[self.bucket(low) * WAYS * 16]
        cdef Py_ssize_t way
        for way in range(WAYS):
            if ids[2 * way] == low and ids[2 * way + 1] == high:
                return way
        return -1

    cdef int put(self, uint64_t high, uint64_t low) except -1:
        if self.place(high, low) >= 0:
            return 0
        cdef Py_ssize_t bucket = self.bucket(low)
        cdef uint64_t* ids = <uint64_t*>&self.view[bucket * WAYS * 16]
        cdef unsigned char* next_way = &self.view[BUCKETS * WAYS * 16 + bucket]
        cdef Py_ssize_t way = next_way[0] % WAYS
        next_way[0] = <unsigned char>((way + 1) % WAYS)
        ids[2 * way + 1] = high
        ids[2 * way] = low
        return 0
