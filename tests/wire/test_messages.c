/* Every message comes back as it went, at the ends of its ranges too; a message that is wrong names its field; and whatever
 * bytes arrive, a decoder says yes or no. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sweepd/wire.h"

static Run example_run(void) {
    Run run = {
        .model = {.kind = MODEL_BMLP, .inputs = 784, .classes = 10, .depth = 2, .width = 64, .expansion = 4},
        .data_name = "fashion-mnist",
        .data_digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        .validation = 5000,
        .subset_seed = 3,
        .examples = 500,
        .seed = 7,
        .epochs = 20,
        .batch = 128,
        .evaluations = 8,
        .schedule = {.kind = SCHEDULE_COSINE, .warmup = 0.05},
        .label_smoothing = 0.1,
    };
    optimizer_settings_default(OPTIMIZER_LION, &run.optimizer);
    run.optimizer.lr = 0.1 + 0.2;
    run.optimizer.weight_decay = 0.1;
    return run;
}

static Environment example_environment(void) {
    Environment environment = {.pid = INT64_MAX, .threads = 2};
    memset(environment.host, 'h', sizeof environment.host - 1);
    strcpy(environment.cpu, "quote \" backslash \\ newline \n tab \t \x01 caf\xc3\xa9");
    strcpy(environment.version, "0.1.0 (1a2b3c4+)");
    strcpy(environment.backend, "openblas 0.3.21");
    return environment;
}

static Point example_point(int64_t step) {
    Point point = {.step = step, .examples = DBL_MAX, .flops = DBL_MIN, .seconds = 4.9e-324};
    point_set_metric(&point, "test_error", 0.1);
    point_set_metric(&point, "train_loss", -DBL_MAX);
    point_set_metric(&point, "validation_loss", NAN);
    return point;
}

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

static Report *example_report(ReportKind kind, size_t points) {
    Report *report = calloc(1, sizeof *report);
    report->kind = kind;
    report->attempt_id = 12;
    strcpy(report->token, "f00d");
    report->sequence = INT64_MAX;
    report->step = 17;
    report->flops = 1e300;
    if (kind != REPORT_HEARTBEAT)
        for (report->point_count = 0; report->point_count < points; report->point_count++)
            report->points[report->point_count] = example_point((int64_t)report->point_count);
    if (kind == REPORT_RESULT) {
        report->outcome = OUTCOME_OK;
        report->state = RUN_DIVERGED;
        memset(report->detail, 'd', sizeof report->detail - 1);
        report->environment = example_environment();
    }
    return report;
}

static void test_lease_request(void **state) {
    (void)state;
    LeaseRequest sent = {.environment = example_environment(), .worker = "local-1-1"}, got;
    Buffer text;
    Error error = {{0}};
    buffer_init(&text, WIRE_BODY_MAX);
    lease_request_encode(&sent, &text);
    assert_int_equal(lease_request_decode(&got, text.data, text.size, &error), 0);
    assert_string_equal(got.worker, sent.worker);
    assert_environments_equal(&got.environment, &sent.environment);
    buffer_deinit(&text);
}

static void test_lease(void **state) {
    (void)state;
    Lease sent = {.granted = true,
                  .attempt_id = INT64_MAX,
                  .run_id = 1,
                  .attempt_number = 2,
                  .token = "cafe",
                  .run = example_run(),
                  .heartbeat_seconds = 5,
                  .expires_seconds = 60};
    Lease got;
    Error error = {{0}};
    memset(sent.directory, 'x', sizeof sent.directory - 1);
    assert_int_equal(run_key(&sent.run, sent.key, &error), 0);
    Buffer text;
    buffer_init(&text, WIRE_BODY_MAX);
    lease_encode(&sent, &text);
    assert_int_equal(buffer_check(&text, &error, "lease"), 0);
    int result = lease_decode(&got, text.data, text.size, &error);
    if (result != 0)
        fail_msg("%s", error.text);
    assert_true(got.granted);
    assert_int_equal(got.attempt_id, sent.attempt_id);
    assert_string_equal(got.key, sent.key);
    assert_string_equal(got.directory, sent.directory);
    assert_runs_equal(&got.run, &sent.run);
    buffer_clear(&text);
    lease_encode(&(Lease){.leave = true, .retry_seconds = 0.25}, &text);
    assert_int_equal(lease_decode(&got, text.data, text.size, &error), 0);
    assert_true(!got.granted && got.leave && got.retry_seconds == 0.25);
    buffer_deinit(&text);
}

static void test_report(void **state) {
    (void)state;
    Error error = {{0}};
    Buffer text;
    buffer_init(&text, WIRE_BODY_MAX);
    for (int kind = REPORT_HEARTBEAT; kind <= REPORT_RESULT; kind++) {
        Report *sent = example_report((ReportKind)kind, WIRE_POINTS_MAX);
        Report *got = calloc(1, sizeof *got);
        got->kind = sent->kind;
        got->attempt_id = sent->attempt_id;
        buffer_clear(&text);
        report_encode(sent, &text);
        int result = report_decode(got, text.data, text.size, &error);
        if (result != 0)
            fail_msg("%s", error.text);
        assert_int_equal(got->kind, sent->kind);
        assert_int_equal(got->attempt_id, sent->attempt_id);
        assert_int_equal(got->sequence, sent->sequence);
        assert_string_equal(got->token, sent->token);
        assert_int_equal(got->point_count, sent->point_count);
        for (size_t i = 0; i < sent->point_count; i++)
            assert_points_equal(&sent->points[i], &got->points[i]);
        assert_int_equal(got->outcome, sent->outcome);
        assert_int_equal(got->state, sent->state);
        assert_string_equal(got->detail, sent->detail);
        assert_environments_equal(&got->environment, &sent->environment);
        free(sent);
        free(got);
    }
    buffer_clear(&text);
    report_answer_encode(&(ReportAnswer){DIRECTIVE_DROP, 60}, &text);
    ReportAnswer answer;
    assert_int_equal(report_answer_decode(&answer, text.data, text.size, &error), 0);
    assert_int_equal(answer.directive, DIRECTIVE_DROP);
    assert_true(answer.expires_seconds == 60);
    buffer_deinit(&text);
}

static RunRecord example_run_record(int64_t id) {
    RunRecord record = {.id = id,
                        .key = "0123456789abcdef",
                        .state = RUN_DONE,
                        .attempts = 3,
                        .model = "B_6-Wi_256",
                        .params = INT64_MAX,
                        .seed = UINT64_MAX,
                        .lr = 2e-3,
                        .flops = {1e18, 2e18, DBL_MAX, 0.5},
                        .has_point = id % 2 == 1,
                        .detail = "signal 9 (Killed)"};
    if (record.has_point)
        record.last = example_point(id);
    return record;
}

static void test_records(void **state) {
    (void)state;
    Error error = {{0}};
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

    SubmitRecord submitted = {.sweep_id = 1, .name = "a", .runs = 5, .added = 4, .shared = 1, .removed = 2}, read;
    buffer_clear(&text);
    submit_record_encode(&submitted, &text);
    assert_int_equal(submit_record_decode(&read, text.data, text.size, &error), 0);
    assert_int_equal(read.removed, 2);
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
    Error error = {{0}};
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
    Error error = {{0}};
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
    Error error = {{0}};
    LeaseRequest sent = {.worker = "a\xc3\xa9\xff\xe2\x82"}, got;
    buffer_init(&text, WIRE_BODY_MAX);
    lease_request_encode(&sent, &text);
    assert_int_equal(lease_request_decode(&got, text.data, text.size, &error), 0);
    assert_string_equal(got.worker, "a\xc3\xa9???");
    buffer_deinit(&text);
}

static void expect_invalid(const char *json, const char *field) {
    Report *report = calloc(1, sizeof *report);
    report->kind = REPORT_RESULT;
    Error error = {{0}};
    assert_int_equal(report_decode(report, json, strlen(json), &error), WIRE_INVALID);
    if (strncmp(error.text, field, strlen(field)) != 0)
        fail_msg("%s: does not begin with %s", error.text, field);
    free(report);
}

#define COMMON "\"token\":\"a\",\"sequence\":1,\"step\":1,\"flops\":1"
#define ENVIRONMENT                                                                                                                        \
    "\"environment\":{\"host\":\"\",\"cpu\":\"\",\"version\":\"\",\"backend\":\"\",\"data_digest\":\"\",\"pid\":1,\"threads\":1}"

static void test_errors_name_fields(void **state) {
    (void)state;
    expect_invalid("", "body:");
    expect_invalid("[]", "body:");
    expect_invalid("{", "body:");
    expect_invalid("{\"token\":\"a\",\"token\":\"a\"}", "body:");
    expect_invalid("{}", "token: missing");
    expect_invalid("{\"token\":5}", "token: must be text");
    expect_invalid("{\"token\":\"a\",\"sequence\":0}", "sequence: must be at least 1");
    expect_invalid("{\"token\":\"a\",\"sequence\":1.5}", "sequence: must be an integer");
    expect_invalid("{\"token\":\"a\",\"sequence\":1,\"step\":\"x\"}", "step: must be a number");
    expect_invalid("{" COMMON ",\"points\":{}}", "points: must be a list");
    expect_invalid("{" COMMON ",\"points\":[{\"step\":-1}]}", "points[0].step: must be at least 0");
    expect_invalid("{" COMMON ",\"points\":[{\"step\":1,\"examples\":1,\"flops\":1,\"seconds\":1,\"metrics\":{\"a\":true}}]}",
                   "points[0].metrics.a: must be a number or null");
    expect_invalid("{" COMMON ",\"points\":[],\"outcome\":\"great\"}", "outcome: must be an outcome");
    expect_invalid("{" COMMON ",\"points\":[],\"outcome\":\"lost\",\"state\":\"done\",\"detail\":\"\"," ENVIRONMENT "}", "outcome:");
    expect_invalid("{" COMMON ",\"points\":[],\"outcome\":\"ok\",\"state\":\"pending\",\"detail\":\"\"," ENVIRONMENT "}", "state:");
    expect_invalid("{" COMMON ",\"points\":[],\"outcome\":\"ok\",\"state\":\"done\",\"detail\":\"\"," ENVIRONMENT ",\"more\":1}",
                   "more: unknown field");
}

static void mutate(char *text, size_t *size, Rng *rng) {
    static const char interesting[] = "{}[]\",:0-9eE.\\u\xff\x00tnf";
    for (uint64_t i = 0, changes = 1 + rng_below(rng, 4); i<changes && * size> 1; i++) {
        size_t at = (size_t)rng_below(rng, *size);
        switch (rng_below(rng, 3)) {
        case 0:
            text[at] = interesting[rng_below(rng, sizeof interesting)];
            break;
        case 1:
            *size = at;
            break;
        default:
            memmove(text + at, text + at + 1, *size - at - 1);
            (*size)--;
        }
    }
}

static int decode_any(size_t which, const char *text, size_t size, Error *error) {
    static Report report;
    static Lease lease;
    static LeaseRequest request;
    static RunRecord records[4];
    static RunDetail detail;
    size_t count;
    int64_t next;
    int result = 0;
    switch (which) {
    case 0:
        report.kind = REPORT_RESULT;
        return report_decode(&report, text, size, error);
    case 1:
        return lease_decode(&lease, text, size, error);
    case 2:
        return lease_request_decode(&request, text, size, error);
    case 3:
        return run_records_decode(records, 4, &count, &next, text, size, error);
    default:
        result = run_detail_decode(&detail, text, size, error);
        if (result == 0)
            run_detail_deinit(&detail);
        return result;
    }
}

static void encode_any(size_t which, Buffer *out) {
    Report *report = example_report(REPORT_RESULT, 2);
    RunRecord records[2] = {example_run_record(1), example_run_record(2)};
    Lease lease = {.granted = true, .run = example_run(), .directory = "/tmp"};
    LeaseRequest request = {.environment = example_environment()};
    AttemptRecord attempt = {.id = 1};
    Point point = example_point(1);
    RunDetail detail = {records[0], example_run(), &attempt, 1, &point, 1, NULL, 0};
    switch (which) {
    case 0:
        report_encode(report, out);
        break;
    case 1:
        lease_encode(&lease, out);
        break;
    case 2:
        lease_request_encode(&request, out);
        break;
    case 3:
        run_records_encode(records, 2, 0, out);
        break;
    default:
        run_detail_encode(&detail, out);
    }
    free(report);
}

/* The copy is exactly as long as what is decoded, so that the address sanitizer sees a byte read too far. */
static void test_mutations(void **state) {
    (void)state;
    Rng rng;
    rng_init(&rng, 1, 0);
    for (size_t which = 0; which < 5; which++) {
        Buffer text;
        buffer_init(&text, WIRE_BODY_MAX);
        encode_any(which, &text);
        assert_false(text.failed);
        int refused = 0;
        for (int round = 0; round < 1000; round++) {
            size_t size = text.size;
            char *copy = malloc(size);
            memcpy(copy, text.data, size);
            mutate(copy, &size, &rng);
            char *exact = malloc(size);
            memcpy(exact, copy, size);
            Error error = {{0}};
            int result = decode_any(which, exact, size, &error);
            assert_true(result == 0 || result == WIRE_INVALID);
            assert_true(result == 0 || error.text[0] != '\0');
            refused += result != 0;
            free(copy);
            free(exact);
        }
        assert_true(refused > 100);
        buffer_deinit(&text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lease_request), cmocka_unit_test(test_lease),
        cmocka_unit_test(test_report),        cmocka_unit_test(test_records),
        cmocka_unit_test(test_run_detail),    cmocka_unit_test(test_requests),
        cmocka_unit_test(test_broken_text),   cmocka_unit_test(test_errors_name_fields),
        cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
