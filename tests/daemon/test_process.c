/* The daemon as a process: killed and started again, stopped, started twice, with workers that do not work. */

#include "harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *const no_workers[] = {"--workers", "0", NULL};

static int set_up(void **state) {
    Harness *harness = calloc(1, sizeof *harness);
    harness_init(harness);
    *state = harness;
    return 0;
}

static int tear_down(void **state) {
    harness_deinit(*state);
    free(*state);
    unsetenv("SWEEPD_BIN_DIR");
    return 0;
}

/* A lease and what was acknowledged outlive the daemon; the worker goes on where it was. */
static void test_killed_and_started_again(void **state) {
    Harness *harness = *state;
    Lease first, second;
    Directive directive;
    int64_t by_state[RUN_STATES];
    harness_start(harness, no_workers);
    harness_submit(harness, harness_sweep, 200);
    harness_lease(harness, "hand-1", &first);
    Report *report = harness_report(harness, &first, REPORT_RESULT);
    harness_point(report, 20, 0.25);
    assert_int_equal(harness_send(harness, report, &directive), 200);
    harness_lease(harness, "hand-1", &second);
    harness_end(harness, SIGKILL);
    harness_start(harness, no_workers);
    harness_run_states(harness, by_state);
    assert_true(by_state[RUN_DONE] == 1 && by_state[RUN_RUNNING] == 1 && by_state[RUN_PENDING] == 2);
    assert_int_equal(harness_send(harness, harness_report(harness, &second, REPORT_HEARTBEAT), &directive), 200);
    assert_int_equal(directive, DIRECTIVE_CONTINUE);
    report = harness_report(harness, &second, REPORT_RESULT);
    harness_point(report, 10, 0.3);
    assert_int_equal(harness_send(harness, report, &directive), 200);
    harness_run_states(harness, by_state);
    assert_true(by_state[RUN_DONE] == 2 && by_state[RUN_RUNNING] == 0);
}

/* Stores fits that count up until one is refused; returns the last that was acknowledged. */
static int store_until_full(Harness *harness) {
    char body[256];
    int number = 0;
    do
        snprintf(body, sizeof body, "{\"method\":\"parametric\",\"fit\":{\"n\":%d,\"pad\":\"%0100d\"}}", number + 1, 0);
    while (harness_call(harness, "/v1/sweeps/tiny/fits", body) == 200 && ++number < 4000);
    return number;
}

/* When the disk is full, what was acknowledged is kept and what was not is not. */
static void test_full_disk(void **state) {
    Harness *harness = *state;
    char expected[32];
    harness->file_limit = 600000;
    harness_start(harness, no_workers);
    harness_submit(harness, harness_sweep, 200);
    int acknowledged = store_until_full(harness);
    assert_in_range(acknowledged, 1, 3999);
    assert_int_equal(harness->status, 503);
    harness_expect(harness, "/v1/health", NULL, 200);
    harness_expect(harness, "/v1/status", NULL, 200);
    assert_false(harness_answer_has(harness, "\"problem\":\"\""));
    harness_end(harness, SIGKILL);
    harness->file_limit = 0;
    harness_start(harness, no_workers);
    harness_expect(harness, "/v1/sweeps/tiny/fits?method=parametric", NULL, 200);
    snprintf(expected, sizeof expected, "{\"n\":%d,", acknowledged);
    assert_true(harness_answer_has(harness, expected));
}

