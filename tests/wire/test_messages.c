/* Every message comes back as it went, at the ends of its ranges too. */
#include "examples.h"

static void assert_points_equal(const Point *a, const Point *b) {
    assert_int_equal(a->step, b->step);
    assert_true(a->examples == b->examples && a->flops == b->flops && a->seconds == b->seconds);
    assert_int_equal(a->metric_count, b->metric_count);
    for (size_t i = 0; i < a->metric_count; i++) {
        double other = point_metric(b, a->metrics[i].name);
        assert_true(a->metrics[i].value == other || (isnan(a->metrics[i].value) && isnan(other)));
    }
}

static void assert_environments_equal(const Environment *a, const Environment *b) {
    assert_string_equal(a->host, b->host);
    assert_string_equal(a->cpu, b->cpu);
    assert_string_equal(a->version, b->version);
    assert_string_equal(a->backend, b->backend);
    assert_string_equal(a->data_digest, b->data_digest);
    assert_int_equal(a->pid, b->pid);
    assert_int_equal(a->threads, b->threads);
}

static void assert_runs_equal(const Run *a, const Run *b) {
    char first[RUN_KEY_MAX], second[RUN_KEY_MAX];
    Error error;
    assert_int_equal(run_key(a, first, &error), 0);
    assert_int_equal(run_key(b, second, &error), 0);
    assert_string_equal(first, second);
    assert_true(a->optimizer.lr == b->optimizer.lr);
}

static void test_lease_request(void **state) {
    (void)state;
    LeaseRequest sent = {.environment = example_environment(),
                         .bf16_backend = "onednn",
                         .worker = "local-1-1",
                         .runs_max = WIRE_LEASES_MAX,
                         .sweep_id = 7},
                 got;
    Buffer text;
    Error error = {0};
    buffer_init(&text, WIRE_BODY_MAX);
    lease_request_encode(&sent, &text);
    assert_int_equal(lease_request_decode(&got, text.data, text.size, &error), 0);
    assert_string_equal(got.worker, sent.worker);
    assert_string_equal(got.bf16_backend, "onednn");
    assert_true(got.runs_max == WIRE_LEASES_MAX && got.sweep_id == 7);
    assert_environments_equal(&got.environment, &sent.environment);
    for (int64_t wrong = 0; wrong <= WIRE_LEASES_MAX + 1; wrong += WIRE_LEASES_MAX + 1) {
        sent.runs_max = wrong;
        buffer_clear(&text);
        lease_request_encode(&sent, &text);
        assert_int_equal(lease_request_decode(&got, text.data, text.size, &error), WIRE_INVALID);
        assert_int_equal(strncmp(error.text, "runs_max: ", 10), 0);
    }
    buffer_deinit(&text);
}

static void test_lease(void **state) {
    (void)state;
    Lease leases[2] = {{.attempt_id = INT64_MAX, .run_id = 1, .attempt_number = 2, .token = "cafe", .threads = 2, .run = example_run()},
                       {.attempt_id = 8, .run_id = 9, .token = "babe", .threads = 1, .run = example_run()}};
    LeaseAnswer sent = {.heartbeat_seconds = 5, .expires_seconds = 60, .sweep_id = 3, .count = 2, .leases = leases}, got;
    Error error = {0};
    memset(sent.directory, 'x', sizeof sent.directory - 1);
    assert_int_equal(run_key(&leases[0].run, leases[0].key, &error), 0);
    Buffer text;
    buffer_init(&text, WIRE_BODY_MAX);
    lease_answer_encode(&sent, &text);
    assert_int_equal(buffer_check(&text, &error, "leases"), 0);
    int result = lease_answer_decode(&got, text.data, text.size, &error);
    if (result != 0)
        fail_msg("%s", error.text);
    assert_int_equal(got.count, 2);
    assert_true(got.heartbeat_seconds == 5 && got.expires_seconds == 60 && got.sweep_id == 3);
    assert_int_equal(got.leases[0].attempt_id, INT64_MAX);
    assert_int_equal(got.leases[1].run_id, 9);
    assert_string_equal(got.leases[0].key, leases[0].key);
    assert_string_equal(got.leases[1].token, "babe");
    assert_string_equal(got.directory, sent.directory);
    assert_runs_equal(&got.leases[1].run, &leases[1].run);
    lease_answer_deinit(&got);
    buffer_clear(&text);
    lease_answer_encode(&(LeaseAnswer){.leave = true, .retry_seconds = 0.25}, &text);
    assert_int_equal(lease_answer_decode(&got, text.data, text.size, &error), 0);
    assert_true(got.count == 0 && got.leave && got.retry_seconds == 0.25);
    lease_answer_deinit(&got);
    buffer_deinit(&text);
}

