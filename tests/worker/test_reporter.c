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

enum { SERVER_REPORTS_MAX = 1024, SERVER_STEPS_MAX = 1024, LEASES = 5 };
static const double DEADLINE = 30;

typedef struct Server {
    struct event_base *base;
    HttpServer *http;
    pthread_t thread;
    atomic_bool leave;
    /* what the test sets before it starts anything */
    int fail_first; /* so many messages are answered with `status`, the rest well */
    int status;
    int report_status; /* of a report in a message that is answered well; 0: 200 */
    int64_t only;      /* the attempt that this goes for; 0: all */
    Directive directive;
    /* what was received; read after server_stop */
    size_t messages, reports, steps, results;
    int64_t attempt[SERVER_REPORTS_MAX], sequence[SERVER_REPORTS_MAX], step[SERVER_STEPS_MAX];
    Outcome outcome[LEASES + 1]; /* by attempt */
    Report last;                 /* result */
    ReportAnswers answers;
} Server;

static char directory[] = "/tmp/sweepd-reporter-XXXXXX";
static char socket_path[PATH_TEXT_MAX];
static Server *server; /* heap: a Report is large */
static Lease leases[LEASES];
static LeaseAnswer answer;
static HttpClient *client;
static Reporter *reporter;
static Report scratch;

static void receive(Server *self, const Report *report) {
    for (size_t i = 0; i < report->point_count && self->steps < SERVER_STEPS_MAX; i++)
        self->step[self->steps++] = report->points[i].step;
    if (report->kind != REPORT_RESULT)
        return;
    self->results++;
    self->outcome[report->attempt_id] = report->outcome;
    self->last = *report;
}

static void handle(void *context, const HttpRequest *request, HttpResponse *response) {
    Server *self = context;
    Error error;
    ReportReader *reader;
    assert_string_equal(request->path, "/v1/reports");
    assert_int_equal(report_reader_new(&reader, request->body, request->body_size, &error), 0);
    self->messages++;
    self->answers.count = 0;
    bool fails = self->fail_first > 0;
    for (size_t i = 0; i < report_reader_count(reader); i++) {
        assert_int_equal(report_reader_next(reader, &scratch, &error), 0);
        bool chosen = self->only == 0 || self->only == scratch.attempt_id;
        int64_t status = chosen && self->report_status ? self->report_status : 200;
        if (self->reports < SERVER_REPORTS_MAX) {
            self->attempt[self->reports] = scratch.attempt_id;
            self->sequence[self->reports++] = scratch.sequence;
        }
        if (!fails && status == 200)
            receive(self, &scratch);
        self->answers.answers[self->answers.count++] = (ReportAnswer){status, chosen ? self->directive : DIRECTIVE_CONTINUE, ""};
    }
    report_reader_free(reader);
    if (fails) {
        self->fail_first--;
        response->status = self->status;
        wire_error_encode("chosen by the test", NULL, &response->body);
    } else {
        report_answers_encode(&self->answers, &response->body);
    }
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
    if (!mkdtemp(directory) || path_format(socket_path, NULL, "%s/s", directory))
        return -1;
    return log_open("/dev/null", NULL); /* what is expected here would look like trouble */
}

static int tear_down_group(void **state) {
    (void)state;
    return rmdir(directory);
}

static int set_up(void **state) {
    (void)state;
    server = calloc(1, sizeof *server);
    answer = (LeaseAnswer){.heartbeat_seconds = 0.05, .expires_seconds = 60, .count = 1, .leases = leases};
    for (int i = 0; i < LEASES; i++) {
        leases[i] = (Lease){.attempt_id = i + 1};
        text_copy(leases[i].token, sizeof leases[i].token, "0123456789abcdef");
    }
    return server && !http_client_new(&client, socket_path, NULL, NULL, NULL) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    reporter_free(reporter);
    reporter = NULL;
    http_client_free(client);
    client = NULL;
    free(server);
    return 0;
}

static void start_batch(size_t count) {
    answer.count = count;
    assert_int_equal(reporter_new(&reporter, client, &answer, NULL), 0);
}

static void start_reporter(void) {
    start_batch(1);
    assert_ptr_equal(reporter_next(reporter), &leases[0]);
}

static void train(int64_t first, int64_t last) {
    for (int64_t step = first; step <= last; step++) {
        Point point = {.step = step, .examples = 1, .flops = 1, .seconds = 1};
        point_set_metric(&point, "test_error", 0.5);
        reporter_progress(reporter, (double)step, (double)step);
        assert_int_equal(reporter_point(reporter, &point, NULL), 0);
    }
}

static void finish(void) {
    Environment environment = {.pid = 1, .threads = 1};
    reporter_result(reporter, OUTCOME_OK, RUN_DONE, "", &environment);
}

static ReporterState wait_until(ReporterState (*state)(Reporter *), double seconds) {
    double end = clock_monotonic() + seconds;
    while (state(reporter) == REPORTER_RUNNING && clock_monotonic() < end)
        reporter_wait(reporter, 0.1);
    return state(reporter);
}

static ReporterState wait_for_end(void) {
    return wait_until(reporter_state, DEADLINE);
}

