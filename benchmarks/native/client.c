#include "client.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HOPELESS_AFTER = 1000 };

const char *const failure_names[FAILURES] = {"none",    "status",        "broken",
                                             "timeout", "no_connection", "stream"};

static void watch(struct client *client, struct connection *c, int operation, bool writing) {
    if (operation == EPOLL_CTL_MOD && c->writing == writing) return;
    c->writing = writing;
    struct epoll_event e = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(client->poller, operation, c->fd, &e);
}

static bool open_connection(struct client *client, struct connection *c) {
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) return false;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->connecting = true;
    if (connect(c->fd, (struct sockaddr *)&client->address, sizeof client->address) == 0) {
        c->connecting = false;
    } else if (errno != EINPROGRESS) {
        close(c->fd);
        c->fd = -1;
        return false;
    }
    watch(client, c, EPOLL_CTL_ADD, c->connecting);
    return true;
}

static void close_connection(struct connection *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    c->connecting = c->writing = false;
}

static void finish(struct client *client, struct connection *c, enum failure failure) {
    uint64_t now = now_ns();
    bool keep = failure != BROKEN && failure != TIMED_OUT && failure != NO_CONNECTION;
    if (failure == NO_CONNECTION) {
        if (++client->refused >= HOPELESS_AFTER) client->hopeless = true;
    } else {
        client->refused = 0;
    }
    c->busy = false;
    if (!keep || c->close) {
        close_connection(c);
        if (failure != NO_CONNECTION) open_connection(client, c);
    }
    client->on_answer(c, failure, now);
}

/* Goes away in the middle of an exchange, as it was told to. */
static void leave(struct client *client, struct connection *c) {
    c->close = true;
    finish(client, c, GOOD);
}

static void write_request(struct client *client, struct connection *c) {
    while (c->written < client->request_size) {
        ssize_t n = send(c->fd, client->request + c->written, client->request_size - c->written,
                         MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EAGAIN) watch(client, c, EPOLL_CTL_MOD, true);
            /* Else reading tells: an answer may have come before the connection broke. */
            return;
        }
        c->written += (size_t)n;
    }
    watch(client, c, EPOLL_CTL_MOD, false);
    if (client->leave_after == 0) leave(client, c);
}

void client_send(struct client *client, struct connection *c, uint64_t scheduled, uint64_t now) {
    c->busy = true;
    c->scheduled = scheduled;
    c->sent = now;
    c->written = 0;
    c->state = READ_HEAD;
    c->head_size = 0;
    c->status = 0;
    c->close = c->done = c->error_event = false;
    c->events = c->first_event = c->received = 0;
    c->line_size = 0;
    if (c->fd < 0 && !open_connection(client, c)) {
        finish(client, c, NO_CONNECTION);
        return;
    }
    if (!c->connecting) write_request(client, c);
}

static void end_line(struct connection *c) {
    if (c->line_size >= 5 && memcmp(c->line, "data:", 5) == 0) {
        size_t at = c->line_size > 5 && c->line[5] == ' ' ? 6 : 5;
        size_t size = c->line_size - at;
        if (size >= 6 && memcmp(c->line + at, "[DONE]", 6) == 0) {
            c->done = true;
        } else {
            if (c->events++ == 0) c->first_event = now_ns();
            if (size >= 8 && memcmp(c->line + at, "{\"error\"", 8) == 0) c->error_event = true;
        }
    }
    c->line_size = 0;
}

static void read_events(struct connection *c, const char *data, size_t size) {
    const char *end = data + size;
    while (data < end) {
        const char *line_end = memchr(data, '\n', (size_t)(end - data));
        size_t piece = (size_t)((line_end ? line_end : end) - data);
        size_t room = sizeof c->line - c->line_size, taken = piece < room ? piece : room;
        memcpy(c->line + c->line_size, data, taken);
        c->line_size += taken;
        if (line_end == NULL) return;
        end_line(c);
        data = line_end + 1;
    }
}

static void complete(struct client *client, struct connection *c) {
    enum failure failure = GOOD;
    if (c->status != client->expected) failure = BAD_STATUS;
    else if (client->stream && (!c->done || c->error_event || c->events == 0)) failure = BAD_STREAM;
    finish(client, c, failure);
}

