#include "answers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct text text_of(const char *string) {
    return (struct text){strdup(string), strlen(string)};
}

static struct text chunk_of(const char *payload) {
    char *data = NULL;
    int size = asprintf(&data, "%zx\r\n%s\r\n", strlen(payload), payload);
    if (size < 0) abort();
    return (struct text){data, (size_t)size};
}

static struct text joined(struct text a, struct text b) {
    char *data = malloc(a.size + b.size + 1);
    if (data == NULL) abort();
    memcpy(data, a.data, a.size);
    memcpy(data + a.size, b.data, b.size);
    return (struct text){data, a.size + b.size};
}

/* An HTTP answer with a body of JSON. */
static struct text whole(const char *status, const char *body) {
    char *data = NULL;
    int size = asprintf(&data,
                        "HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n"
                        "x-request-id: req_mock\r\n\r\n%s", status, strlen(body), body);
    if (size < 0) abort();
    return (struct text){data, (size_t)size};
}

#define REFUSAL(message) "{\"error\":{\"message\":\"" message "\"}}"

#define IDENTITY(object) \
    "{\"id\":\"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT\",\"object\":\"" object \
    "\",\"created\":1741569952,\"model\":\"gpt-4o-mini-2024-07-18\","

struct answers make_answers(int chunk_count, int chunk_bytes) {
    struct answers a;
    const char *body = IDENTITY("chat.completion")
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
        "\"Hello! How can I help you today?\",\"refusal\":null,\"annotations\":[]},"
        "\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":19,"
        "\"completion_tokens\":10,\"total_tokens\":29,\"prompt_tokens_details\":"
        "{\"cached_tokens\":0,\"audio_tokens\":0},\"completion_tokens_details\":"
        "{\"reasoning_tokens\":0,\"audio_tokens\":0,\"accepted_prediction_tokens\":0,"
        "\"rejected_prediction_tokens\":0}},\"service_tier\":\"default\"}";
    a.answer = whole("200 OK", body);
    a.not_found = whole("404 Not Found", REFUSAL("no such URL"));
    a.server_error = whole("500 Internal Server Error", REFUSAL("The server had an error"));
    a.client_error = whole("400 Bad Request", REFUSAL("Invalid value"));
    a.garbage = whole("200 OK", "{\"choices\": [");
    a.cut = a.answer;
    a.cut.size -= strlen(body) / 2;
    a.stream_head = text_of("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
                          "transfer-encoding: chunked\r\nx-request-id: req_mock\r\n\r\n");
    const char *open = "data: " IDENTITY("chat.completion.chunk")
        "\"service_tier\":\"default\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"";
    const char *close_ = "\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n";
    int fill = chunk_bytes - (int)(strlen(open) + strlen(close_));
    if (fill < 1) fill = 1;
    char *content = malloc((size_t)fill + 1), *event;
    for (int i = 0; i < fill; i++) content[i] = "the quick brown fox "[i % 20];
    content[fill] = 0;
    if (asprintf(&event, "%s%s%s", open, content, close_) < 0) abort();
    a.event_count = chunk_count;
    a.events = calloc((size_t)a.event_count, sizeof *a.events);
    struct text piece = chunk_of(event);
    for (int i = 0; i < a.event_count; i++) a.events[i] = piece;
    const char *tail[] = {
        "data: " IDENTITY("chat.completion.chunk")
        "\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\n",
        "data: " IDENTITY("chat.completion.chunk")
        "\"choices\":[],\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":10,"
        "\"total_tokens\":29}}\n\n",
        "data: [DONE]\n\n"};
    struct text end = text_of("");
    for (int i = 0; i < 3; i++) end = joined(end, chunk_of(tail[i]));
    end = joined(end, text_of("0\r\n\r\n"));
    a.events[a.event_count - 1] = joined(a.events[a.event_count - 1], end);
    a.cut_stream = joined(a.stream_head, piece);
    a.stream_all.size = a.stream_head.size;
    for (int i = 0; i < a.event_count; i++) a.stream_all.size += a.events[i].size;
    a.stream_all.data = malloc(a.stream_all.size);
    size_t at = a.stream_head.size;
    memcpy(a.stream_all.data, a.stream_head.data, at);
    for (int i = 0; i < a.event_count; at += a.events[i++].size)
        memcpy(a.stream_all.data + at, a.events[i].data, a.events[i].size);
    return a;
}
