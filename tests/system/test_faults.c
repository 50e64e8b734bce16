/* What is wrong from the outside: files, data, a daemon that is not there. Each is one clear error with its exit code, and changes nothing.
 */
#include "harness.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void assert_one_line(const char *text) {
    const char *end = strchr(text, '\n');
    assert_non_null(end);
    assert_string_equal(end, "\n");
}

static void test_broken_file_is_code_2(void **state) {
    (void)state;
    char file[PATH_TEXT_MAX];
    site_write("broken.yaml", "version: 1\nname: broken\ngrid:\n  depth: [1\n  width: [8]\n");
    site_path(file, "broken.yaml");
    const char *const verbs[] = {"validate", "plan", "run"};
    for (size_t i = 0; i < 3; i++) {
        Output output = site_run("sweepctl", verbs[i], file, NULL);
        assert_int_equal(output.code, 2);
        assert_non_null(strstr(output.err, "broken.yaml:"));
        assert_string_equal(output.out, "");
        assert_one_line(output.err);
        output_free(&output);
    }
    site_start_daemon("0", NULL);
    site_expect(2, "sweepctl", "submit", file, NULL);
    site_expect(2, "sweepctl", "frobnicate", NULL);
    json_t *status = site_json("sweepctl", "status", "--json", NULL);
    assert_int_equal(json_array_size(json_object_get(status, "sweeps")), 0);
    json_decref(status);
}

static void test_no_daemon_is_code_4(void **state) {
    (void)state;
    char file[PATH_TEXT_MAX];
    site_write_sweep("a.yaml", "a", "[8]", 500, 1);
    site_path(file, "a.yaml");
    site_expect(4, "sweepctl", "submit", file, NULL);
    site_expect(4, "sweepctl", "daemon", "status", NULL);
    site_expect(4, "sweepctl", "cancel", "a", NULL);
}

static void test_wait_that_times_out_is_code_124(void **state) {
    (void)state;
    char file[PATH_TEXT_MAX];
    site_write_sweep("a.yaml", "a", "[8]", 500, 1);
    site_path(file, "a.yaml");
    site_start_daemon("0", NULL);
    site_expect(0, "sweepctl", "submit", file, NULL);
    site_expect(124, "sweepctl", "wait", "a", "--timeout", "0.3", NULL);
    site_expect(1, "sweepctl", "wait", "no-such-sweep", "--timeout", "0.3", NULL);
}

static void test_missing_data_fails_the_runs(void **state) {
    (void)state;
    char file[PATH_TEXT_MAX], empty[PATH_TEXT_MAX], outcomes[64];
    site_path(empty, "no-data/fashion-mnist");
    assert_int_equal(directory_make(empty, 0755, NULL), 0);
    site_path(empty, "no-data");
    setenv("SWEEPD_DATA", empty, 1);
    site_write_sweep("a.yaml", "a", "[8, 16]", 500, 1);
    site_path(file, "a.yaml");
    site_start_daemon("1", NULL);
    site_expect(0, "sweepctl", "submit", file, NULL);
    site_expect(3, "sweepctl", "wait", "a", "--timeout", "100", NULL);
    unsetenv("SWEEPD_DATA");
    assert_int_equal(site_count("a", "failed"), 2);
    int64_t run_id = site_run_of_width("a", 8);
    site_outcomes(run_id, outcomes, sizeof outcomes);
    assert_string_equal(outcomes, "refused");
    json_t *run = site_show(run_id);
    assert_non_null(strstr(json_string_value(json_object_get(json_object_get(run, "record"), "detail")), "no-data"));
    json_decref(run);
}

/* Started again where the data is, after `retry`, the same runs end well. */
static void test_failed_runs_can_be_retried(void **state) {
    (void)state;
    test_missing_data_fails_the_runs(state);
    site_expect(0, "sweepctl", "daemon", "stop", NULL);
    site_start_daemon("1", NULL);
    site_expect(0, "sweepctl", "retry", "a", NULL);
    site_expect(0, "sweepctl", "wait", "a", "--timeout", "100", NULL);
    assert_int_equal(site_count("a", "done"), 2);
}

