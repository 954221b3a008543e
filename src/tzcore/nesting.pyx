# cython: language_level=3
"""How deep a JSON text nests, without parsing it."""


cpdef Py_ssize_t nesting(bytes text):
    """The greatest number of arrays and objects open at once. ``text`` must be valid JSON; costs
    about a nanosecond a byte."""
    cdef const unsigned char* data = text
    cdef Py_ssize_t size = len(text)
    cdef Py_ssize_t at = 0
    cdef Py_ssize_t depth = 0
    cdef Py_ssize_t deepest = 0
    cdef unsigned char byte
    while at < size:
        byte = data[at]
        if byte == c'"':
            at += 1
            while at < size and data[at] != c'"':
                at += 2 if data[at] == c'\\' else 1
        elif byte == c'[' or byte == c'{':
            depth += 1
            if depth > deepest:
                deepest = depth
        elif byte == c']' or byte == c'}':
            depth -= 1
        at += 1
    return deepest