/* What a checkpoint would add to a journal of the first `kept` points: lines from `first` to `last`. */
static void assert_added(size_t kept, bool append, int64_t first, int64_t last) {
    PointList list = {0};
    Buffer text;
    bool appends;
    buffer_init(&text, 1 << 20);
    assert_int_equal(reporter_format_points(reporter, &kept, &appends, &text, NULL), 0);
    assert_int_equal(points_parse(&list, &text, NULL), 0);
    assert_int_equal(appends, append);
    assert_int_equal(list.count, last - first + 1);
    for (size_t i = 0; i < list.count; i++)
        assert_int_equal(list.points[i].step, first + (int64_t)i);
    assert_int_equal(kept, last);
    points_deinit(&list);
    buffer_deinit(&text);
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
    assert_string_equal(server->last.token, leases[0].token);
    assert_added(0, false, 6, 5);
    assert_added(5, false, 6, 5);
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
}

static void test_waits_for_a_daemon_that_is_away(void **state) {
    (void)state;
    start_reporter();
    train(1, 3);
    assert_int_equal(wait_until(reporter_state, 1.5), REPORTER_RUNNING); /* long enough that a first message has failed */
    assert_added(0, false, 1, 3);
    assert_added(2, true, 3, 3);
    assert_added(3, true, 4, 3);
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
    server->report_status = 409;
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
    assert_int_equal(server->messages, 1);
}

static void test_gives_up_when_told(void **state) {
    (void)state;
    start_reporter();
    train(1, 1);
    finish();
    reporter_abandon(reporter);
    assert_int_equal(wait_for_end(), REPORTER_ABANDONED);
    assert_added(0, false, 1, 1);
}

/* ---- several leases ---- */

static void test_small_runs_share_a_message(void **state) {
    (void)state;
    server_start();
    start_batch(LEASES);
    for (int i = 0; i < LEASES; i++) {
        assert_ptr_equal(reporter_next(reporter), &leases[i]);
        train(1, 2);
        finish();
    }
    assert_null(reporter_next(reporter));
    assert_int_equal(wait_until(reporter_state_of_all, DEADLINE), REPORTER_DELIVERED);
    assert_false(reporter_handed_back(reporter));
    server_stop();
    assert_int_equal(server->results, LEASES);
    assert_int_equal(server->steps, 2 * LEASES);
    for (int i = 1; i <= LEASES; i++)
        assert_int_equal(server->outcome[i], OUTCOME_OK);
    assert_true(server->messages < LEASES);
}

/* The run that is trained is a slow one: the rest goes to others, while it goes on. */
static void test_what_waits_for_long_is_handed_back(void **state) {
    (void)state;
    server_start();
    start_batch(LEASES);
    assert_ptr_equal(reporter_next(reporter), &leases[0]);
    for (double end = clock_monotonic() + DEADLINE; !reporter_handed_back(reporter) && clock_monotonic() < end;)
        reporter_wait(reporter, 0.05);
    assert_null(reporter_next(reporter));
    assert_int_equal(reporter_state(reporter), REPORTER_RUNNING);
    finish();
    assert_int_equal(wait_until(reporter_state_of_all, DEADLINE), REPORTER_DELIVERED);
    server_stop();
    assert_int_equal(server->outcome[1], OUTCOME_OK);
    for (int i = 2; i <= LEASES; i++)
        assert_int_equal(server->outcome[i], OUTCOME_PREEMPTED);
    assert_int_equal(server->results, LEASES);
}

static void test_release_hands_back_what_waits(void **state) {
    (void)state;
    server_start();
    start_batch(LEASES);
    assert_ptr_equal(reporter_next(reporter), &leases[0]);
    finish();
    reporter_release(reporter);
    assert_null(reporter_next(reporter));
    assert_int_equal(wait_until(reporter_state_of_all, DEADLINE), REPORTER_DELIVERED);
    server_stop();
    assert_int_equal(server->results, LEASES);
    assert_int_equal(server->outcome[1], OUTCOME_OK);
    assert_int_equal(server->outcome[LEASES], OUTCOME_PREEMPTED);
}

/* One lease is another's by now; it says nothing of the others. */
static void test_one_stale_lease_leaves_the_others(void **state) {
    (void)state;
    server->report_status = 409;
    server->only = 2;
    server_start();
    start_batch(3);
    for (int i = 0; i < 3; i++) {
        const Lease *lease = reporter_next(reporter);
        if (!lease) /* the stale one was found out before its turn, and it was the last */
            break;
        train(1, 1);
        finish();
    }
    assert_int_equal(wait_until(reporter_state_of_all, DEADLINE), REPORTER_DELIVERED);
    server_stop();
    assert_int_equal(server->results, 2);
    assert_true(server->outcome[1] == OUTCOME_OK && server->outcome[2] == OUTCOME_OPEN && server->outcome[3] == OUTCOME_OK);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_delivers_points_and_result),
        CASE(test_more_points_than_a_message_holds),
        CASE(test_waits_for_a_daemon_that_is_away),
        CASE(test_repeats_the_same_report),
        CASE(test_stale_lease_drops_the_run),
        CASE(test_stop_is_passed_on_and_the_release_delivered),
        CASE(test_drop_ends_without_a_report),
        CASE(test_a_refused_message_is_not_repeated_for_ever),
        CASE(test_gives_up_when_told),
        CASE(test_small_runs_share_a_message),
        CASE(test_what_waits_for_long_is_handed_back),
        CASE(test_release_hands_back_what_waits),
        CASE(test_one_stale_lease_leaves_the_others),
    };
    return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
