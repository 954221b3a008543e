/* The load generator's connections: one request at a time on each, answers read as they come. */
#ifndef CLIENT_H
#define CLIENT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http.h"
#include "histogram.h"

enum failure { GOOD, BAD_STATUS, BROKEN, TIMED_OUT, NO_CONNECTION, BAD_STREAM, FAILURES };
extern const char *const failure_names[FAILURES];

enum read_state { READ_HEAD, READ_LENGTH, READ_CHUNKED, READ_TO_END };

struct connection {
    int fd; /* -1: not open */
    bool connecting, writing, busy;
    size_t written;
    uint64_t scheduled, sent;
    enum read_state state;
    char head[8192]; /* of a head that came in pieces */
    size_t head_size;
    int status;
    bool close;
    uint64_t received; /* bytes of the answer */
    uint64_t left;
    struct chunked chunked;
    char line[24]; /* how the current line of an event stream begins */
    size_t line_size;
    bool done, error_event;
    uint64_t events, first_event;
};

struct client {
    struct sockaddr_in address;
    char *request;
    size_t request_size;
    bool stream;
    int expected;        /* the status of a good answer */
    int64_t leave_after; /* close the connection after so many bytes of an answer; -1: never */
    uint64_t timeout_ns;
    void (*on_answer)(struct connection *, enum failure, uint64_t now);
    void (*after_event)(void);
    struct connection *connections;
    size_t count;
    uint64_t bytes_in;
    unsigned refused; /* connections in a row that failed */
    bool hopeless;
    int poller;
};

/* Opens all connections; false when the first cannot be. */
bool client_open(struct client *client, size_t count);
/* Sends the request on a connection that is not busy. */
void client_send(struct client *client, struct connection *c, uint64_t scheduled, uint64_t now);
/* Waits at most `wait_ns` and handles what happened; calls `after_event` after each event. */
void client_poll(struct client *client, uint64_t wait_ns);
/* Ends requests that are older than the timeout. */
void client_expire(struct client *client, uint64_t now);

#endif
