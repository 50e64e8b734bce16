/* Reads the head of a request strictly: lines end in CRLF, names are tokens, values hold no control characters, a length is said
 * once. What the API does not use (chunked bodies, other methods, folded lines) is refused rather than guessed at. */

#include "http_head.h"

#include <event2/http.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sweepd/wire.h"

typedef struct Span {
    const char *text;
    size_t size;
} Span;

static int refuse(Error *error, int status, const char *message) {
    error_set(error, "%s", message);
    return status;
}

static bool span_equals(Span span, const char *text) {
    return span.size == strlen(text) && strncasecmp(span.text, text, span.size) == 0;
}

static bool is_token_character(char character) {
    return (character >= '0' && character <= '9') || (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (character != '\0' && strchr("!#$%&'*+-.^_`|~", character) != NULL);
}

/* Takes one CRLF-ended line off the front; false when there is none. */
static bool take_line(Span *rest, Span *line) {
    const char *end = memmem(rest->text, rest->size, "\r\n", 2);
    if (end == NULL)
        return false;
    *line = (Span){rest->text, (size_t)(end - rest->text)};
    rest->size -= line->size + 2;
    rest->text = end + 2;
    return true;
}

static bool is_visible(Span span) {
    for (size_t i = 0; i < span.size; i++)
        if ((unsigned char)span.text[i] < ' ' || span.text[i] == 0x7f)
            return false;
    return true;
}

/* Decodes into out; false when it does not fit or holds a NUL. */
static bool decode_percent(const char *text, bool plus_is_space, char *out, size_t capacity) {
    size_t size = 0;
    char *decoded = evhttp_uridecode(text, plus_is_space, &size);
    bool fits = decoded != NULL && size < capacity && strlen(decoded) == size;
    if (fits)
        memcpy(out, decoded, size + 1);
    free(decoded);
    return fits;
}

static int parse_target(HttpHead *out, Span target, Error *error) {
    char raw[HTTP_TARGET_MAX];
    if (target.size >= sizeof raw)
        return refuse(error, 414, "the address of the request is too long");
    if (target.size == 0 || target.text[0] != '/')
        return refuse(error, 400, "the address of the request must begin with /");
    memcpy(raw, target.text, target.size);
    raw[target.size] = '\0';
    char *question = strchr(raw, '?');
    if (question != NULL) {
        text_copy(out->query, sizeof out->query, question + 1);
        *question = '\0';
    }
    if (!decode_percent(raw, false, out->path, sizeof out->path))
        return refuse(error, 400, "the address of the request is malformed");
    return 0;
}

static int parse_request_line(HttpHead *out, Span line, Error *error) {
    const char *first = memchr(line.text, ' ', line.size);
    const char *last = memrchr(line.text, ' ', line.size);
    if (!is_visible(line) || first == NULL || first == last)
        return refuse(error, 400, "the request line must be METHOD ADDRESS HTTP/1.1");
    Span method = {line.text, (size_t)(first - line.text)};
    Span target = {first + 1, (size_t)(last - first - 1)};
    Span version = {last + 1, line.size - (size_t)(last + 1 - line.text)};
    if (memchr(target.text, ' ', target.size) != NULL)
        return refuse(error, 400, "the request line must be METHOD ADDRESS HTTP/1.1");
    if (!span_equals(version, "HTTP/1.1") && !span_equals(version, "HTTP/1.0"))
        return refuse(error, strncmp(version.text, "HTTP/", 5) == 0 ? 505 : 400, "the protocol must be HTTP/1.1");
    out->keep_alive = span_equals(version, "HTTP/1.1");
    bool known = (method.size == 3 && memcmp(method.text, "GET", 3) == 0) || (method.size == 4 && memcmp(method.text, "POST", 4) == 0);
    if (!known)
        return refuse(error, 405, "the method must be GET or POST");
    memcpy(out->method, method.text, method.size);
    return parse_target(out, target, error);
}

static int parse_length(HttpHead *out, Span value, Error *error) {
    if (out->has_length || value.size == 0 || value.size > 12)
        return refuse(error, 400, "Content-Length must be one number");
    size_t length = 0;
    for (size_t i = 0; i < value.size; i++) {
        if (value.text[i] < '0' || value.text[i] > '9')
            return refuse(error, 400, "Content-Length must be one number");
        length = length * 10 + (size_t)(value.text[i] - '0');
    }
    out->has_length = true;
    out->content_length = length;
    return 0;
}

static void parse_authorization(HttpHead *out, Span value) {
    static const char scheme[] = "Bearer ";
    size_t skip = sizeof scheme - 1;
    if (value.size <= skip || strncasecmp(value.text, scheme, skip) != 0 || value.size - skip >= sizeof out->bearer)
        return;
    memcpy(out->bearer, value.text + skip, value.size - skip);
    out->bearer[value.size - skip] = '\0';
}

static int parse_field(HttpHead *out, Span line, Error *error) {
    const char *colon = memchr(line.text, ':', line.size);
    if (colon == NULL || colon == line.text)
        return refuse(error, 400, "a header field must be NAME: VALUE");
    Span name = {line.text, (size_t)(colon - line.text)};
    for (size_t i = 0; i < name.size; i++)
        if (!is_token_character(name.text[i]))
            return refuse(error, 400, "a header field's name has a character that is not allowed");
    Span value = {colon + 1, line.size - name.size - 1};
    while (value.size > 0 && (value.text[0] == ' ' || value.text[0] == '\t'))
        value = (Span){value.text + 1, value.size - 1};
    while (value.size > 0 && (value.text[value.size - 1] == ' ' || value.text[value.size - 1] == '\t'))
        value.size--;
    for (size_t i = 0; i < value.size; i++)
        if (((unsigned char)value.text[i] < ' ' && value.text[i] != '\t') || value.text[i] == 0x7f)
            return refuse(error, 400, "a header field's value has a character that is not allowed");
    if (span_equals(name, "Content-Length"))
        return parse_length(out, value, error);
    if (span_equals(name, "Transfer-Encoding"))
        return refuse(error, 411, "a body needs a Content-Length; transfer encodings are not supported");
    if (span_equals(name, "Connection"))
        out->keep_alive = span_equals(value, "close") ? false : (span_equals(value, "keep-alive") ? true : out->keep_alive);
    if (span_equals(name, "Expect"))
        out->expects_continue = span_equals(value, "100-continue");
    if (span_equals(name, "Authorization"))
        parse_authorization(out, value);
    return 0;
}

int http_head_parse(HttpHead *out, const char *text, size_t size, Error *error) {
    memset(out, 0, sizeof *out);
    Span rest = {text, size}, line;
    if (!take_line(&rest, &line))
        return refuse(error, 400, "the request line must be METHOD ADDRESS HTTP/1.1");
    int status = parse_request_line(out, line, error);
    while (status == 0 && take_line(&rest, &line) && line.size > 0)
        status = parse_field(out, line, error);
    if (status == 0 && !out->has_length && strcmp(out->method, "POST") == 0)
        return refuse(error, 411, "a POST needs a Content-Length");
    return status;
}

bool http_query_get(const char *query, const char *name, char *out, size_t capacity) {
    size_t length = strlen(name);
    while (*query != '\0') {
        size_t size = strcspn(query, "&");
        if (size > length && query[length] == '=' && strncmp(query, name, length) == 0) {
            char value[HTTP_TARGET_MAX];
            if (size - length - 1 >= sizeof value)
                return false;
            memcpy(value, query + length + 1, size - length - 1);
            value[size - length - 1] = '\0';
            return decode_percent(value, true, out, capacity);
        }
        query += size + (query[size] == '&');
    }
    return false;
}
