# cython: language_level=3
"""The per-episode draw: a number in [0, 1) from function and episode, and picks by weight.

Sticky without shared state: every gateway draws the same number for the same episode.
"""

from hashlib import sha256


cpdef double draw(str function_name, bytes episode_id):
    """First four bytes, big-endian, of SHA-256(function name || 16 bytes of id), over 2**32."""
    cdef bytes digest = sha256(function_name.encode() + episode_id).digest()
    cdef const unsigned char* data = digest
    cdef unsigned long value = (
        (<unsigned long>data[0] << 24) | (<unsigned long>data[1] << 16)
        | (<unsigned long>data[2] << 8) | <unsigned long>data[3]
    )
    return <double>value / 4294967296.0


cpdef Py_ssize_t pick_uniform(Py_ssize_t count, double u):
    """Index floor(u * count); ``count`` must be positive."""
    cdef Py_ssize_t index = <Py_ssize_t>(u * <double>count)
    return index if index < count else count - 1


cpdef Py_ssize_t pick_weighted(tuple weights, double u):
    """The first index whose cumulative weight exceeds u * total; the last positive one if
    rounding leaves none; -1 when the total is not positive."""
    cdef double total = 0.0
    cdef double running = 0.0
    cdef double weight
    cdef Py_ssize_t index
    cdef Py_ssize_t last = -1
    for value in weights:
        total += <double>value
    if total <= 0.0:
        return -1
    for index in range(len(weights)):
        weight = <double>weights[index]
        if weight > 0.0:
            last = index
        running += weight
        if weight > 0.0 and running > u * total:
            return index
    return last