/* A list of one kind of report each; the answers to them. */
static void assert_reports_equal(const Report *sent, const Report *got) {
    assert_int_equal(got->kind, sent->kind);
    assert_int_equal(got->attempt_id, sent->attempt_id);
    assert_int_equal(got->sequence, sent->sequence);
    assert_string_equal(got->token, sent->token);
    assert_int_equal(got->point_count, sent->point_count);
    for (size_t i = 0; i < sent->point_count; i++)
        assert_points_equal(&sent->points[i], &got->points[i]);
    if (sent->kind != REPORT_RESULT)
        return;
    assert_int_equal(got->outcome, sent->outcome);
    assert_int_equal(got->state, sent->state);
    assert_string_equal(got->detail, sent->detail);
    assert_environments_equal(&got->environment, &sent->environment);
}

static void test_reports(void **state) {
    (void)state;
    static const ReportKind kinds[] = {REPORT_RESULT, REPORT_HEARTBEAT, REPORT_POINTS, REPORT_RESULT};
    Error error = {0};
    Buffer text;
    ReportReader *reader;
    buffer_init(&text, WIRE_BODY_MAX);
    reports_begin(&text);
    for (size_t i = 0; i < 4; i++) {
        Report *sent = example_report(kinds[i], i == 3 ? 0 : WIRE_POINTS_MAX);
        reports_add(sent, &text);
        free(sent);
    }
    reports_end(&text);
    assert_int_equal(report_reader_new(&reader, text.data, text.size, &error), 0);
    assert_int_equal(report_reader_count(reader), 4);
    Report *got = calloc(1, sizeof *got);
    for (size_t i = 0; i < 4; i++) {
        Report *sent = example_report(kinds[i], i == 3 ? 0 : WIRE_POINTS_MAX);
        if (report_reader_next(reader, got, &error) != 0)
            fail_msg("%s", error.text);
        assert_reports_equal(sent, got);
        free(sent);
    }
    free(got);
    report_reader_free(reader);
    buffer_deinit(&text);
}

static void test_report_answers(void **state) {
    (void)state;
    Error error = {0};
    Buffer text;
    buffer_init(&text, WIRE_BODY_MAX);
    ReportAnswers *answers = calloc(2, sizeof *answers), *got = answers + 1;
    *answers = (ReportAnswers){60, 2, {{200, DIRECTIVE_STOP, ""}, {409, DIRECTIVE_DROP, "the lease is another's"}}};
    report_answers_encode(answers, &text);
    assert_int_equal(report_answers_decode(got, text.data, text.size, &error), 0);
    assert_true(got->expires_seconds == 60 && got->count == 2);
    assert_true(got->answers[0].status == 200 && got->answers[0].directive == DIRECTIVE_STOP);
    assert_true(got->answers[1].status == 409 && got->answers[1].directive == DIRECTIVE_DROP);
    assert_string_equal(got->answers[1].message, "the lease is another's");
    free(answers);
    buffer_deinit(&text);
}

static void test_records(void **state) {
    (void)state;
    Error error = {0};
    Buffer text;
    buffer_init(&text, WIRE_BODY_MAX);
    RunRecord sent[3], got[3];
    for (int i = 0; i < 3; i++)
        sent[i] = example_run_record(i);
    run_records_encode(sent, 3, 99, &text);
    size_t count;
    int64_t next;
    int result = run_records_decode(got, 3, &count, &next, text.data, text.size, &error);
    if (result != 0)
        fail_msg("%s", error.text);
    assert_int_equal(count, 3);
    assert_int_equal(next, 99);
    assert_true(got[2].seed == UINT64_MAX && got[2].flops.nd6 == 0.5 && got[2].params == INT64_MAX);
    assert_true(got[1].has_point && !got[2].has_point);
    assert_points_equal(&sent[1].last, &got[1].last);
    assert_int_equal(run_records_decode(got, 2, &count, &next, text.data, text.size, &error), WIRE_INVALID);
    assert_non_null(strstr(error.text, "runs: 3 items, at most 2"));

    SweepRecord sweep =
                    {.id = 4, .name = "quickstart", .state = "paused", .runs = 80, .by_state = {1, 2, 3, 4, 5, 6}, .planned_flops = 1e17},
                back;
    buffer_clear(&text);
    sweep_records_encode(&sweep, 1, &text);
    assert_int_equal(sweep_records_decode(&back, 1, &count, text.data, text.size, &error), 0);
    assert_string_equal(back.state, "paused");
    assert_int_equal(back.by_state[RUN_CANCELLED], 6);

    SubmitRecord submitted = {.sweep_id = 1,
                              .name = "a",
                              .runs = 5,
                              .added = 4,
                              .shared = 1,
                              .removed = 2,
                              .elsewhere = 3,
                              .elsewhere_directory = "/a",
                              .directory = "/b"},
                 read;
    buffer_clear(&text);
    submit_record_encode(&submitted, &text);
    assert_int_equal(submit_record_decode(&read, text.data, text.size, &error), 0);
    assert_int_equal(read.removed, 2);
    assert_int_equal(read.elsewhere, 3);
    assert_string_equal(read.elsewhere_directory, "/a");
    assert_string_equal(read.directory, "/b");
    buffer_deinit(&text);
}

