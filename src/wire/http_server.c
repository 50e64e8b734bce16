/* The server's connections: HTTP/1.1 with kept-open connections, one request at a time on each, on libevent's bufferevents.
 *
 * libevent's own evhttp (2.1) cannot do three things that this API promises: refuse a connection when there are too many, bound the
 * time of a whole request rather than of each read, and answer a malformed request in JSON. What is left of HTTP without its
 * optional parts is small, so it is here and in http_head.c.
 *
 * A connection goes round: bytes arrive (READING), a whole request is handed to the handler and its answer is written (WRITING), and
 * when that has left, the next request is looked for. After an answer that ends the connection the rest of what the client sends is
 * read and thrown away for a while (LINGERING): closing on unread bytes would reset the connection and lose the answer. Every state
 * has a deadline. */

#include "http_server.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "http_head.h"

enum { IDLE_SECONDS = 120, RESPONSE_MAX = 4 * WIRE_BODY_MAX };

typedef enum { CONNECTION_READING, CONNECTION_WRITING, CONNECTION_LINGERING } ConnectionState;

struct HttpConnection {
    HttpServer *server;
    const char *token; /* the listener's */
    struct bufferevent *stream;
    struct event *deadline;
    ConnectionState state;
    bool begun;        /* the first byte of a request has come */
    bool continued;    /* "100 Continue" was sent for it */
    bool ending;       /* no request after this answer */
    bool deaf;         /* the client has closed its direction */
    HttpResponse held; /* provisional, until http_server_settle */
    HttpConnection *next, *previous;
};

static void set_deadline(HttpConnection *connection, int seconds) {
    struct timeval interval = {.tv_sec = seconds};
    event_add(connection->deadline, &interval);
}

static const char *reason_text(int status) {
    static const struct {
        int status;
        const char *text;
    } reasons[] = {
        {200, "OK"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].status == status)
            return reasons[i].text;
    return "Other";
}

static void send_response(HttpConnection *connection, const HttpResponse *response) {
    struct evbuffer *output = bufferevent_get_output(connection->stream);
    evbuffer_add_printf(output, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s%s\r\n", response->status,
                        reason_text(response->status), response->content_type, response->body.size,
                        response->status == 405 ? "Allow: GET, POST\r\n" : "", connection->ending ? "Connection: close\r\n" : "");
    evbuffer_add(output, response->body.data, response->body.size);
    connection->state = CONNECTION_WRITING;
    set_deadline(connection, connection->server->limits.seconds);
}

static void send_error(HttpConnection *connection, int status, const char *message) {
    HttpResponse response = {.status = status, .content_type = "application/json"};
    buffer_init(&response.body, ERROR_TEXT_MAX * 8);
    wire_error_encode(message, NULL, &response.body);
    connection->ending = true;
    send_response(connection, &response);
    buffer_deinit(&response.body);
}

/* Takes as long whichever byte differs. */
static bool token_matches(const char *expected, const char *given) {
    size_t length = strlen(expected);
    if (strlen(given) != length)
        return false;
    volatile unsigned char difference = 0;
    for (size_t i = 0; i < length; i++)
        difference = (unsigned char)(difference | (expected[i] ^ given[i]));
    return difference == 0;
}

static void answer_request(HttpConnection *connection, const HttpHead *head, const char *body) {
    HttpServer *server = connection->server;
    HttpRequest request = {head->method, head->path, head->query, body, head->content_length};
    HttpResponse response = {.status = 200, .content_type = "application/json"};
    buffer_init(&response.body, RESPONSE_MAX);
    server->handler(server->context, &request, &response);
    if (response.body.failed) {
        response.status = 500;
        response.content_type = "application/json";
        buffer_deinit(&response.body);
        buffer_init(&response.body, ERROR_TEXT_MAX);
        wire_error_encode("the answer is too large", NULL, &response.body);
    }
    connection->ending = !head->keep_alive;
    if (response.provisional) {
        connection->held = response;
        connection->state = CONNECTION_WRITING;
        return;
    }
    send_response(connection, &response);
    buffer_deinit(&response.body);
}

void http_server_settle(HttpServer *server, bool kept) {
    for (HttpConnection *connection = server->connections; connection != NULL; connection = connection->next) {
        if (!connection->held.provisional)
            continue;
        if (kept)
            send_response(connection, &connection->held);
        else
            send_error(connection, 503, "the database cannot be written; nothing was changed");
        buffer_deinit(&connection->held.body);
        connection->held = (HttpResponse){0};
    }
}

/* The bytes up to and including the empty line, or 0 when it has not come. */
static size_t head_size(struct evbuffer *input, size_t limit) {
    size_t available = evbuffer_get_length(input);
    struct evbuffer_ptr end;
    evbuffer_ptr_set(input, &end, available < limit ? available : limit, EVBUFFER_PTR_SET);
    struct evbuffer_ptr found = evbuffer_search_range(input, "\r\n\r\n", 4, NULL, &end);
    return found.pos < 0 ? 0 : (size_t)found.pos + 4;
}

static int check_head(HttpConnection *connection, const HttpHead *head, Error *error) {
    if (connection->token != NULL && !token_matches(connection->token, head->bearer)) {
        error_set(error, "the header Authorization: Bearer TOKEN is missing or its token is wrong");
        return 401;
    }
    if (head->content_length > connection->server->limits.body_max) {
        error_set(error, "the body has %zu bytes; at most %zu are allowed", head->content_length, connection->server->limits.body_max);
        return 413;
    }
    return 0;
}

