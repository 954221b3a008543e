/* What the mock provider says, rendered once. */
#ifndef ANSWERS_H
#define ANSWERS_H

#include <stddef.h>

struct text {
    char *data;
    size_t size;
};

struct answers {
    struct text answer;     /* a whole HTTP answer: some 700 bytes of JSON */
    struct text not_found;
    struct text server_error, client_error; /* 500 and 400 */
    struct text garbage;    /* 200, and JSON that ends too early */
    struct text cut;        /* half an answer */
    struct text cut_stream; /* a stream's head and its first event */
    struct text stream_head;
    struct text stream_all; /* a whole stream, head included */
    struct text *events;    /* its pieces; the end of the stream goes with the last */
    int event_count;
};

struct answers make_answers(int chunk_count, int chunk_bytes);

#endif
