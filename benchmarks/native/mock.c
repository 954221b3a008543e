/* A model provider that costs next to nothing: OpenAI's Chat Completions, always the same answer.
 *
 *   mock [--port N] [--delay-us N] [--chunks N] [--chunk-bytes N] [--interval-us N]
 *
 * Prints `listening on port N`, then serves 127.0.0.1 until SIGTERM or until its parent ends.
 * A body with `"stream": true` gets an event stream: `--chunks` content events of about
 * `--chunk-bytes`, one every `--interval-us` (0: all in one write), then the finish reason, the
 * usage and [DONE]. `--delay-us` passes before an answer's first byte.
 *
 * Below /status-500, /status-400, /garbage and /cut (as /cut/v1/chat/completions) every answer is
 * that error, JSON that is none, or one that breaks off with its connection. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "answers.h"
#include "http.h"

enum { MAX_BODY = 64 << 20, FIRST_BUFFER = 16 << 10 };

enum route { UNKNOWN, COMPLETION, SERVER_ERROR, CLIENT_ERROR, GARBAGE, CUT };

struct queue {
    struct connection *first, *last;
};

struct connection {
    int fd;
    char *in;                 /* unread bytes of the client */
    size_t in_size, in_room;
    char *body;               /* a chunked body, decoded */
    size_t body_size, body_room;
    bool in_body;             /* the head was read; `framing` holds */
    size_t head;
    bool answering, closing, writing;
    struct framing framing;
    struct chunked chunked;
    const char *out;          /* what is still to be written */
    size_t out_left;
    bool streaming;
    int next_event;           /* of a stream */
    uint64_t due;
    struct queue *queue;
    struct connection *before, *after;
};

static int poller;
static volatile sig_atomic_t stopping;
static uint64_t delay_ns, interval_ns;
static struct answers answers;
static struct queue delayed, paced; /* each in order of time: its pause is always the same */
static struct connection *dead;