/* Takes a head from the start of `data`; returns the bytes of `data` used, -1 for a broken one. */
static ssize_t read_head(struct connection *c, const char *data, size_t size) {
    const char *head = data;
    size_t before = c->head_size, length;
    if (before) {
        size_t room = sizeof c->head - before, taken = size < room ? size : room;
        memcpy(c->head + before, data, taken);
        head = c->head;
        length = head_length(head, before + taken);
        if (length == 0) {
            c->head_size += taken;
            return c->head_size == sizeof c->head ? -1 : (ssize_t)size;
        }
    } else {
        length = head_length(head, size);
        if (length == 0) {
            if (size > sizeof c->head) return -1;
            memcpy(c->head, data, size);
            c->head_size = size;
            return (ssize_t)size;
        }
    }
    c->head_size = 0;
    if (length < 16 || memcmp(head, "HTTP/1.", 7) != 0) return -1;
    c->status = atoi(head + 9);
    if (c->status >= 100 && c->status < 200) return (ssize_t)(length - before);
    struct framing framing = read_framing(head, length);
    c->close = framing.close;
    c->chunked = (struct chunked){0};
    if (framing.chunked) c->state = READ_CHUNKED;
    else if (framing.length >= 0) c->state = READ_LENGTH;
    else c->state = READ_TO_END;
    c->left = framing.length > 0 ? (uint64_t)framing.length : 0;
    if (c->state == READ_TO_END) c->close = true;
    return (ssize_t)(length - before);
}

static void read_answer(struct client *client, struct connection *c, const char *data,
                        size_t size) {
    while (size > 0 || (c->state == READ_LENGTH && c->left == 0)) {
        if (c->state == READ_HEAD) {
            ssize_t used = read_head(c, data, size);
            if (used < 0) {
                finish(client, c, BROKEN);
                return;
            }
            data += used;
            size -= (size_t)used;
        } else if (c->state == READ_CHUNKED) {
            const char *payload;
            size_t piece, used = chunked_read(&c->chunked, data, size, &payload, &piece);
            if (client->stream && piece) read_events(c, payload, piece);
            data += used;
            size -= used;
            if (c->chunked.broken) {
                finish(client, c, BROKEN);
                return;
            }
            if (c->chunked.state == CHUNK_DONE) break;
        } else {
            size_t piece = c->state == READ_LENGTH && c->left < size ? (size_t)c->left : size;
            if (client->stream) read_events(c, data, piece);
            data += piece;
            size -= piece;
            if (c->state == READ_LENGTH && (c->left -= piece) == 0) break;
        }
    }
    bool whole = (c->state == READ_CHUNKED && c->chunked.state == CHUNK_DONE) ||
                 (c->state == READ_LENGTH && c->left == 0);
    if (!whole) return;
    if (size > 0) finish(client, c, BROKEN); /* more than one answer to one request */
    else complete(client, c);
}

static void on_readable(struct client *client, struct connection *c) {
    static char buffer[256 << 10];
    ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (!c->busy) { /* an idle connection that the server closed, or spoke on unasked */
        close_connection(c);
        return;
    }
    if (n > 0) {
        client->bytes_in += (uint64_t)n;
        c->received += (uint64_t)n;
        if (client->leave_after > 0 && c->received >= (uint64_t)client->leave_after) {
            leave(client, c);
            return;
        }
        read_answer(client, c, buffer, (size_t)n);
    } else if (n == 0 && c->state == READ_TO_END) {
        complete(client, c);
    } else {
        finish(client, c, BROKEN);
    }
}

static void on_connected(struct client *client, struct connection *c) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
        close_connection(c);
        if (c->busy) finish(client, c, NO_CONNECTION);
        return;
    }
    c->connecting = false;
    watch(client, c, EPOLL_CTL_MOD, false);
    if (c->busy) write_request(client, c);
}

void client_poll(struct client *client, uint64_t wait_ns) {
    struct epoll_event ready[64];
    struct timespec wait = {(time_t)(wait_ns / 1000000000u), (long)(wait_ns % 1000000000u)};
    int count = epoll_pwait2(client->poller, ready, 64, &wait, NULL);
    for (int i = 0; i < count; i++) {
        struct connection *c = ready[i].data.ptr;
        if (c->fd < 0) continue;
        if (c->connecting) on_connected(client, c);
        else if (ready[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) on_readable(client, c);
        if (c->fd >= 0 && !c->connecting && c->busy && c->writing) write_request(client, c);
        client->after_event();
    }
}

void client_expire(struct client *client, uint64_t now) {
    for (size_t i = 0; i < client->count; i++) {
        struct connection *c = &client->connections[i];
        if (c->busy && now - c->sent > client->timeout_ns) finish(client, c, TIMED_OUT);
    }
    client->after_event();
}

bool client_open(struct client *client, size_t count) {
    client->poller = epoll_create1(EPOLL_CLOEXEC);
    client->connections = calloc(count, sizeof *client->connections);
    client->count = count;
    if (client->connections == NULL) return false;
    for (size_t i = 0; i < count; i++) client->connections[i].fd = -1;
    for (size_t i = 0; i < count; i++)
        if (!open_connection(client, &client->connections[i])) return false;
    return true;
}
