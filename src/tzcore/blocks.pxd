from tzcore.buffer cimport Buffer

cdef int put_blocks(Buffer out, list blocks, text_type) except -1
cdef int put_messages(Buffer out, list messages, text_type) except -1
