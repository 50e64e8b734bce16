/* What the daemon answers: sweeps, leases, reports, and requests that are wrong. */

#include "harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const no_workers[] = {"--workers", "0", NULL};

static int set_up(void **state) {
    Harness *harness = calloc(1, sizeof *harness);
    harness_init(harness);
    harness_start(harness, no_workers);
    *state = harness;
    return 0;
}

static int tear_down(void **state) {
    Harness *harness = *state;
    int status = harness->pid > 0 ? harness_end(harness, SIGTERM) : 0;
    harness_deinit(harness);
    free(harness);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static void test_status(void **state) {
    Harness *harness = *state;
    StatusRecord record;
    harness_expect(harness, "/v1/status", NULL, 200);
    assert_int_equal(status_record_decode(&record, harness->answer.data, harness->answer.size, &harness->error), 0);
    assert_int_equal(record.pid, harness->pid);
    assert_string_equal(record.home, harness->home);
    assert_int_equal(record.workers_capacity, 0);
    struct stat status;
    assert_int_equal(stat(harness->socket_path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void test_submit(void **state) {
    Harness *harness = *state;
    SubmitRecord record;
    for (int64_t time = 0; time < 2; time++) {
        harness_submit(harness, harness_sweep, 200);
        assert_int_equal(submit_record_decode(&record, harness->answer.data, harness->answer.size, &harness->error), 0);
        assert_int_equal(record.runs, 4);
        assert_int_equal(record.added, time == 0 ? 4 : 0);
        assert_int_equal(record.shared, time == 0 ? 0 : 4);
    }
    harness_expect(harness, "/v1/sweeps", NULL, 200);
    assert_true(harness_answer_has(harness, "\"schema_version\":1") && harness_answer_has(harness, "\"name\":\"tiny\""));
    harness_expect(harness, "/v1/sweeps/tiny/file", NULL, 200);
    assert_string_equal(harness->answer.data, harness_sweep);
    harness_submit(harness, "version: 1\nname: x\nwrong: 1\n", 400);
    assert_true(harness_answer_has(harness, "tiny.yaml:3:"));
}

static void test_bad_requests(void **state) {
    Harness *harness = *state;
    harness_expect(harness, "/v1/nothing", NULL, 404);
    harness_expect(harness, "/v1/sweeps/none", NULL, 404);
    harness_expect(harness, "/v1/runs/1", NULL, 404);
    harness_expect(harness, "/v1/leases", NULL, 405);
    harness_expect(harness, "/v1/sweeps", "{", 400);
    harness_expect(harness, "/v1/sweeps", "{\"path\":\"x\",\"text\":5}", 400);
    assert_true(harness_answer_has(harness, "\"field\":\"text\""));
    harness_expect(harness, "/v1/leases", "{\"environment\":{}}", 400);
    assert_true(harness_answer_has(harness, "\"field\":\"environment.host\""));
    harness_expect(harness, "/v1/runs?limit=1001", NULL, 400);
    assert_true(harness_answer_has(harness, "\"field\":\"limit\""));
    harness_expect(harness, "/v1/runs?state=lost", NULL, 400);
    harness_expect(harness, "/v1/runs?sweep=none", NULL, 404);
    harness_expect(harness, "/v1/sweeps", "{\"path\":\"a\\u001b[2Jb\",\"text\":\"x\"}", 400);
    assert_true(harness_answer_has(harness, "\"field\":\"path\"") && !harness_answer_has(harness, "[2J"));
    static const char *const wrong[] = {"x", "%201", "+1", "-1", "1x", "9223372036854775808", "99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char path[128];
        snprintf(path, sizeof path, "/v1/runs?after=%s", wrong[i]);
        harness_expect(harness, path, NULL, 400);
    }
    harness_expect(harness, "/v1/reports", "{}", 400);
    assert_true(harness_answer_has(harness, "\"field\":\"reports\""));
}

static void test_run_pages(void **state) {
    Harness *harness = *state;
    RunRecord records[4];
    size_t count;
    int64_t next;
    harness_submit(harness, harness_sweep, 200);
    harness_expect(harness, "/v1/runs?sweep=tiny&limit=3", NULL, 200);
    assert_int_equal(run_records_decode(records, 4, &count, &next, harness->answer.data, harness->answer.size, &harness->error), 0);
    assert_int_equal(count, 3);
    assert_true(next > 0);
    char path[64];
    snprintf(path, sizeof path, "/v1/runs?sweep=tiny&limit=3&after=%lld", (long long)next);
    harness_expect(harness, path, NULL, 200);
    assert_int_equal(run_records_decode(records, 4, &count, &next, harness->answer.data, harness->answer.size, &harness->error), 0);
    assert_int_equal(count, 1);
    assert_int_equal(next, 0);
}

static void expect_one_done(Harness *harness, const Lease *lease) {
    RunDetail detail;
    char path[128];
    snprintf(path, sizeof path, "/v1/runs/%s", lease->key);
    harness_expect(harness, path, NULL, 200);
    assert_int_equal(run_detail_decode(&detail, harness->answer.data, harness->answer.size, &harness->error), 0);
    assert_int_equal(detail.record.state, RUN_DONE);
    assert_int_equal(detail.attempt_count, 1);
    assert_int_equal(detail.attempts[0].outcome, OUTCOME_OK);
    assert_int_equal(detail.point_count, 2);
    assert_true(point_metric(&detail.points[1], "test_error") == 0.25);
    assert_int_equal(detail.spec.model.width, lease->run.model.width);
    run_detail_deinit(&detail);
}

/* Every report may come twice. */
static void test_lease_to_result(void **state) {
    Harness *harness = *state;
    Lease lease;
    Directive directive;
    int64_t by_state[RUN_STATES];
    assert_true(harness_lease_none(harness, ""));
    harness_submit(harness, harness_sweep, 200);
    harness_lease(harness, "hand-1", &lease);
    assert_int_equal(lease.run.model.width, 16);
    for (int time = 0; time < 2; time++) {
        Report *report = harness_report(harness, &lease, REPORT_POINTS);
        harness_point(report, 5, 0.5);
        assert_int_equal(harness_send(harness, report, &directive), 200);
        assert_int_equal(directive, DIRECTIVE_CONTINUE);
    }
    assert_int_equal(harness_send(harness, harness_report(harness, &lease, REPORT_HEARTBEAT), &directive), 200);
    harness_run_states(harness, by_state);
    assert_int_equal(by_state[RUN_RUNNING], 1);
    for (int time = 0; time < 2; time++) {
        Report *report = harness_report(harness, &lease, REPORT_RESULT);
        harness_point(report, 20, 0.25);
        assert_int_equal(harness_send(harness, report, &directive), 200);
    }
    harness_run_states(harness, by_state);
    assert_true(by_state[RUN_DONE] == 1 && by_state[RUN_PENDING] == 3 && by_state[RUN_RUNNING] == 0);
    expect_one_done(harness, &lease);
}

static void test_reports_past_the_plan(void **state) {
    Harness *harness = *state;
    Lease lease;
    harness_submit(harness, harness_sweep, 200);
    harness_lease(harness, "hand-1", &lease);
    Report *report = harness_report(harness, &lease, REPORT_POINTS);
    harness_point(report, (int64_t)1 << 62, 0.25);
    report->step = 0;
    report->flops = 0;
    assert_int_equal(harness_send(harness, report, NULL), 400);
    assert_true(harness_answer_has(harness, "\"message\":\"points[0].step: "));
    assert_int_equal(harness_send(harness, harness_report(harness, &lease, REPORT_RESULT), NULL), 400);
    assert_true(harness_answer_has(harness, "\"message\":\"points: "));
}

static void test_stale_token(void **state) {
    Harness *harness = *state;
    Lease lease;
    Directive directive;
    harness_submit(harness, harness_sweep, 200);
    harness_lease(harness, "hand-1", &lease);
    Report *report = harness_report(harness, &lease, REPORT_RESULT);
    report->token[0] = report->token[0] == 'a' ? 'b' : 'a';
    assert_int_equal(harness_send(harness, report, &directive), 409);
    assert_int_equal(directive, DIRECTIVE_DROP);
    char path[64];
    snprintf(path, sizeof path, "/v1/runs/%lld", (long long)lease.run_id);
    harness_expect(harness, path, NULL, 200);
    assert_true(harness_answer_has(harness, "\"kind\":\"stale_message\"") && harness_answer_has(harness, "\"detail\":\"wrong token\""));
    report = harness_report(harness, &lease, REPORT_HEARTBEAT);
    report->attempt_id = 1000;
    assert_int_equal(harness_send(harness, report, &directive), 404);
    assert_int_equal(directive, DIRECTIVE_DROP);
    /* A worker that asks again has given up the first lease. */
    Lease second;
    harness_lease(harness, "hand-1", &second);
    assert_int_equal(harness_send(harness, harness_report(harness, &lease, REPORT_HEARTBEAT), &directive), 409);
    assert_int_equal(harness_send(harness, harness_report(harness, &second, REPORT_HEARTBEAT), &directive), 200);
}

/* Workers that an earlier daemon started finish what they have and get nothing more. */
static void test_orphan_leaves(void **state) {
    Harness *harness = *state;
    harness_submit(harness, harness_sweep, 200);
    assert_true(harness_lease_none(harness, "local-1-1"));
}

static void test_cancel_pause_retry(void **state) {
    Harness *harness = *state;
    Lease lease;
    Directive directive;
    int64_t by_state[RUN_STATES];
    harness_submit(harness, harness_sweep, 200);
    harness_lease(harness, "hand-1", &lease);
    harness_expect(harness, "/v1/sweeps/tiny/pause", "", 200);
    assert_false(harness_lease_none(harness, "hand-2"));
    harness_expect(harness, "/v1/sweeps/tiny/resume", "", 200);
    harness_expect(harness, "/v1/sweeps/tiny/cancel", "{}", 200);
    assert_true(harness_answer_has(harness, "{\"changed\":"));
    assert_int_equal(harness_send(harness, harness_report(harness, &lease, REPORT_HEARTBEAT), &directive), 200);
    assert_int_equal(directive, DIRECTIVE_DROP);
    harness_run_states(harness, by_state);
    assert_int_equal(by_state[RUN_CANCELLED], 4);
    harness_expect(harness, "/v1/sweeps/tiny/retry", "", 409);
    harness_submit(harness, harness_sweep, 200);
    harness_run_states(harness, by_state);
    assert_int_equal(by_state[RUN_PENDING], 4);
    char path[64];
    snprintf(path, sizeof path, "/v1/runs/%lld/cancel", (long long)lease.run_id);
    harness_expect(harness, path, "", 200);
    harness_expect(harness, "/v1/sweeps/tiny/retry", "", 200);
    assert_true(harness_answer_has(harness, "{\"changed\":1}"));
}

/* A daemon that others use goes on. */
static void test_shutdown_for_one_sweep(void **state) {
    Harness *harness = *state;
    Lease lease;
    Directive directive;
    harness_submit(harness, harness_sweep, 200);
    harness_expect(harness, "/v1/shutdown", "{\"sweep\":5}", 400);
    harness_expect(harness, "/v1/shutdown", "{\"name\":\"tiny\"}", 400);
    harness_expect(harness, "/v1/shutdown", "{\"sweep\":\"other\"}", 200);
    assert_string_equal(harness->answer.data, "{\"stopping\":false}");
    harness_lease(harness, "hand-1", &lease);
    harness_expect(harness, "/v1/sweeps/tiny/pause", "", 200);
    harness_expect(harness, "/v1/shutdown", "{\"sweep\":\"other\"}", 200); /* one is running */
    assert_string_equal(harness->answer.data, "{\"stopping\":false}");
    Report *report = harness_report(harness, &lease, REPORT_RESULT);
    report->outcome = OUTCOME_PREEMPTED;
    assert_int_equal(harness_send(harness, report, &directive), 200);
    harness_expect(harness, "/v1/shutdown", "{\"sweep\":\"other\"}", 200); /* the rest is paused */
    assert_string_equal(harness->answer.data, "{\"stopping\":true}");
    int status = harness_end(harness, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_shutdown_for_the_only_sweep(void **state) {
    Harness *harness = *state;
    harness_submit(harness, harness_sweep, 200);
    harness_expect(harness, "/v1/shutdown", "{\"sweep\":\"tiny\"}", 200);
    assert_string_equal(harness->answer.data, "{\"stopping\":true}");
    int status = harness_end(harness, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_leaves_when_idle(void **state) {
    Harness *harness = *state;
    harness_submit(harness, harness_sweep, 200);
    harness_expect(harness, "/v1/shutdown", "{\"sweep\":\"other\"}", 200);
    harness_expect(harness, "/v1/sweeps/tiny/cancel", "", 200);
    int status = harness_end(harness, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_fits_and_logs(void **state) {
    Harness *harness = *state;
    harness_submit(harness, harness_sweep, 200);
    harness_expect(harness, "/v1/sweeps/tiny/fits?method=parametric", NULL, 404);
    harness_expect(harness, "/v1/sweeps/tiny/fits", "{\"method\":\"parametric\",\"fit\":{\"alpha\":0.1}}", 200);
    harness_expect(harness, "/v1/sweeps/tiny/fits?method=parametric", NULL, 200);
    assert_string_equal(harness->answer.data, "{\"alpha\":0.1}");
    harness_expect(harness, "/v1/sweeps/tiny/fits", NULL, 400);
    harness_expect(harness, "/v1/sweeps/tiny/fits", "{\"method\":\"../x\",\"fit\":{}}", 400);
    Lease lease;
    char path[PATH_TEXT_MAX];
    harness_lease(harness, "hand-1", &lease);
    snprintf(path, sizeof path, "/v1/runs/%lld/log?bytes=4", (long long)lease.run_id);
    harness_expect(harness, path, NULL, 404);
    char directory[PATH_TEXT_MAX], file[PATH_TEXT_MAX];
    assert_int_equal(path_format(directory, &harness->error, "%s/runs/%.2s/%s", harness->home, lease.key, lease.key), 0);
    assert_int_equal(directory_make(directory, 0700, &harness->error), 0);
    assert_int_equal(path_format(file, &harness->error, "%s/log", directory), 0);
    assert_int_equal(file_write_atomic(file, "0123456789", 10, 0600, &harness->error), 0);
    harness_expect(harness, path, NULL, 200);
    assert_string_equal(harness->answer.data, "6789");
    text_copy(strchr(path, '?'), 20, "?bytes=4&from=5");
    harness_expect(harness, path, NULL, 200);
    assert_string_equal(harness->answer.data, "5678");
    text_copy(strchr(path, '?'), 20, "?from=-1");
    harness_expect(harness, path, NULL, 400);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_status, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_submit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_requests, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_run_pages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lease_to_result, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reports_past_the_plan, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stale_token, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_orphan_leaves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cancel_pause_retry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_shutdown_for_one_sweep, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_shutdown_for_the_only_sweep, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_leaves_when_idle, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fits_and_logs, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
