/* The reporter against a real HTTP server whose answers each test chooses: everything arrives, whatever the daemon does in between. */
#include "worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include <event2/event.h>
#include <math.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { SERVER_REPORTS_MAX = 256, SERVER_STEPS_MAX = 1024 };
static const double DEADLINE = 30;

typedef struct Server {
    struct event_base *base;
    HttpServer *http;
    pthread_t thread;
    atomic_bool leave;
    /* what the test sets before it starts anything */
    int fail_first; /* so many reports are answered with `status`, the rest well */
    int status;
    Directive directive;
    /* what was received; read after server_stop */
    size_t reports, steps, results;
    int64_t sequence[SERVER_REPORTS_MAX], step[SERVER_STEPS_MAX];
    Report last;
} Server;

static char directory[] = "/tmp/sweepd-reporter-XXXXXX";
static char socket_path[PATH_TEXT_MAX], journal_path[PATH_TEXT_MAX];
static Server *server; /* heap: a Report is large */
static Lease lease;
static Journal journal;
static HttpClient *client;
static Reporter *reporter;

static void handle(void *context, const HttpRequest *request, HttpResponse *response) {
    Server *self = context;
    Error error;
    bool result = strstr(request->path, "/result") != NULL;
    self->last.kind = result ? REPORT_RESULT : strstr(request->path, "/points") ? REPORT_POINTS : REPORT_HEARTBEAT;
    if (report_decode(&self->last, request->body, request->body_size, &error)) {
        response->status = 400;
        wire_error_encode(error.text, NULL, &response->body);
        return;
    }
    if (self->reports < SERVER_REPORTS_MAX)
        self->sequence[self->reports++] = self->last.sequence;
    if (self->fail_first > 0) {
        self->fail_first--;
        response->status = self->status;
        wire_error_encode("chosen by the test", NULL, &response->body);
        return;
    }
    for (size_t i = 0; i < self->last.point_count && self->steps < SERVER_STEPS_MAX; i++)
        self->step[self->steps++] = self->last.points[i].step;
    self->results += result;
    ReportAnswer answer = {.directive = self->directive, .expires_seconds = 60};
    report_answer_encode(&answer, &response->body);
}

static void look_whether_to_leave(evutil_socket_t descriptor, short what, void *context) {
    (void)descriptor;
    (void)what;
    Server *self = context;
    if (atomic_load(&self->leave))
        event_base_loopbreak(self->base);
}

static void *serve(void *context) {
    Server *self = context;
    struct timeval interval = {.tv_usec = 5000};
    struct event *timer = event_new(self->base, -1, EV_PERSIST, look_whether_to_leave, self);
    event_add(timer, &interval);
    event_base_dispatch(self->base);
    event_free(timer);
    return NULL;
}