/* A checkpoint that is damaged is passed over, and the numbers are the same. */
static void test_damaged_checkpoint_is_passed_over(void **state) {
    (void)state;
    char file[PATH_TEXT_MAX], path[PATH_TEXT_MAX];
    site_write_sweep("a.yaml", "a", "[8]", 500, 3);
    site_path(file, "a.yaml");
    site_start_daemon("0", NULL);
    site_expect(0, "sweepctl", "submit", file, NULL);
    int64_t run_id = site_run_of_width("a", 8);
    site_run_path(path, run_id, "");
    assert_int_equal(directory_make(path, 0755, NULL), 0);
    site_run_path(path, run_id, "checkpoint.safetensors");
    assert_int_equal(file_write_atomic(path, "\377\377\377\377\377\377\377\377nonsense", 16, 0644, NULL), 0);
    site_start_worker("by-hand");
    site_expect(0, "sweepctl", "wait", "a", "--timeout", "100", NULL);
    assert_int_equal(site_count("a", "done"), 1);
    site_assert_as_undisturbed(run_id);
}

static void assert_handed_back(int64_t run_id, const char *outcomes, const char *reason) {
    char found[64];
    site_outcomes(run_id, found, sizeof found);
    assert_string_equal(found, outcomes);
    json_t *run = site_show(run_id), *attempts = json_object_get(run, "attempts");
    const char *detail = json_string_value(json_object_get(json_array_get(attempts, json_array_size(attempts) - 1), "detail"));
    assert_non_null(detail);
    if (!strstr(detail, reason))
        fail_msg("\"%s\" does not say \"%s\"", detail, reason);
    assert_string_equal(json_string_value(json_object_get(json_object_get(run, "record"), "state")), "pending");
    json_decref(run);
}

/* A machine that cannot keep what it trains is not the run's fault, and says so by its exit code. */
static void test_unusable_directory_is_not_the_runs_fault(void **state) {
    (void)state;
    char file[PATH_TEXT_MAX], runs[PATH_TEXT_MAX], checkpoint[PATH_TEXT_MAX];
    site_write_sweep("a.yaml", "a", "[32]", 4000, 60);
    site_path(file, "a.yaml");
    site_start_daemon("0", NULL);
    site_expect(0, "sweepctl", "submit", file, NULL);
    int64_t run_id = site_run_of_width("a", 32);
    assert_int_equal(path_format(runs, NULL, "%s/runs", site_home()), 0);
    site_write("home/runs", "in the way");
    assert_int_equal(site_wait(site_start_worker("first")), 1);
    assert_handed_back(run_id, "preempted", runs);
    assert_int_equal(unlink(runs), 0);

    site_run_path(checkpoint, run_id, "checkpoint.safetensors");
    assert_int_equal(directory_make(checkpoint, 0755, NULL), 0);
    assert_int_equal(site_wait(site_start_worker("second")), 1);
    assert_handed_back(run_id, "preempted,preempted", checkpoint);
    assert_int_equal(rmdir(checkpoint), 0);

    assert_int_equal(site_wait(site_start_worker("third")), 0);
    assert_int_equal(site_count("a", "done"), 1);
}

#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = 1 }; /* whose shadow memory no limit can hold */
#else
enum { SANITIZED = 0 };
#endif

/* A worker that gets no memory says so, and the run is tried so often as one that crashes. The daemon believes that there is plenty. */
static void test_out_of_memory(void **state) {
    (void)state;
    if (SANITIZED)
        skip();
    char file[PATH_TEXT_MAX], outcomes[128];
    struct rlimit limit, before;
    site_write_sweep("a.yaml", "a", "[8192]", 500, 1);
    site_path(file, "a.yaml");
    site_start("sweepd", "--home", site_home(), "--workers", "0", "--memory", "64G", NULL);
    site_await_daemon();
    site_expect(0, "sweepctl", "submit", file, NULL);
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    limit = before;
    limit.rlim_cur = (rlim_t)1 << 30;
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
    pid_t worker = site_start_worker("small");
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(site_wait(worker), 0);
    int64_t run_id = site_run_of_width("a", 8192);
    site_outcomes(run_id, outcomes, sizeof outcomes);
    assert_string_equal(outcomes, "out_of_memory,out_of_memory,out_of_memory");
    assert_int_equal(site_count("a", "failed"), 1);
}

static void test_second_daemon_is_refused(void **state) {
    (void)state;
    site_start_daemon("0", NULL);
    Output second = site_run("sweepd", "--home", site_home(), "--workers", "0", NULL);
    assert_int_equal(second.code, 1);
    output_free(&second);
    site_expect(0, "sweepctl", "daemon", "status", NULL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, site_set_up, site_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_broken_file_is_code_2),
        CASE(test_no_daemon_is_code_4),
        CASE(test_wait_that_times_out_is_code_124),
        CASE(test_missing_data_fails_the_runs),
        CASE(test_failed_runs_can_be_retried),
        CASE(test_damaged_checkpoint_is_passed_over),
        CASE(test_unusable_directory_is_not_the_runs_fault),
        CASE(test_out_of_memory),
        CASE(test_second_daemon_is_refused),
    };
    return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
