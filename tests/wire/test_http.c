/* The server against a raw socket, which sends what no client library would, and against our own client. The server runs in a
 * thread of its own; a byte through a pipe stops it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "http_server.h"
#include "sweepd/wire.h"

enum { HEADER_MAX = 4096, BODY_MAX = 100000, CONNECTIONS = 4, LARGE = 3 << 20 };

typedef struct Fixture {
    char directory[64], socket_path[128];
    struct event_base *base;
    HttpServer *server;
    int stop[2];
    int port;
    pthread_t thread;
} Fixture;

static void handle(void *context, const HttpRequest *request, HttpResponse *response) {
    (void)context;
    if (strcmp(request->path, "/large") == 0) {
        for (int i = 0; i < LARGE / 16; i++)
            buffer_append_text(&response->body, "0123456789abcdef");
    } else if (strcmp(request->path, "/echo") == 0) {
        buffer_append(&response->body, request->body, request->body_size);
    } else if (strcmp(request->path, "/hello") == 0) {
        buffer_printf(&response->body, "{\"hello\":\"%s\"}", request->query);
    } else {
        response->status = 404;
        wire_error_encode("nothing is here", "path", &response->body);
    }
}

static void on_stop(evutil_socket_t socket, short events, void *context) {
    (void)socket;
    (void)events;
    event_base_loopbreak(context);
}

static void *serve(void *context) {
    Fixture *fixture = context;
    struct event *stop = event_new(fixture->base, fixture->stop[0], EV_READ, on_stop, fixture->base);
    event_add(stop, NULL);
    event_base_dispatch(fixture->base);
    event_free(stop);
    return NULL;
}

static int set_up_with(void **state, int seconds) {
    Fixture *fixture = calloc(1, sizeof *fixture);
    HttpLimits limits = {HEADER_MAX, BODY_MAX, seconds, CONNECTIONS};
    Error error = {0};
    strcpy(fixture->directory, "/tmp/sweepd-wire-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    snprintf(fixture->socket_path, sizeof fixture->socket_path, "%s/s", fixture->directory);
    fixture->base = event_base_new();
    assert_int_equal(pipe(fixture->stop), 0);
    assert_int_equal(http_server_new(&fixture->server, fixture->base, &limits, handle, NULL, &error), 0);
    if (http_server_listen_unix(fixture->server, fixture->socket_path, &error) != 0)
        fail_msg("%s", error.text);
    assert_int_equal(http_server_listen_tcp(fixture->server, "127.0.0.1", 0, "secret", &error), 0);
    fixture->port = http_server_port(fixture->server);
    assert_int_equal(pthread_create(&fixture->thread, NULL, serve, fixture), 0);
    *state = fixture;
    return 0;
}

/* Long enough for the busiest machine. */
static int set_up(void **state) {
    return set_up_with(state, 60);
}

static int set_up_hasty(void **state) {
    return set_up_with(state, 1);
}

static int tear_down(void **state) {
    Fixture *fixture = *state;
    assert_int_equal(write(fixture->stop[1], "x", 1), 1);
    pthread_join(fixture->thread, NULL);
    http_server_free(fixture->server);
    event_base_free(fixture->base);
    close(fixture->stop[0]);
    close(fixture->stop[1]);
    assert_false(file_exists(fixture->socket_path));
    rmdir(fixture->directory);
    free(fixture);
    return 0;
}

/* ---- a raw client ---- */

static int dial(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    int connected = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(connected, (struct sockaddr *)&address, sizeof address), 0);
    struct timeval patience = {.tv_sec = 20};
    setsockopt(connected, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return connected;
}