static void test_run_detail(void **state) {
    (void)state;
    AttemptRecord attempts[2] = {{.id = 1, .outcome = OUTCOME_LOST, .environment = example_environment()},
                                 {.id = 2, .outcome = OUTCOME_OK}};
    Point points[2] = {example_point(1), example_point(2)};
    EventRecord event = {.id = 5, .time = 1.5, .kind = "lease_expired", .run_id = 1, .attempt_id = 2, .detail = "the lease \"ran\" out"};
    RunDetail sent = {example_run_record(1), example_run(), attempts, 2, points, 2, &event, 1}, got;
    Buffer text;
    Error error = {0};
    buffer_init(&text, WIRE_BODY_MAX);
    run_detail_encode(&sent, &text);
    assert_int_equal(run_detail_decode(&got, text.data, text.size, &error), 0);
    assert_int_equal(got.attempt_count, 2);
    assert_int_equal(got.attempts[0].outcome, OUTCOME_LOST);
    assert_int_equal(got.point_count, 2);
    assert_points_equal(&got.points[1], &points[1]);
    assert_runs_equal(&got.spec, &sent.spec);
    assert_int_equal(got.event_count, 1);
    assert_true(got.events[0].id == 5 && got.events[0].time == 1.5 && got.events[0].attempt_id == 2);
    assert_string_equal(got.events[0].kind, event.kind);
    assert_string_equal(got.events[0].detail, event.detail);
    run_detail_deinit(&got);
    buffer_deinit(&text);
}

static void test_requests(void **state) {
    (void)state;
    Error error = {0};
    Buffer text;
    buffer_init(&text, WIRE_BODY_MAX);
    SubmitRequest *sent = calloc(2, sizeof *sent), *got = sent + 1;
    strcpy(sent->path, "a b.yaml");
    memset(sent->text, '\n', SWEEP_FILE_MAX);
    submit_request_encode(sent, &text);
    assert_int_equal(submit_request_decode(got, text.data, text.size, &error), 0);
    assert_string_equal(got->path, sent->path);
    assert_string_equal(got->text, sent->text);
    free(sent);

    static const char fit[] = "{\"a\":[0.1,-1e+300,7,true,false,null,{}],\"b \\\"\":\"x\\n\"}";
    FitRequest request;
    buffer_clear(&text);
    buffer_printf(&text, "{\"method\":\"parametric\",\"fit\":%s}", fit);
    assert_int_equal(fit_request_decode(&request, text.data, text.size, &error), 0);
    assert_string_equal(request.method, "parametric");
    assert_string_equal(request.fit.data, fit);
    fit_request_deinit(&request);

    StatusRecord status = {.version = "1", .home = "/h", .pid = 3, .workers_alive = 2, .stopping = true, .problem = "none \"here\""}, back;
    buffer_clear(&text);
    status_record_encode(&status, &text);
    assert_int_equal(status_record_decode(&back, text.data, text.size, &error), 0);
    assert_string_equal(back.problem, status.problem);
    assert_true(back.stopping && back.pid == 3 && back.workers_alive == 2);
    buffer_deinit(&text);
}

/* Text that was cut inside a character still makes JSON that can be read. */
static void test_broken_text(void **state) {
    (void)state;
    Buffer text;
    Error error = {0};
    LeaseRequest sent = {.worker = "a\xc3\xa9\xff\xe2\x82", .runs_max = 1}, got;
    buffer_init(&text, WIRE_BODY_MAX);
    lease_request_encode(&sent, &text);
    assert_int_equal(lease_request_decode(&got, text.data, text.size, &error), 0);
    assert_string_equal(got.worker, "a\xc3\xa9???");
    buffer_deinit(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lease_request),  cmocka_unit_test(test_lease),       cmocka_unit_test(test_reports),
        cmocka_unit_test(test_report_answers), cmocka_unit_test(test_records),     cmocka_unit_test(test_run_detail),
        cmocka_unit_test(test_requests),       cmocka_unit_test(test_broken_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
