/* An HTTP/1.1 load generator on one core: keep-alive connections, one kind of request.
 *
 *   load --url http://127.0.0.1:PORT/PATH --body FILE [options]
 *     --rate R          open loop: R requests a second, evenly spaced. Latency counts from the
 *                       scheduled time, so a request that waits for a free connection, or for this
 *                       program, counts with its wait.
 *     (no --rate)       closed loop: each connection sends when its last answer is complete
 *     --connections N   64
 *     --seconds T       10, of measurement
 *     --warmup T        1, before it, not counted
 *     --requests N      stop after N (warm-up included), 0: no limit
 *     --timeout T       10 s for one request
 *     --stream          the answer must be an event stream that ends with [DONE]
 *     --header "K: V"   may be repeated
 *     --expect STATUS   200: what a good answer has
 *     --leave BYTES     close the connection when so much of an answer has come (0: as soon as the
 *                       request is written), which counts as good; and open another one
 *
 * An answer counts as good with the status expected, complete, without an error event. One line of JSON on
 * standard output (`good_total` counts the warm-up too); exit status 0 whenever the run took place,
 * errors included. Only addresses of the loopback net are accepted: this is a tool for one machine. */
#include "client.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static struct {
    double rate, seconds, warmup, timeout;
    long connections, requests;
    const char *url, *body;
    char headers[16384];
} opt = {.seconds = 10, .warmup = 1, .timeout = 10, .connections = 64};

static struct client client = {.expected = 200, .leave_after = -1};
static struct histogram latency, first_chunk, lag;
static uint64_t started, measured_from, ends, free_since; /* ns */
static bool open_loop;
static uint64_t limit, scheduled, sent, answered, good_in_window, good_total, good, bad[FAILURES];
static uint64_t statuses[600], chunks, fewest_chunks = UINT64_MAX, most_chunks;
static struct connection **ring; /* open loop: free connections, longest idle first */
static size_t ring_first, ring_count, ring_size;
static struct connection **again; /* closed loop: connections to send on next */
static size_t again_count;
static volatile sig_atomic_t interrupted;

static void stop(int number) {
    (void)number;
    interrupted = 1;
}

static void give(struct connection *c, uint64_t due, uint64_t now) {
    sent++;
    /* A wait for a free connection is the target's doing; the rest is our own lateness. */
    if (open_loop && due >= measured_from && due >= free_since) histogram_add(&lag, now - due);
    client_send(&client, c, due, now);
}

/* When the next request of an open loop is to be sent. */
static uint64_t next_due(void) {
    return started + (uint64_t)((double)scheduled * 1e9 / opt.rate);
}

static void give_due(uint64_t now) {
    while (ring_count && scheduled < limit) {
        uint64_t due = next_due();
        if (due > now || due >= ends) return;
        struct connection *c = ring[ring_first];
        ring_first = (ring_first + 1) % ring_size;
        ring_count--;
        scheduled++;
        give(c, due, now);
    }
}

static void on_answer(struct connection *c, enum failure failure, uint64_t now) {
    answered++;
    if (failure == GOOD) good_total++;
    if (c->scheduled >= measured_from) {
        histogram_add(&latency, now - c->scheduled);
        if (c->status > 0 && c->status < 600) statuses[c->status]++;
        bad[failure]++;
        if (failure == GOOD) {
            good++;
            if (now <= ends) good_in_window++;
            if (client.stream) {
                histogram_add(&first_chunk, c->first_event - c->scheduled);
                chunks += c->events;
                if (c->events < fewest_chunks) fewest_chunks = c->events;
                if (c->events > most_chunks) most_chunks = c->events;
            }
        }
    } else if (failure == GOOD && now >= measured_from && now <= ends) {
        good_in_window++;
    }
    if (open_loop) {
        if (ring_count == 0) free_since = now;
        ring[(ring_first + ring_count++) % ring_size] = c;
    } else {
        again[again_count++] = c; /* sent on later: a failing peer must not make us recurse */
    }
}

