/* What the load generator and the mock provider share of HTTP/1.1: fields that frame a message,
 * and the chunked coding. For benchmarks between well-behaved ends, not a general parser. */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static inline uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct framing {
    int64_t length; /* Content-Length, -1 when there is none */
    bool chunked;
    bool close;
    bool expects_continue;
};

static inline bool field_is(const char *line, size_t length, const char *name) {
    size_t size = strlen(name);
    return length > size && line[size] == ':' && strncasecmp(line, name, size) == 0;
}

/* Reads the fields between the first line and the blank one; `head` ends with CR LF CR LF. */
static inline struct framing read_framing(const char *head, size_t length) {
    struct framing f = {-1, false, false, false};
    const char *end = head + length, *line = memchr(head, '\n', length);
    while (line != NULL && ++line < end) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        size_t size = next == NULL ? (size_t)(end - line) : (size_t)(next - line);
        if (field_is(line, size, "content-length")) {
            f.length = strtoll(line + 15, NULL, 10);
        } else if (field_is(line, size, "transfer-encoding")) {
            f.chunked = memmem(line, size, "chunked", 7) != NULL;
        } else if (field_is(line, size, "connection")) {
            f.close = memmem(line, size, "close", 5) != NULL;
        } else if (field_is(line, size, "expect")) {
            f.expects_continue = true;
        }
        line = next;
    }
    return f;
}

/* Bytes up to and with the blank line that ends a head, 0 when it is not there yet. */
static inline size_t head_length(const char *data, size_t length) {
    const char *end = memmem(data, length, "\r\n\r\n", 4);
    return end == NULL ? 0 : (size_t)(end - data) + 4;
}

enum chunk_state { CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_END, CHUNK_TRAILER, CHUNK_DONE };

struct chunked {
    enum chunk_state state;
    uint64_t left;
    bool empty_line;
    bool broken;
};

/* Reads the chunked coding. Returns how many bytes of `data` it took; a piece of payload, if there
 * is one, is `*payload` with `*size`. Call again with the rest until all is taken or it is done. */
static inline size_t chunked_read(struct chunked *c, const char *data, size_t length,
                                  const char **payload, size_t *size) {
    size_t at = 0;
    *size = 0;
    while (at < length && c->state != CHUNK_DONE && !c->broken) {
        char byte = data[at];
        switch (c->state) {
        case CHUNK_SIZE:
            at++;
            if (byte >= '0' && byte <= '9') c->left = c->left * 16 + (uint64_t)(byte - '0');
            else if ((byte | 32) >= 'a' && (byte | 32) <= 'f')
                c->left = c->left * 16 + (uint64_t)((byte | 32) - 'a' + 10);
            else if (byte == ';' || byte == '\r') c->state = CHUNK_EXTENSION;
            else c->broken = true;
            break;
        case CHUNK_EXTENSION:
            at++;
            if (byte == '\n') {
                c->state = c->left ? CHUNK_DATA : CHUNK_TRAILER;
                c->empty_line = true;
            }
            break;
        case CHUNK_DATA: {
            size_t piece = length - at < c->left ? length - at : (size_t)c->left;
            *payload = data + at;
            *size = piece;
            c->left -= piece;
            if (c->left == 0) c->state = CHUNK_END;
            return at + piece;
        }
        case CHUNK_END:
            at++;
            if (byte == '\n') c->state = CHUNK_SIZE;
            else if (byte != '\r') c->broken = true;
            break;
        case CHUNK_TRAILER:
            at++;
            if (byte == '\n') {
                if (c->empty_line) c->state = CHUNK_DONE;
                c->empty_line = true;
            } else if (byte != '\r') {
                c->empty_line = false;
            }
            break;
        case CHUNK_DONE: break;
        }
    }
    return at;
}

#endif