static void stop(int number) {
    (void)number;
    stopping = 1;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void enqueue(struct queue *q, struct connection *c, uint64_t due) {
    c->due = due;
    c->queue = q;
    c->after = NULL;
    c->before = q->last;
    if (q->last) q->last->after = c;
    else q->first = c;
    q->last = c;
}

static void dequeue(struct connection *c) {
    struct queue *q = c->queue;
    if (q == NULL) return;
    if (c->before) c->before->after = c->after;
    else q->first = c->after;
    if (c->after) c->after->before = c->before;
    else q->last = c->before;
    c->queue = NULL;
}

static void drop(struct connection *c) {
    if (c->fd < 0) return;
    dequeue(c);
    close(c->fd);
    c->fd = -1;
    c->after = dead; /* freed after this round: events of it may still be waiting */
    dead = c;
}

static void watch(struct connection *c, bool writing) {
    if (c->writing == writing) return;
    c->writing = writing;
    struct epoll_event e = {.events = writing ? EPOLLOUT : EPOLLIN, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
}

/* Writes what waits; true when all is out. Drops the connection when the client has left. */
static bool flush(struct connection *c) {
    while (c->out_left) {
        ssize_t n = send(c->fd, c->out, c->out_left, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EAGAIN) {
                watch(c, true);
                return false;
            }
            drop(c);
            return false;
        }
        c->out += n;
        c->out_left -= (size_t)n;
    }
    watch(c, false);
    return true;
}

static bool write_text(struct connection *c, struct text t) {
    c->out = t.data;
    c->out_left = t.size;
    return flush(c);
}

/* The next piece of an answer whose pieces before it are written. */
static void advance(struct connection *c, uint64_t now) {
    if (c->streaming && c->next_event < answers.event_count) {
        if (c->next_event == -1) {
            c->next_event = 0;
            if (interval_ns == 0) {
                c->next_event = answers.event_count;
                if (!write_text(c, answers.stream_all)) return;
            } else {
                if (!write_text(c, answers.stream_head)) return;
            }
        }
        if (c->next_event < answers.event_count) {
            /* Finish reason, usage, [DONE] and the end go with the last content event. */
            int at = c->next_event++;
            bool last = c->next_event == answers.event_count;
            if (!write_text(c, answers.events[at])) return;
            if (!last) {
                enqueue(&paced, c, now + interval_ns);
                return;
            }
        }
    }
    c->answering = false;
    if (c->closing) drop(c);
}

static bool wants_stream(const char *body, size_t size) {
    const char *at = body, *end = body + size;
    while ((at = memmem(at, (size_t)(end - at), "\"stream\"", 8)) != NULL) {
        at += 8;
        const char *value = at;
        while (value < end && (*value == ' ' || *value == ':')) value++;
        if (end - value >= 4 && memcmp(value, "true", 4) == 0) return true;
    }
    return false;
}

/* What a request line asks for. */
static enum route route_of(const char *line, size_t size) {
    if (memcmp(line, "POST ", 5) != 0 || memmem(line, size, "/chat/completions", 17) == NULL)
        return UNKNOWN;
    if (memmem(line, size, "/status-500/", 12) != NULL) return SERVER_ERROR;
    if (memmem(line, size, "/status-400/", 12) != NULL) return CLIENT_ERROR;
    if (memmem(line, size, "/garbage/", 9) != NULL) return GARBAGE;
    if (memmem(line, size, "/cut/", 5) != NULL) return CUT;
    return COMPLETION;
}

static void start_answer(struct connection *c, enum route route, bool stream) {
    const struct text *whole[] = {
        [UNKNOWN] = &answers.not_found,         [COMPLETION] = &answers.answer,
        [SERVER_ERROR] = &answers.server_error, [CLIENT_ERROR] = &answers.client_error,
        [GARBAGE] = &answers.garbage,           [CUT] = stream ? &answers.cut_stream : &answers.cut,
    };
    c->answering = true;
    c->closing = c->framing.close || route == CUT;
    c->streaming = route == COMPLETION && stream;
    c->next_event = -1;
    if (delay_ns) {
        c->out = whole[route]->data;
        c->out_left = c->streaming ? 0 : whole[route]->size;
        enqueue(&delayed, c, now_ns() + delay_ns);
        return;
    }
    if (!c->streaming && !write_text(c, *whole[route])) return;
    advance(c, now_ns());
}

/* Decodes what is there of a chunked body; returns whether it is complete. */
static bool read_chunks(struct connection *c, size_t *taken) {
    while (*taken < c->in_size && c->chunked.state != CHUNK_DONE && !c->chunked.broken) {
        const char *payload;
        size_t size;
        *taken += chunked_read(&c->chunked, c->in + *taken, c->in_size - *taken, &payload, &size);
        if (size == 0) continue;
        if (c->body_size + size > c->body_room) {
            c->body_room = (c->body_size + size) * 2;
            c->body = realloc(c->body, c->body_room);
            if (c->body == NULL) fail("realloc");
        }
        memcpy(c->body + c->body_size, payload, size);
        c->body_size += size;
    }
    return c->chunked.state == CHUNK_DONE;
}

/* Answers the requests that have arrived whole, one after the other. */
static void serve(struct connection *c) {
    size_t start = 0;
    while (c->fd >= 0 && !c->answering && c->in_size > 0) {
        if (!c->in_body) {
            size_t head = head_length(c->in, c->in_size);
            if (head == 0) {
                if (c->in_size > 65536) drop(c);
                break;
            }
            c->framing = read_framing(c->in, head);
            c->head = head;
            c->in_body = true;
            c->chunked = (struct chunked){0};
            c->body_size = 0;
            if (c->framing.expects_continue)
                send(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL);
        }
        const char *line_end = memchr(c->in, '\r', c->head);
        enum route route = route_of(c->in, (size_t)(line_end - c->in));
        size_t used;
        bool stream = false;
        if (c->framing.chunked) {
            /* Keeps the head, which names the route, and drops what was decoded. */
            used = c->head;
            bool complete = read_chunks(c, &used);
            if (c->chunked.broken || c->body_size > MAX_BODY) {
                drop(c);
                break;
            }
            if (!complete) {
                c->in_size = c->head;
                break;
            }
            stream = wants_stream(c->body, c->body_size);
        } else {
            size_t length = c->framing.length > 0 ? (size_t)c->framing.length : 0;
            if (length > MAX_BODY) {
                drop(c);
                break;
            }
            used = c->head + length;
            if (c->in_size < used) break;
            stream = wants_stream(c->in + c->head, length);
        }
        start = used;
        c->in_body = false;
        memmove(c->in, c->in + start, c->in_size - start);
        c->in_size -= start;
        start_answer(c, route, stream);
    }
}

static void on_readable(struct connection *c) {
    if (c->in_size == c->in_room) {
        size_t room = c->in_room * 2;
        if (c->in_body && c->framing.length > 0 && c->framing.length < MAX_BODY &&
            room < c->head + (size_t)c->framing.length)
            room = c->head + (size_t)c->framing.length;
        if (room > MAX_BODY + (1u << 20)) {
            drop(c);
            return;
        }
        c->in = realloc(c->in, room);
        if (c->in == NULL) fail("realloc");
        c->in_room = room;
    }
    ssize_t n = recv(c->fd, c->in + c->in_size, c->in_room - c->in_size, 0);
    if (n <= 0) {
        if (n < 0 && errno == EAGAIN) return;
        drop(c);
        return;
    }
    c->in_size += (size_t)n;
    serve(c);
}

static void on_due(struct connection *c, uint64_t now) {
    dequeue(c);
    if (c->out_left && !flush(c)) return;
    advance(c, now);
    if (c->fd >= 0 && !c->answering) serve(c);
}

static void on_writable(struct connection *c) {
    if (!flush(c)) return;
    if (c->answering && c->queue == NULL) advance(c, now_ns());
    if (c->fd >= 0 && !c->answering) serve(c);
}

static void accept_all(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct connection *c = calloc(1, sizeof *c);
        if (c == NULL) fail("calloc");
        c->fd = fd;
        c->in_room = FIRST_BUFFER;
        c->in = malloc(c->in_room);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
    }
}

