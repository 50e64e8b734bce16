/* http_head: the request line and header fields of one HTTP/1.1 request. Pure: bytes in, a struct or a status out. */
#pragma once

#include "sweepd/base.h"

enum { HTTP_TARGET_MAX = 2048, HTTP_BEARER_MAX = 256 };

typedef struct HttpHead {
    char method[8];               /* "GET" or "POST" */
    char path[HTTP_TARGET_MAX];   /* decoded */
    char query[HTTP_TARGET_MAX];  /* raw */
    char bearer[HTTP_BEARER_MAX]; /* of "Authorization: Bearer ...", else "" */
    bool has_length, keep_alive, expects_continue;
    size_t content_length;
} HttpHead;

/* text: from the request line to the empty line, its CRLF included. Returns 0, or the 4xx or 5xx status to answer, with the
 * error saying why. */
int http_head_parse(HttpHead *out, const char *text, size_t size, Error *error);