static void test_stops(void **state) {
    Harness *harness = *state;
    char pid_path[128];
    snprintf(pid_path, sizeof pid_path, "%s/sweepd.pid", harness->home);
    harness_start(harness, no_workers);
    assert_true(file_exists(pid_path));
    int status = harness_end(harness, SIGTERM);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_false(file_exists(harness->socket_path));
    assert_false(file_exists(pid_path));
    harness_start(harness, no_workers);
    harness_expect(harness, "/v1/shutdown", "{}", 200);
    status = harness_end(harness, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int run_sweepd(const char *const arguments[]) {
    pid_t pid = fork();
    if (pid == 0) {
        if (freopen("/dev/null", "w", stderr) == NULL || freopen("/dev/null", "w", stdout) == NULL)
            _exit(126);
        execv(getenv("SWEEPD"), (char *const *)arguments);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_second_daemon_is_refused(void **state) {
    Harness *harness = *state;
    harness_start(harness, no_workers);
    assert_int_equal(run_sweepd((const char *[]){"sweepd", "--home", harness->home, "--workers", "0", NULL}), 1);
    harness_expect(harness, "/v1/health", NULL, 200);
}

static void test_usage(void **state) {
    Harness *harness = *state;
    assert_int_equal(run_sweepd((const char *[]){"sweepd", "--help", NULL}), 0);
    assert_int_equal(run_sweepd((const char *[]){"sweepd", "--version", NULL}), 0);
    assert_int_equal(run_sweepd((const char *[]){"sweepd", "--nothing", NULL}), 2);
    assert_int_equal(run_sweepd((const char *[]){"sweepd", "--workers", NULL}), 2);
    assert_int_equal(run_sweepd((const char *[]){"sweepd", "--workers", "-1", NULL}), 2);
    assert_int_equal(run_sweepd((const char *[]){"sweepd", "--lease-seconds", "5", NULL}), 2);
    assert_int_equal(run_sweepd((const char *[]){"sweepd", "--listen", "127.0.0.1:0", NULL}), 2);
    assert_int_equal(
        run_sweepd((const char *[]){"sweepd", "--home", harness->home, "--listen", "nowhere", "--token-file", "/dev/null", NULL}), 2);
    assert_int_equal(run_sweepd((const char *[]){"sweepd", "extra", NULL}), 2);
}

/* Whether the log of a daemon with a token file of this mode has a warning. */
static bool warns_of_token(Harness *harness, mode_t mode) {
    char token[128], log[128], wanted[512];
    Buffer text;
    snprintf(token, sizeof token, "%s/token", harness->home);
    snprintf(log, sizeof log, "%s/log", harness->home);
    assert_int_equal(file_write_atomic(token, "a-token-0123456789\n", 19, 0600, &harness->error), 0);
    assert_int_equal(chmod(token, mode), 0);
    unlink(log);
    harness_start(harness, (const char *[]){"--workers", "0", "--listen", "127.0.0.1:0", "--token-file", token, "--log", log, NULL});
    harness_end(harness, SIGTERM);
    buffer_init(&text, 1 << 16);
    assert_int_equal(file_read(log, 1 << 16, &text, &harness->error), 0);
    snprintf(wanted, sizeof wanted, "warning %s: others on this machine may read the token; 'chmod 600 %s'", token, token);
    bool warns = strstr(text.data, "warning") != NULL;
    assert_true(warns == (strstr(text.data, wanted) != NULL));
    buffer_deinit(&text);
    return warns;
}

static void test_token_of_others(void **state) {
    assert_true(warns_of_token(*state, 0644));
    assert_false(warns_of_token(*state, 0640));
    assert_false(warns_of_token(*state, 0600));
}

static void test_detach(void **state) {
    Harness *harness = *state;
    assert_int_equal(run_sweepd((const char *[]){"sweepd", "--home", harness->home, "--workers", "0", "--detach", NULL}), 0);
    assert_int_equal(http_client_new(&harness->client, harness->socket_path, NULL, NULL, &harness->error), 0);
    harness_expect(harness, "/v1/health", NULL, 200);
    harness_expect(harness, "/v1/shutdown", "", 200);
    while (file_exists(harness->socket_path))
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    http_client_free(harness->client);
}

static void make_worker(Harness *harness, const char *script) {
    char path[128];
    setenv("SWEEPD_BIN_DIR", harness->home, 1);
    snprintf(path, sizeof path, "%s/sweep-worker", harness->home);
    assert_int_equal(file_write_atomic(path, script, strlen(script), 0700, &harness->error), 0);
}

static void wait_for(Harness *harness, const char *path, const char *text) {
    do {
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        harness_expect(harness, path, NULL, 200);
    } while (!harness_answer_has(harness, text));
}

/* The times, in seconds, that the workers have printed. */
static size_t read_times(const char *path, double *times, size_t capacity) {
    Buffer text;
    Error error;
    size_t count = 0;
    buffer_init(&text, 1 << 20);
    if (file_read(path, 1 << 20, &text, &error) == 0) {
        char *at = text.data, *end;
        while (count < capacity && (end = strchr(at, '\n')) != NULL) {
            times[count++] = strtod(at, NULL);
            at = end + 1;
        }
    }
    buffer_deinit(&text);
    return count;
}

/* Two are started at once, since two are wanted; each failure then doubles the pause: the third comes seconds later, however fast
 * or slow the machine is. */
static void test_workers_that_fail(void **state) {
    Harness *harness = *state;
    char log[128];
    double times[3];
    make_worker(harness, "#!/bin/sh\ndate +%s.%N\nexit 7\n");
    harness_start(harness, (const char *[]){"--workers", "2", NULL});
    harness_submit(harness, harness_sweep, 200);
    wait_for(harness, "/v1/status", "exit code 7");
    snprintf(log, sizeof log, "%s/workers.log", harness->home);
    while (read_times(log, times, 3) < 3)
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    assert_true(times[2] - times[0] >= 1);
    int64_t by_state[RUN_STATES];
    harness_run_states(harness, by_state);
    assert_int_equal(by_state[RUN_PENDING], 4);
}

static void make_file(Harness *harness, const char *name) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", harness->home, name);
    assert_int_equal(file_write_atomic(path, "", 0, 0600, &harness->error), 0);
}

/* Speaks for the fleet's worker of this number: it asks for a run, hands it back, and its process fails. */
static void fail_after_lease(Harness *harness, int number) {
    char name[64];
    Lease lease;
    snprintf(name, sizeof name, "local-%ld-%d", (long)harness->pid, number);
    wait_for(harness, "/v1/status", "\"workers_alive\":1");
    harness_lease(harness, name, &lease);
    Report *report = harness_report(harness, &lease, REPORT_RESULT);
    report->outcome = OUTCOME_PREEMPTED;
    strcpy(report->detail, "journal: No space left on device");
    assert_int_equal(harness_send(harness, report, NULL), 200);
    make_file(harness, name);
    wait_for(harness, "/v1/status", "\"workers_alive\":0");
}

/* A disk that cannot be written: the pause grows although each worker asks, no run is charged, and the reason stands until one gets on. */
static void test_workers_that_cannot_write(void **state) {
    Harness *harness = *state;
    Lease lease;
    char name[64], log[128];
    double times[3];
    make_worker(harness, "#!/bin/sh\ndate +%s.%N\nwhile [ -d \"$3\" ] && [ ! -e \"$3/$7\" ]; do sleep 0.02; done\nexit 1\n");
    harness_start(harness, (const char *[]){"--workers", "1", NULL});
    harness_submit(harness, harness_sweep, 200);
    for (int number = 1; number <= 2; number++) {
        fail_after_lease(harness, number);
        assert_true(harness_answer_has(harness, "No space left on device"));
    }
    wait_for(harness, "/v1/status", "\"workers_alive\":1");
    snprintf(log, sizeof log, "%s/workers.log", harness->home);
    while (read_times(log, times, 3) < 3)
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    assert_true(times[2] - times[1] >= 2);
    snprintf(name, sizeof name, "local-%ld-3", (long)harness->pid);
    harness_lease(harness, name, &lease);
    harness_expect(harness, "/v1/status", NULL, 200);
    assert_true(harness_answer_has(harness, "No space left on device"));
    harness_lease(harness, name, &lease); /* it has got through a run */
    harness_expect(harness, "/v1/status", NULL, 200);
    assert_true(harness_answer_has(harness, "\"problem\":\"\""));
    make_file(harness, name);
    int64_t by_state[RUN_STATES];
    harness_run_states(harness, by_state);
    assert_int_equal(by_state[RUN_FAILED], 0);
}

/* A worker that outlived its daemon takes a place until its run has ended. This process plays it. */
static void test_orphans_take_places(void **state) {
    Harness *harness = *state;
    Lease lease;
    StatusRecord record;
    make_worker(harness, "#!/bin/sh\nwhile [ -d \"$3\" ]; do sleep 0.05; done\n");
    harness->here = true;
    harness_start(harness, no_workers);
    harness_submit(harness, harness_sweep, 200);
    harness_lease_none(harness, "local-1-1");
    harness_lease(harness, "hand-1", &lease);
    harness_end(harness, SIGKILL);
    harness_start(harness, (const char *[]){"--workers", "1", NULL});
    harness_expect(harness, "/v1/status", NULL, 200);
    assert_int_equal(status_record_decode(&record, harness->answer.data, harness->answer.size, &harness->error), 0);
    assert_true(record.workers_alive == 0 && record.workers_capacity == 1 && record.pending == 3 && record.running == 1);
    Report *report = harness_report(harness, &lease, REPORT_RESULT);
    harness_point(report, 20, 0.25);
    assert_int_equal(harness_send(harness, report, NULL), 200);
    wait_for(harness, "/v1/status", "\"workers_alive\":1");
    harness_end(harness, SIGTERM);
}

/* A daemon that stood still does not hold its own silence against the workers. */
static void test_stopped_and_continued(void **state) {
    Harness *harness = *state;
    Lease lease;
    Directive directive;
    harness_start(harness, (const char *[]){"--workers", "0", "--lease-seconds", "4", "--heartbeat-seconds", "0.5", NULL});
    harness_submit(harness, harness_sweep, 200);
    harness_lease(harness, "hand-1", &lease);
    kill(harness->pid, SIGSTOP);
    nanosleep(&(struct timespec){.tv_sec = 5}, NULL);
    kill(harness->pid, SIGCONT);
    nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 200000000}, NULL); /* a turn */
    assert_int_equal(harness_send(harness, harness_report(harness, &lease, REPORT_HEARTBEAT), &directive), 200);
    assert_int_equal(directive, DIRECTIVE_CONTINUE);
}

/* Workers are asked to leave, and the daemon waits for them. */
static void test_workers_are_stopped(void **state) {
    Harness *harness = *state;
    char left[128];
    make_worker(harness,
                "#!/bin/sh\ntrap 'echo > \"$3/left\"; exit 0' TERM\n: > \"$3/started\"\nwhile [ -d \"$3\" ]; do sleep 0.05; done\n");
    harness_start(harness, (const char *[]){"--workers", "1", NULL});
    harness_submit(harness, harness_sweep, 200);
    snprintf(left, sizeof left, "%s/started", harness->home);
    while (!file_exists(left))
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    harness_expect(harness, "/v1/status", NULL, 200);
    assert_true(harness_answer_has(harness, "\"workers_alive\":1"));
    int status = harness_end(harness, SIGTERM);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    snprintf(left, sizeof left, "%s/left", harness->home);
    assert_true(file_exists(left));
}

static void await_file(const Harness *harness, const char *name) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", harness->home, name);
    while (!file_exists(path))
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

/* The pid that the worker's script has written. */
static pid_t read_pid(const Harness *harness) {
    char path[128];
    Buffer text;
    buffer_init(&text, 64);
    snprintf(path, sizeof path, "%s/pid", harness->home);
    while (text.size == 0 || text.data[text.size - 1] != '\n') {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        buffer_clear(&text);
        if (file_exists(path))
            assert_int_equal(file_read(path, 64, &text, NULL), 0);
    }
    pid_t pid = (pid_t)strtol(text.data, NULL, 10);
    buffer_deinit(&text);
    return pid;
}

/* Workers that a killed daemon left behind are stopped, and waited for, by the next one. Another process of their number is not: here the
 * test's own, which would die of it. */
static void test_orphans_are_stopped(void **state) {
    Harness *harness = *state;
    Lease lease;
    char name[64], left[128];
    make_worker(harness, "#!/bin/sh\ntrap 'sleep 0.5; echo > \"$3/left\"; exit 0' TERM\necho $$ > \"$3/pid\"\n"
                         "while [ -d \"$3\" ]; do sleep 0.05; done\n");
    harness_start(harness, (const char *[]){"--workers", "1", NULL});
    harness_submit(harness, harness_sweep, 200);
    harness->here = true;
    harness_lease(harness, "hand-1", &lease);
    harness->pid_of_worker = read_pid(harness);
    snprintf(name, sizeof name, "local-%ld-1", (long)harness->pid);
    harness_lease(harness, name, &lease);
    harness_end(harness, SIGKILL);
    harness_start(harness, no_workers);
    int status = harness_end(harness, SIGTERM);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    snprintf(left, sizeof left, "%s/left", harness->home);
    assert_true(file_exists(left));
}

static void test_no_sweep_for_a_daemon_that_stops(void **state) {
    Harness *harness = *state;
    make_worker(harness, "#!/bin/sh\ntrap '' TERM\n: > \"$3/started\"\nwhile [ -d \"$3\" ] && [ ! -e \"$3/go\" ]; do sleep 0.05; done\n");
    harness_start(harness, (const char *[]){"--workers", "1", NULL});
    harness_submit(harness, harness_sweep, 200);
    await_file(harness, "started");
    harness_expect(harness, "/v1/shutdown", "", 200);
    harness_submit(harness, harness_sweep, 503);
    assert_true(harness_answer_has(harness, "the daemon is stopping; try again"));
    make_file(harness, "go");
    int status = harness_end(harness, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_killed_and_started_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stops, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_second_daemon_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_usage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_token_of_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_detach, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_workers_that_fail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_workers_that_cannot_write, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stopped_and_continued, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_orphans_take_places, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_workers_are_stopped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_orphans_are_stopped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_sweep_for_a_daemon_that_stops, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