struct option {
    const char *name;
    long value, low, high;
};

static void read_options(int argc, char **argv, struct option *options, int count) {
    for (int i = 1; i < argc; i += 2) {
        struct option *found = NULL;
        for (int k = 0; k < count; k++)
            if (strcmp(argv[i], options[k].name) == 0) found = &options[k];
        char *end = NULL;
        if (found != NULL && i + 1 < argc) found->value = strtol(argv[i + 1], &end, 10);
        if (end == NULL || *end || found->value < found->low || found->value > found->high) {
            fprintf(stderr, "mock: bad option %s; there are", argv[i]);
            for (int k = 0; k < count; k++)
                fprintf(stderr, " %s %ld..%ld", options[k].name, options[k].low, options[k].high);
            fprintf(stderr, "\n");
            exit(2);
        }
    }
}

static int listen_on(long port) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, size) < 0) fail("bind");
    if (listen(listener, 4096) < 0) fail("listen");
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("listening on port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

int main(int argc, char **argv) {
    enum { PORT, DELAY, CHUNKS, CHUNK_BYTES, INTERVAL, OPTIONS };
    struct option options[OPTIONS] = {
        [PORT] = {"--port", 0, 0, 65535},
        [DELAY] = {"--delay-us", 0, 0, 60000000},
        [CHUNKS] = {"--chunks", 20, 1, 100000},
        [CHUNK_BYTES] = {"--chunk-bytes", 300, 1, 1 << 20},
        [INTERVAL] = {"--interval-us", 0, 0, 60000000},
    };
    read_options(argc, argv, options, OPTIONS);
    delay_ns = (uint64_t)options[DELAY].value * 1000;
    interval_ns = (uint64_t)options[INTERVAL].value * 1000;
    answers = make_answers((int)options[CHUNKS].value, (int)options[CHUNK_BYTES].value);
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_SET_TIMERSLACK, 1000ul);
    poller = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on(options[PORT].value);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL}, ready[256];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
    while (!stopping) {
        struct connection *next = delayed.first;
        if (next == NULL || (paced.first && paced.first->due < next->due)) next = paced.first;
        struct timespec pause, *wait = NULL;
        if (next != NULL) {
            uint64_t now = now_ns(), left = next->due > now ? next->due - now : 0;
            pause = (struct timespec){(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
            wait = &pause;
        }
        int count = epoll_pwait2(poller, ready, 256, wait, NULL);
        for (int i = 0; i < count; i++) {
            struct connection *c = ready[i].data.ptr;
            if (c == NULL) accept_all(listener);
            else if (c->fd < 0) continue;
            else if (ready[i].events & EPOLLOUT) on_writable(c);
            else on_readable(c);
        }
        if (delayed.first || paced.first) {
            uint64_t now = now_ns();
            while (delayed.first && delayed.first->due <= now) on_due(delayed.first, now);
            while (paced.first && paced.first->due <= now) on_due(paced.first, now);
        }
        while (dead) {
            struct connection *c = dead;
            dead = c->after;
            free(c->in);
            free(c->body);
            free(c);
        }
    }
    return 0;
}