static void run(void) {
    uint64_t last_check = 0, now = now_ns(), give_up;
    started = now;
    measured_from = started + (uint64_t)(opt.warmup * 1e9);
    ends = measured_from + (uint64_t)(opt.seconds * 1e9);
    give_up = ends + client.timeout_ns;
    for (long i = 0; !open_loop && i < opt.connections && sent < limit; i++)
        give(&client.connections[i], now, now);
    while (now < give_up && !client.hopeless) {
        bool all_given = interrupted || sent >= limit || (open_loop ? next_due() : now) >= ends;
        if (all_given && answered == sent) break;
        uint64_t wait = 100000000;
        if (!all_given && open_loop && ring_count) {
            uint64_t due = next_due();
            wait = due <= now ? 0 : due - now < wait ? due - now : wait;
        }
        client_poll(&client, wait);
        now = now_ns();
        if (open_loop && !interrupted) give_due(now);
        if (now - last_check > 100000000) {
            client_expire(&client, now);
            last_check = now;
        }
    }
}

static void after_event(void) {
    if (open_loop && !interrupted) {
        give_due(now_ns());
        return;
    }
    while (again_count && !client.hopeless) {
        struct connection *c = again[--again_count];
        uint64_t now = now_ns();
        if (now >= ends || sent >= limit || interrupted) return;
        give(c, now, now);
    }
}

/* What never got an answer counts with the time that it has waited: a lower bound. */
static uint64_t count_unfinished(void) {
    uint64_t now = now_ns(), count = 0;
    for (long i = 0; i < opt.connections; i++) {
        struct connection *c = &client.connections[i];
        if (c->busy && c->scheduled >= measured_from) {
            histogram_add(&latency, now - c->scheduled);
            count++;
        }
    }
    while (open_loop && !interrupted && scheduled < limit) {
        uint64_t due = next_due();
        if (due >= ends) break;
        scheduled++;
        if (due < measured_from) continue;
        histogram_add(&latency, now - due);
        count++;
    }
    return count;
}

static void print_result(double window, uint64_t unfinished) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    uint64_t errors = unfinished;
    for (int i = GOOD + 1; i < FAILURES; i++) errors += bad[i];
    printf("{\"mode\":\"%s\",\"rate\":%g,\"connections\":%ld,\"seconds\":%.3f,"
           "\"sent\":%llu,\"good_total\":%llu,\"good\":%llu,\"errors\":%llu,\"throughput\":%.1f,\"failures\":{",
           open_loop ? "open" : "closed", opt.rate, opt.connections, window,
           (unsigned long long)sent, (unsigned long long)good_total, (unsigned long long)good,
           (unsigned long long)errors,
           (double)good_in_window / window);
    for (int i = GOOD + 1; i < FAILURES; i++)
        printf("\"%s\":%llu,", failure_names[i], (unsigned long long)bad[i]);
    printf("\"unfinished\":%llu},\"statuses\":{", (unsigned long long)unfinished);
    const char *comma = "";
    for (int i = 0; i < 600; i++) {
        if (!statuses[i]) continue;
        printf("%s\"%d\":%llu", comma, i, (unsigned long long)statuses[i]);
        comma = ",";
    }
    printf("},\"bytes_in\":%llu,\"generator_cpu_s\":%.3f,\"latency_us\":",
           (unsigned long long)client.bytes_in, cpu);
    histogram_print(stdout, &latency);
    if (open_loop) {
        printf(",\"send_lag_us\":");
        histogram_print(stdout, &lag);
    }
    if (client.stream) {
        printf(",\"first_chunk_us\":");
        histogram_print(stdout, &first_chunk);
        printf(",\"chunks\":{\"total\":%llu,\"fewest\":%llu,\"most\":%llu}",
               (unsigned long long)chunks,
               (unsigned long long)(fewest_chunks == UINT64_MAX ? 0 : fewest_chunks),
               (unsigned long long)most_chunks);
    }
    printf("}\n");
}

static void usage(const char *what) {
    fprintf(stderr, "load: %s; see the head of load.c\n", what);
    exit(2);
}

static double number(const char *name, const char *text, double low, double high) {
    char *end;
    double value = strtod(text, &end);
    if (*end || !(value >= low && value <= high)) usage(name);
    return value;
}