static void server_start(void) {
    const HttpLimits limits = {.header_max = 16384, .body_max = WIRE_BODY_MAX, .seconds = 10, .connections = 8};
    atomic_store(&server->leave, false);
    server->base = event_base_new();
    assert_non_null(server->base);
    assert_int_equal(http_server_new(&server->http, server->base, &limits, handle, server, NULL), 0);
    assert_int_equal(http_server_listen_unix(server->http, socket_path, NULL), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_stop(void) {
    atomic_store(&server->leave, true);
    pthread_join(server->thread, NULL);
    http_server_free(server->http);
    event_base_free(server->base);
    unlink(socket_path);
}

static int set_up_group(void **state) {
    (void)state;
    if (!mkdtemp(directory) || path_format(socket_path, NULL, "%s/s", directory) ||
        path_format(journal_path, NULL, "%s/journal.jsonl", directory))
        return -1;
    return log_open("/dev/null", NULL); /* what is expected here would look like trouble */
}

static int tear_down_group(void **state) {
    (void)state;
    unlink(journal_path);
    return rmdir(directory);
}

static int set_up(void **state) {
    (void)state;
    server = calloc(1, sizeof *server);
    lease = (Lease){.granted = true, .attempt_id = 12, .heartbeat_seconds = 0.05, .expires_seconds = 60};
    text_copy(lease.token, sizeof lease.token, "0123456789abcdef");
    return server && !journal_init(&journal, journal_path, false, NULL) && !http_client_new(&client, socket_path, NULL, NULL, NULL) ? 0
                                                                                                                                    : -1;
}

static int tear_down(void **state) {
    (void)state;
    reporter_free(reporter);
    reporter = NULL;
    http_client_free(client);
    client = NULL;
    journal_deinit(&journal);
    free(server);
    return 0;
}

static void append(int64_t step) {
    Point point = {.step = step, .examples = 1, .flops = 1, .seconds = 1};
    point_set_metric(&point, "test_error", 0.5);
    assert_int_equal(journal_append(&journal, &point, NULL), 0);
}

static void start_reporter(void) {
    assert_int_equal(reporter_new(&reporter, client, &lease, &journal, NULL), 0);
}

static void train(int64_t first, int64_t last) {
    for (int64_t step = first; step <= last; step++) {
        append(step);
        reporter_progress(reporter, (double)step, (double)step);
        reporter_point(reporter);
    }
}

static void finish(void) {
    Environment environment = {.pid = 1, .threads = 1};
    reporter_result(reporter, OUTCOME_OK, RUN_DONE, "", &environment);
}

static ReporterState wait_for_end(void) {
    struct pollfd polled = {.fd = reporter_descriptor(reporter), .events = POLLIN};
    poll(&polled, 1, (int)(DEADLINE * 1e3));
    return reporter_state(reporter);
}

static void assert_steps(int64_t first, int64_t last) {
    assert_int_equal(server->steps, last - first + 1);
    for (int64_t step = first; step <= last; step++)
        assert_int_equal(server->step[step - first], step);
}

static void test_delivers_points_and_result(void **state) {
    (void)state;
    server_start();
    start_reporter();
    train(1, 5);
    finish();
    assert_int_equal(wait_for_end(), REPORTER_DELIVERED);
    assert_int_equal(reporter_directive(reporter), DIRECTIVE_CONTINUE);
    server_stop();
    assert_steps(1, 5);
    assert_int_equal(server->results, 1);
    assert_int_equal(server->last.outcome, OUTCOME_OK);
    assert_string_equal(server->last.token, lease.token);
    assert_true(journal_is_empty(&journal));
}

static void test_more_points_than_a_message_holds(void **state) {
    (void)state;
    start_reporter();
    train(1, 3 * WIRE_POINTS_MAX + 5);
    finish();
    server_start();
    assert_int_equal(wait_for_end(), REPORTER_DELIVERED);
    server_stop();
    assert_steps(1, 3 * WIRE_POINTS_MAX + 5);
    assert_int_equal(server->results, 1);
    assert_true(journal_is_empty(&journal));
}

static void test_waits_for_a_daemon_that_is_away(void **state) {
    (void)state;
    start_reporter();
    train(1, 3);
    struct pollfd polled = {.fd = reporter_descriptor(reporter), .events = POLLIN};
    assert_int_equal(poll(&polled, 1, 1500), 0); /* long enough that a first report has failed */
    assert_false(journal_is_empty(&journal));
    server_start();
    train(4, 6);
    finish();
    assert_int_equal(wait_for_end(), REPORTER_DELIVERED);
    server_stop();
    assert_steps(1, 6);
}

static void test_repeats_the_same_report(void **state) {
    (void)state;
    server->fail_first = 3;
    server->status = 503;
    server_start();
    start_reporter();
    train(1, 2);
    finish();
    assert_int_equal(wait_for_end(), REPORTER_DELIVERED);
    server_stop();
    assert_steps(1, 2);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(server->sequence[i], 1);
    for (size_t i = 4; i < server->reports; i++)
        assert_int_equal(server->sequence[i], server->sequence[i - 1] + 1);
}

static void test_stale_lease_drops_the_run(void **state) {
    (void)state;
    server->fail_first = SERVER_REPORTS_MAX;
    server->status = 409;
    server_start();
    start_reporter();
    train(1, 2);
    assert_int_equal(wait_for_end(), REPORTER_DROPPED);
    assert_int_equal(reporter_directive(reporter), DIRECTIVE_DROP);
    finish(); /* says nothing more */
    reporter_free(reporter);
    reporter = NULL;
    server_stop();
    assert_int_equal(server->reports, 1);
    assert_false(journal_is_empty(&journal));
}

static void test_what_an_earlier_attempt_left_goes_first(void **state) {
    (void)state;
    append(1);
    append(2);
    text_copy(lease.token, sizeof lease.token, "fedcba9876543210");
    server_start();
    start_reporter();
    train(3, 4);
    finish();
    assert_int_equal(wait_for_end(), REPORTER_DELIVERED);
    server_stop();
    assert_steps(1, 4);
    assert_string_equal(server->last.token, "fedcba9876543210");
}

static void test_stop_is_passed_on_and_the_release_delivered(void **state) {
    (void)state;
    server->directive = DIRECTIVE_STOP;
    server_start();
    start_reporter();
    double end = clock_monotonic() + DEADLINE;
    while (reporter_directive(reporter) == DIRECTIVE_CONTINUE && clock_monotonic() < end)
        poll(NULL, 0, 5);
    assert_int_equal(reporter_directive(reporter), DIRECTIVE_STOP);
    assert_int_equal(reporter_state(reporter), REPORTER_RUNNING);
    Environment environment = {.pid = 1};
    reporter_result(reporter, OUTCOME_PREEMPTED, RUN_PENDING, "stopped", &environment);
    assert_int_equal(wait_for_end(), REPORTER_DELIVERED);
    server_stop();
    assert_int_equal(server->last.outcome, OUTCOME_PREEMPTED);
    assert_string_equal(server->last.detail, "stopped");
}

static void test_drop_ends_without_a_report(void **state) {
    (void)state;
    server->directive = DIRECTIVE_DROP;
    server_start();
    start_reporter();
    assert_int_equal(wait_for_end(), REPORTER_DROPPED);
    finish();
    reporter_free(reporter);
    reporter = NULL;
    server_stop();
    assert_int_equal(server->results, 0);
}

static void test_a_refused_message_is_not_repeated_for_ever(void **state) {
    (void)state;
    server->fail_first = SERVER_REPORTS_MAX;
    server->status = 400;
    server_start();
    start_reporter();
    finish();
    assert_int_equal(wait_for_end(), REPORTER_REJECTED);
    server_stop();
    assert_int_equal(server->reports, 1);
}

static void test_gives_up_when_told(void **state) {
    (void)state;
    start_reporter();
    train(1, 1);
    finish();
    reporter_abandon(reporter);
    assert_int_equal(wait_for_end(), REPORTER_ABANDONED);
    reporter_free(reporter);
    reporter = NULL;
    assert_false(journal_is_empty(&journal));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_delivers_points_and_result),
        CASE(test_more_points_than_a_message_holds),
        CASE(test_waits_for_a_daemon_that_is_away),
        CASE(test_repeats_the_same_report),
        CASE(test_stale_lease_drops_the_run),
        CASE(test_what_an_earlier_attempt_left_goes_first),
        CASE(test_stop_is_passed_on_and_the_release_delivered),
        CASE(test_drop_ends_without_a_report),
        CASE(test_a_refused_message_is_not_repeated_for_ever),
        CASE(test_gives_up_when_told),
    };
    return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