/* Answers the request at the front of the input when all of it is there. */
static void read_request(HttpConnection *connection) {
    const HttpLimits *limits = &connection->server->limits;
    /* "100 Continue" is still leaving, and on_written is to mean the answer. */
    if (evbuffer_get_length(bufferevent_get_output(connection->stream)) > 0)
        return;
    struct evbuffer *input = bufferevent_get_input(connection->stream);
    size_t size = head_size(input, limits->header_max);
    if (size == 0) {
        if (evbuffer_get_length(input) >= limits->header_max)
            send_error(connection, 431, "the request's header is too large");
        return;
    }
    Error error;
    HttpHead head;
    int status = http_head_parse(&head, (const char *)evbuffer_pullup(input, (ev_ssize_t)size), size, &error);
    if (status == 0)
        status = check_head(connection, &head, &error);
    if (status != 0) {
        send_error(connection, status, error.text);
        return;
    }
    size_t whole = size + head.content_length;
    if (evbuffer_get_length(input) >= whole) {
        const char *text = (const char *)evbuffer_pullup(input, (ev_ssize_t)whole);
        answer_request(connection, &head, text + size);
        evbuffer_drain(input, whole);
    } else if (head.expects_continue && !connection->continued) {
        connection->continued = true;
        evbuffer_add_printf(bufferevent_get_output(connection->stream), "HTTP/1.1 100 Continue\r\n\r\n");
    }
}

static void on_readable(struct bufferevent *stream, void *context) {
    HttpConnection *connection = context;
    struct evbuffer *input = bufferevent_get_input(stream);
    if (connection->state == CONNECTION_LINGERING)
        evbuffer_drain(input, evbuffer_get_length(input));
    if (connection->state != CONNECTION_READING || evbuffer_get_length(input) == 0)
        return;
    if (!connection->begun) {
        connection->begun = true;
        set_deadline(connection, connection->server->limits.seconds);
    }
    read_request(connection);
}

/* The answer has left. */
static void on_written(struct bufferevent *stream, void *context) {
    HttpConnection *connection = context;
    if (connection->state != CONNECTION_WRITING) {
        on_readable(stream, connection);
        return;
    }
    if (connection->deaf) {
        http_connection_free(connection);
        return;
    }
    if (connection->ending) {
        connection->state = CONNECTION_LINGERING;
        shutdown(bufferevent_getfd(stream), SHUT_WR);
        set_deadline(connection, connection->server->limits.seconds);
    } else {
        connection->state = CONNECTION_READING;
        connection->begun = connection->continued = false;
        set_deadline(connection, IDLE_SECONDS);
    }
    on_readable(stream, connection);
}

static void on_event(struct bufferevent *stream, short events, void *context) {
    (void)stream;
    HttpConnection *connection = context;
    bool peer_closed = (events & BEV_EVENT_EOF) != 0 && (events & BEV_EVENT_ERROR) == 0;
    /* A client may close its own direction after the request and still wait for the answer. */
    if (peer_closed && connection->state == CONNECTION_WRITING)
        connection->deaf = true;
    else
        http_connection_free(connection);
}

static void on_deadline(evutil_socket_t socket, short events, void *context) {
    (void)socket;
    (void)events;
    HttpConnection *connection = context;
    if (connection->state == CONNECTION_READING && connection->begun)
        send_error(connection, 408, "the request took too long to arrive");
    else
        http_connection_free(connection);
}

void http_connection_accept(HttpListener *listener, evutil_socket_t socket) {
    HttpServer *server = listener->server;
    HttpConnection *connection = NULL;
    if (server->connection_count >= server->limits.connections || (connection = calloc(1, sizeof *connection)) == NULL) {
        evutil_closesocket(socket);
        return;
    }
    connection->server = server;
    connection->token = listener->token;
    connection->stream = bufferevent_socket_new(server->base, socket, BEV_OPT_CLOSE_ON_FREE);
    connection->deadline = evtimer_new(server->base, on_deadline, connection);
    if (connection->next = server->connections, connection->next != NULL)
        connection->next->previous = connection;
    server->connections = connection;
    server->connection_count++;
    if (connection->stream == NULL || connection->deadline == NULL) {
        if (connection->stream == NULL)
            evutil_closesocket(socket);
        http_connection_free(connection);
        return;
    }
    bufferevent_setcb(connection->stream, on_readable, on_written, on_event, connection);
    bufferevent_setwatermark(connection->stream, EV_READ, 0, server->limits.header_max + server->limits.body_max);
    bufferevent_enable(connection->stream, EV_READ | EV_WRITE);
    set_deadline(connection, server->limits.seconds);
}

void http_connection_free(HttpConnection *connection) {
    HttpServer *server = connection->server;
    if (connection->previous != NULL)
        connection->previous->next = connection->next;
    else
        server->connections = connection->next;
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    server->connection_count--;
    if (connection->deadline != NULL)
        event_free(connection->deadline);
    if (connection->stream != NULL)
        bufferevent_free(connection->stream);
    buffer_deinit(&connection->held.body);
    free(connection);
}
