# cython: language_level=3
"""What a server answered: status, head, and a body that was read whole. For ``tzcore.client``."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

from tzcore.heads cimport find_field, list_fields


cdef class Answer:
    """Status and head of an answer."""

    @property
    def reason(self):
        return self.raw[self.reason_start:self.reason_end]

    @property
    def headers(self):
        """All header fields in order, names in lower case."""
        return list_fields(PyBytes_AS_STRING(self.raw), self.fields_start,
                           PyBytes_GET_SIZE(self.raw))

    def header(self, bytes name not None):
        """The value of the first field ``name`` (given in lower case)."""
        return find_field(PyBytes_AS_STRING(self.raw), self.fields_start,
                          PyBytes_GET_SIZE(self.raw), name)


cdef class Response(Answer):
    """A whole answer."""

    @property
    def coded(self):
        return self.encoding is not None