static void read_options(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (strcmp(name, "--stream") == 0) {
            client.stream = true;
            continue;
        }
        const char *value = ++i < argc ? argv[i] : NULL;
        if (value == NULL) usage(name);
        if (strcmp(name, "--url") == 0) opt.url = value;
        else if (strcmp(name, "--body") == 0) opt.body = value;
        else if (strcmp(name, "--rate") == 0) opt.rate = number(name, value, 0.01, 1e6);
        else if (strcmp(name, "--seconds") == 0) opt.seconds = number(name, value, 0.01, 3600);
        else if (strcmp(name, "--warmup") == 0) opt.warmup = number(name, value, 0, 600);
        else if (strcmp(name, "--timeout") == 0) opt.timeout = number(name, value, 0.01, 600);
        else if (strcmp(name, "--requests") == 0) opt.requests = (long)number(name, value, 0, 1e9);
        else if (strcmp(name, "--expect") == 0) client.expected = (int)number(name, value, 100, 599);
        else if (strcmp(name, "--leave") == 0) client.leave_after = (int64_t)number(name, value, 0, 1e9);
        else if (strcmp(name, "--connections") == 0)
            opt.connections = (long)number(name, value, 1, 20000);
        else if (strcmp(name, "--header") == 0) {
            size_t used = strlen(opt.headers);
            int size = snprintf(opt.headers + used, sizeof opt.headers - used, "%s\r\n", value);
            if (size < 0 || (size_t)size >= sizeof opt.headers - used) usage(name);
        } else usage(name);
    }
    if (opt.url == NULL || opt.body == NULL) usage("--url and --body are needed");
    limit = opt.requests ? (uint64_t)opt.requests : UINT64_MAX;
    open_loop = opt.rate > 0;
    client.timeout_ns = (uint64_t)(opt.timeout * 1e9);
}

static void read_url(void) {
    char host[64];
    int port = 80, used = 0;
    if (sscanf(opt.url, "http://%63[0-9.]:%d%n", host, &port, &used) < 2 || !used)
        usage("--url must be http://127.x.x.x:PORT/PATH");
    client.address.sin_family = AF_INET;
    client.address.sin_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, host, &client.address.sin_addr) != 1 ||
        (ntohl(client.address.sin_addr.s_addr) >> 24) != 127)
        usage("--url must be on the loopback net");
    const char *path = opt.url[used] ? opt.url + used : "/";
    FILE *file = fopen(opt.body, "rb");
    if (file == NULL) usage("--body cannot be read");
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    client.request = malloc(size + sizeof opt.headers + strlen(opt.url) + 512);
    if (client.request == NULL) usage("--body is too large");
    size_t head = (size_t)sprintf(client.request,
                                  "POST %s HTTP/1.1\r\nhost: %s:%d\r\n"
                                  "content-type: application/json\r\n%scontent-length: %zu\r\n\r\n",
                                  path, host, port, opt.headers, size);
    if (fread(client.request + head, 1, size, file) != size) usage("--body cannot be read");
    fclose(file);
    client.request_size = head + size;
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    read_url();
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_SET_TIMERSLACK, 1000ul); /* wake for a scheduled time to the microsecond */
    client.on_answer = on_answer;
    client.after_event = after_event;
    if (!client_open(&client, (size_t)opt.connections)) usage("cannot connect to --url");
    ring_size = (size_t)opt.connections;
    ring = calloc(ring_size, sizeof *ring);
    again = calloc(ring_size, sizeof *again);
    if (ring == NULL || again == NULL) usage("out of memory");
    for (size_t i = 0; i < ring_size; i++) ring[i] = &client.connections[i];
    ring_count = open_loop ? ring_size : 0;
    run();
    uint64_t now = now_ns();
    bool early = now < ends && !(open_loop && scheduled < limit && !interrupted);
    double window = ((double)(early ? now : ends) - (double)measured_from) / 1e9;
    uint64_t unfinished = count_unfinished();
    print_result(window > 1e-6 ? window : 1e-6, unfinished);
    return 0;
}