static void send_all(int socket, const char *text, size_t size) {
    while (size > 0) {
        ssize_t sent = send(socket, text, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        text += sent;
        size -= (size_t)sent;
    }
}

/* Everything until the server closes; fails the test when it never does. */
static char *receive_all(int socket) {
    Buffer text;
    buffer_init(&text, 2 * LARGE);
    buffer_append_text(&text, "");
    char part[65536];
    ssize_t got;
    while ((got = recv(socket, part, sizeof part, 0)) > 0)
        buffer_append(&text, part, (size_t)got);
    assert_true(got == 0 || errno == ECONNRESET);
    close(socket);
    return text.data;
}

static void expect_answer(const Fixture *fixture, const char *request, size_t size, const char *status, const char *words) {
    int socket = dial(fixture->socket_path);
    send_all(socket, request, size);
    char *answer = receive_all(socket);
    if (strncmp(answer, status, strlen(status)) != 0 || strstr(answer, words) == NULL)
        fail_msg("%.200s\nis not %s with %s", answer, status, words);
    free(answer);
}

static void test_malformed(void **state) {
    const Fixture *fixture = *state;
    static const char garbage[] = "\x16\x03\x01\x02\x00\x01 garbage\r\n\r\n";
    expect_answer(fixture, garbage, sizeof garbage - 1, "HTTP/1.1 400 ", "{\"error\":{\"message\":");
    static const char method[] = "DELETE /hello HTTP/1.1\r\n\r\n";
    expect_answer(fixture, method, sizeof method - 1, "HTTP/1.1 405 ", "GET or POST");
    static const char chunked[] = "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    expect_answer(fixture, chunked, sizeof chunked - 1, "HTTP/1.1 411 ", "Content-Length");
}

static void test_limits(void **state) {
    const Fixture *fixture = *state;
    char *request = malloc(LARGE);
    int size = snprintf(request, LARGE, "GET /hello HTTP/1.1\r\nA: ");
    memset(request + size, 'a', LARGE - (size_t)size);
    expect_answer(fixture, request, LARGE, "HTTP/1.1 431 ", "header is too large");
    size = snprintf(request, LARGE, "POST /echo HTTP/1.1\r\nContent-Length: %d\r\n\r\n", BODY_MAX + 1);
    memset(request + size, 'a', LARGE - (size_t)size);
    expect_answer(fixture, request, LARGE, "HTTP/1.1 413 ", "at most 100000 are allowed");
    free(request);
}

static void test_slow(void **state) {
    const Fixture *fixture = *state;
    static const char begun[] = "POST /echo HTTP/1.1\r\nContent-Length: 10\r\n\r\nhalf";
    expect_answer(fixture, begun, sizeof begun - 1, "HTTP/1.1 408 ", "too long");
    int silent = dial(fixture->socket_path);
    char *answer = receive_all(silent);
    assert_string_equal(answer, "");
    free(answer);
}

static void test_kept_open_and_pipelined(void **state) {
    const Fixture *fixture = *state;
    static const char requests[] = "POST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /hello?x HTTP/1.1\r\n\r\n"
                                   "GET /hello?y HTTP/1.1\r\nConnection: close\r\n\r\n";
    int socket = dial(fixture->socket_path);
    for (size_t i = 0; i < sizeof requests - 1; i++)
        send_all(socket, requests + i, 1);
    char *answer = receive_all(socket);
    const char *first = strstr(answer, "\r\n\r\nabcHTTP/1.1 200 OK"), *second = strstr(answer, "{\"hello\":\"x\"}HTTP/1.1 200 OK");
    assert_true(first != NULL && second > first && strstr(second, "{\"hello\":\"y\"}") != NULL);
    free(answer);
}

/* Closing one's own direction after the request is allowed; the whole answer still comes. */
static void test_half_closed(void **state) {
    const Fixture *fixture = *state;
    static const char request[] = "GET /large HTTP/1.1\r\n\r\n";
    int socket = dial(fixture->socket_path);
    send_all(socket, request, sizeof request - 1);
    shutdown(socket, SHUT_WR);
    char *answer = receive_all(socket);
    assert_int_equal(strlen(strstr(answer, "\r\n\r\n") + 4), LARGE);
    free(answer);
}

static void test_too_many_connections(void **state) {
    const Fixture *fixture = *state;
    static const char request[] = "GET /hello HTTP/1.1\r\n\r\n";
    int open[CONNECTIONS];
    char part[512];
    for (int i = 0; i < CONNECTIONS; i++) {
        open[i] = dial(fixture->socket_path);
        send_all(open[i], request, sizeof request - 1);
        assert_true(recv(open[i], part, sizeof part, 0) > 0);
    }
    int refused = dial(fixture->socket_path);
    char *answer = receive_all(refused);
    assert_string_equal(answer, "");
    free(answer);
    send_all(open[0], request, sizeof request - 1);
    assert_true(recv(open[0], part, sizeof part, 0) > 0);
    for (int i = 0; i < CONNECTIONS; i++)
        close(open[i]);
}

static void test_socket_is_private(void **state) {
    const Fixture *fixture = *state;
    struct stat status;
    assert_int_equal(stat(fixture->socket_path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void test_stale_and_live_sockets(void **state) {
    const Fixture *fixture = *state;
    HttpLimits limits = {HEADER_MAX, BODY_MAX, 1, CONNECTIONS};
    struct event_base *base = event_base_new();
    HttpServer *second;
    Error error = {0};
    assert_int_equal(http_server_new(&second, base, &limits, handle, NULL, &error), 0);
    assert_int_equal(http_server_listen_unix(second, fixture->socket_path, &error), -1);
    assert_non_null(strstr(error.text, "another daemon"));
    char stale[160];
    snprintf(stale, sizeof stale, "%s/stale", fixture->directory);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, stale);
    int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(dead, (struct sockaddr *)&address, sizeof address), 0);
    close(dead);
    assert_int_equal(http_server_listen_unix(second, stale, &error), 0);
    http_server_free(second);
    assert_false(file_exists(stale));
    assert_int_equal(file_write_atomic(stale, "x", 1, 0600, &error), 0);
    assert_int_equal(http_server_new(&second, base, &limits, handle, NULL, &error), 0);
    assert_int_equal(http_server_listen_unix(second, stale, &error), -1);
    assert_non_null(strstr(error.text, "not a socket"));
    assert_int_equal(http_server_listen_tcp(second, "127.0.0.1", 0, "", &error), -1);
    assert_non_null(strstr(error.text, "token"));
    http_server_free(second);
    unlink(stale);
    event_base_free(base);
}

/* ---- our client ---- */

static void test_client(void **state) {
    const Fixture *fixture = *state;
    HttpClient *client;
    Error error = {0};
    Buffer out;
    int status;
    buffer_init(&out, 2 * LARGE);
    assert_int_equal(http_client_new(&client, fixture->socket_path, NULL, NULL, &error), 0);
    assert_int_equal(http_client_call(client, "/hello?a=b", NULL, 0, 30, &out, &status, &error), 0);
    assert_string_equal(out.data, "{\"hello\":\"a=b\"}");
    assert_int_equal(http_client_call(client, "/echo", "body", 4, 30, &out, &status, &error), 0);
    assert_string_equal(out.data, "body");
    assert_int_equal(http_client_call(client, "/echo", "", 0, 30, &out, &status, &error), 0);
    assert_int_equal(out.size, 0);
    assert_int_equal(http_client_call(client, "/large", NULL, 0, 30, &out, &status, &error), 0);
    assert_int_equal(out.size, LARGE);
    assert_int_equal(http_client_call(client, "/none", NULL, 0, 30, &out, &status, &error), WIRE_STATUS);
    assert_int_equal(status, 404);
    assert_string_equal(error.text, "nothing is here");
    char *body = calloc(1, BODY_MAX + 1);
    memset(body, 'b', BODY_MAX);
    assert_int_equal(http_client_call(client, "/echo", body, BODY_MAX, 30, &out, &status, &error), 0);
    assert_int_equal(out.size, BODY_MAX);
    free(body);
    http_client_free(client);
    buffer_deinit(&out);
    buffer_init(&out, 1000);
    assert_int_equal(http_client_new(&client, fixture->socket_path, NULL, NULL, &error), 0);
    assert_int_equal(http_client_call(client, "/large", NULL, 0, 30, &out, &status, &error), -1);
    http_client_free(client);
    buffer_deinit(&out);
}

static void call_with_token(const char *url, const char *token, int expected) {
    HttpClient *client;
    Error error = {0};
    Buffer out;
    int status;
    buffer_init(&out, 1000);
    assert_int_equal(http_client_new(&client, NULL, url, token, &error), 0);
    assert_int_equal(http_client_call(client, "/hello", NULL, 0, 30, &out, &status, &error), expected == 200 ? 0 : WIRE_STATUS);
    assert_int_equal(status, expected);
    http_client_free(client);
    buffer_deinit(&out);
}

static void test_token(void **state) {
    const Fixture *fixture = *state;
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d", fixture->port);
    call_with_token(url, "secret", 200);
    call_with_token(url, "secreT", 401);
    call_with_token(url, "secret1", 401);
    call_with_token(url, "", 401);
    call_with_token(url, NULL, 401);
}

static void test_no_daemon(void **state) {
    const Fixture *fixture = *state;
    HttpClient *client;
    Error error = {0};
    Buffer out;
    int status;
    char path[160];
    buffer_init(&out, 1000);
    snprintf(path, sizeof path, "%s/absent", fixture->directory);
    assert_int_equal(http_client_new(&client, path, NULL, NULL, &error), 0);
    assert_int_equal(http_client_call(client, "/hello", NULL, 0, 30, &out, &status, &error), WIRE_NO_DAEMON);
    http_client_free(client);
    /* Bound and listening, and never answering. */
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    int mute = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(mute, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(mute, 1), 0);
    assert_int_equal(http_client_new(&client, path, NULL, NULL, &error), 0);
    assert_int_equal(http_client_call(client, "/hello", NULL, 0, 0.05, &out, &status, &error), WIRE_TIMEOUT);
    http_client_free(client);
    close(mute);
    unlink(path);
    buffer_deinit(&out);
}

static void test_private_directory(void **state) {
    (void)state;
    char parent[] = "/tmp/sweepd-test-XXXXXX", path[64], link[64];
    struct stat status;
    Error error = {0};
    assert_non_null(mkdtemp(parent));
    snprintf(path, sizeof path, "%s/d", parent);
    snprintf(link, sizeof link, "%s/l", parent);
    assert_int_equal(http_private_directory(path, &error), 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_int_equal(http_private_directory(path, &error), 0);
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(http_private_directory(link, &error), -1);
    assert_int_equal(chmod(path, 0755), 0);
    assert_int_equal(http_private_directory(path, &error), -1);
    assert_non_null(strstr(error.text, "this user alone"));
    unlink(link);
    rmdir(path);
    if (getuid() == 0) { /* only then can a directory be given away */
        assert_int_equal(mkdir(path, 0700), 0);
        assert_int_equal(chown(path, 1, 1), 0);
        assert_int_equal(http_private_directory(path, &error), -1);
        rmdir(path);
    }
    rmdir(parent);
}

static void test_socket_path(void **state) {
    (void)state;
    char home[300] = "/tmp/home", path[PATH_TEXT_MAX], again[PATH_TEXT_MAX];
    Error error = {0};
    assert_int_equal(wire_socket_path(home, path, &error), 0);
    assert_string_equal(path, "/tmp/home/sweepd.sock");
    unsetenv("XDG_RUNTIME_DIR");
    memset(home + 1, 'h', sizeof home - 2);
    assert_int_equal(wire_socket_path(home, path, &error), 0);
    assert_true(strlen(path) < 108);
    char expected[64];
    snprintf(expected, sizeof expected, "/tmp/sweepd-%u/", (unsigned)getuid());
    assert_int_equal(strncmp(path, expected, strlen(expected)), 0);
    home[20] = 'x';
    assert_int_equal(wire_socket_path(home, again, &error), 0);
    assert_string_not_equal(path, again);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_malformed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slow, set_up_hasty, tear_down),
        cmocka_unit_test_setup_teardown(test_kept_open_and_pipelined, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_half_closed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_many_connections, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_socket_is_private, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stale_and_live_sockets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_client, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_token, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_daemon, set_up, tear_down),
        cmocka_unit_test(test_private_directory),
        cmocka_unit_test(test_socket_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
