/* Processes that die, sleep and are told to leave: nothing is lost, nothing is done twice, and the numbers are those of a run that nobody
 * disturbed. */
#include "harness.h"

#include <signal.h>
#include <string.h>

enum { LONG_EPOCHS = 120 }; /* 1800 steps */

static void submit(const char *name, const char *widths, int epochs) {
    char file[PATH_TEXT_MAX];
    site_write_sweep("sweep.yaml", name, widths, 2000, epochs);
    site_path(file, "sweep.yaml");
    site_expect(0, "sweepctl", "submit", file, NULL);
}

static void assert_outcomes(int64_t run_id, const char *expected) {
    char outcomes[256];
    site_outcomes(run_id, outcomes, sizeof outcomes);
    assert_string_equal(outcomes, expected);
}

static void test_killed_worker_crashes_and_is_resumed(void **state) {
    (void)state;
    site_start_daemon("1", NULL);
    submit("crash", "[32]", LONG_EPOCHS);
    int64_t run_id = site_run_of_width("crash", 32);
    assert_int_equal(kill(site_freeze(run_id), SIGKILL), 0);
    site_expect(0, "sweepctl", "wait", "crash", "--timeout", "100", NULL);
    assert_outcomes(run_id, "crashed,ok");
    char log[PATH_TEXT_MAX];
    site_run_path(log, run_id, "log");
    Buffer text;
    buffer_init(&text, 1 << 20);
    assert_int_equal(file_read(log, text.max, &text, NULL), 0);
    assert_non_null(strstr(text.data, "resumes at step"));
    buffer_deinit(&text);
    assert_false(site_has_checkpoint(run_id)); /* gone with the result */
    site_assert_as_undisturbed(run_id);
}

static void test_terminated_worker_hands_its_lease_back(void **state) {
    (void)state;
    site_start_daemon("0", NULL);
    submit("term", "[32]", LONG_EPOCHS);
    int64_t run_id = site_run_of_width("term", 32);
    const int signals[] = {SIGTERM, SIGUSR1};
    for (size_t i = 0; i < 2; i++) {
        pid_t pid = site_start_worker("by-hand");
        assert_int_equal(site_freeze(run_id), pid);
        site_thaw(pid, signals[i]);
        assert_int_equal(site_wait(pid), 0);
        assert_int_equal(site_worker_of(run_id), 0);
    }
    assert_int_equal(site_count("term", "pending"), 1);
    site_start_worker("by-hand");
    site_expect(0, "sweepctl", "wait", "term", "--timeout", "100", NULL);
    assert_outcomes(run_id, "preempted,preempted,ok");
    site_assert_as_undisturbed(run_id);
}

static void test_killed_daemon_goes_on(void **state) {
    (void)state;
    pid_t daemon = site_start_daemon("1", NULL);
    submit("orphan", "[8, 16, 32]", LONG_EPOCHS / 2);
    int64_t run_id = site_run_of_width("orphan", 32); /* the dearest goes first */
    pid_t worker = site_freeze(run_id);
    assert_int_equal(kill(daemon, SIGKILL), 0);
    assert_int_equal(site_wait(daemon), -SIGKILL);
    site_thaw(worker, SIGCONT); /* it outlives the daemon */
    site_start_daemon("1", NULL);
    site_expect(0, "sweepctl", "wait", "orphan", "--timeout", "100", NULL);
    assert_int_equal(site_count("orphan", "done"), 3);
    assert_outcomes(run_id, "ok"); /* one attempt: the orphan's */
    assert_outcomes(site_run_of_width("orphan", 8), "ok");
    assert_outcomes(site_run_of_width("orphan", 16), "ok");
    site_assert_as_undisturbed(run_id);
}

/* The journal of the first attempt has the last point. */
static bool has_finished_alone(void *context) {
    Buffer text;
    buffer_init(&text, 1 << 20);
    bool finished = !file_read(context, text.max, &text, NULL) && strstr(text.data, "\"step\":1800,");
    buffer_deinit(&text);
    return finished;
}

/* A run of this sweep that ends while there is no daemon; its worker goes on asking for one. */
static int64_t finish_alone(const char *sweep, const char *lease_seconds, pid_t *worker) {
    char journal[PATH_TEXT_MAX];
    pid_t daemon = site_start_daemon("0", lease_seconds);
    submit(sweep, "[32]", LONG_EPOCHS);
    int64_t run_id = site_run_of_width(sweep, 32);
    site_run_path(journal, run_id, "journal-1.jsonl");
    *worker = site_start_worker("first");
    assert_int_equal(site_freeze(run_id), *worker);
    assert_int_equal(kill(daemon, SIGKILL), 0);
    site_wait(daemon);
    site_thaw(*worker, SIGCONT);
    site_until(has_finished_alone, journal, "the run is over and journaled");
    return run_id;
}

static void test_run_that_ends_without_a_daemon_is_delivered(void **state) {
    (void)state;
    pid_t worker;
    int64_t run_id = finish_alone("alone", NULL, &worker);
    site_start_daemon("0", NULL);
    site_expect(0, "sweepctl", "wait", "alone", "--timeout", "100", NULL);
    assert_outcomes(run_id, "ok");
    site_assert_as_undisturbed(run_id);
}

/* A worker that is told to leave while it cannot deliver leaves everything behind for the next. */
static void test_leaving_without_a_daemon_loses_nothing(void **state) {
    (void)state;
    char outcomes[128];
    pid_t worker;
    int64_t run_id = finish_alone("left", "1", &worker);
    assert_int_equal(kill(worker, SIGTERM), 0);
    assert_int_equal(site_wait(worker), 0);
    site_start_daemon("0", "1");
    site_start_worker("second");
    site_expect(0, "sweepctl", "wait", "left", "--timeout", "100", NULL);
    site_outcomes(run_id, outcomes, sizeof outcomes);
    assert_string_equal(outcomes, "lost,ok");
    site_assert_as_undisturbed(run_id);
}

static void test_stale_worker_changes_nothing(void **state) {
    (void)state;
    site_start_daemon("0", "1");
    submit("stale", "[32]", LONG_EPOCHS);
    int64_t run_id = site_run_of_width("stale", 32);
    pid_t sleeper = site_start_worker("sleeper");
    assert_int_equal(site_freeze(run_id), sleeper);
    pid_t next = site_start_worker("next");
    assert_int_equal(site_wait(next), 0);
    assert_outcomes(run_id, "lost,ok");
    json_t *before = site_show(run_id);
    assert_int_equal(kill(sleeper, SIGCONT), 0);
    assert_int_equal(site_wait(sleeper), 0); /* hears that the lease is gone, finds nothing else to do, leaves */
    json_t *after = site_show(run_id);
    /* What it said stands among the events, and nowhere else. */
    assert_true(json_array_size(json_object_get(after, "events")) > json_array_size(json_object_get(before, "events")));
    assert_int_equal(json_object_del(before, "events") + json_object_del(after, "events"), 0);
    assert_true(json_equal(before, after));
    json_decref(before);
    json_decref(after);
    site_assert_as_undisturbed(run_id);
}

/* A daemon that is killed again and again, while runs begin and end: each run is trained once, by one worker, to its end. */
static size_t count_done(void) {
    return (size_t)site_count("storm", "done");
}

static bool is_further(void *context) {
    return count_done() > *(size_t *)context;
}

static void assert_trained_once(int64_t run_id) {
    char outcomes[256];
    site_outcomes(run_id, outcomes, sizeof outcomes);
    const char *ok = strstr(outcomes, "ok");
    assert_non_null(ok);
    assert_string_equal(ok, "ok"); /* the last attempt, and no other */
    assert_null(strstr(outcomes, "crashed"));
    json_t *run = site_show(run_id), *points = json_object_get(run, "points"), *last = json_array_get(points, json_array_size(points) - 1);
    assert_int_equal(json_array_size(points), 5);
    assert_int_equal(json_integer_value(json_object_get(last, "step")), 450);
    json_decref(run);
}

static void test_daemon_killed_again_and_again(void **state) {
    (void)state;
    pid_t daemon = site_start_daemon("2", NULL);
    submit("storm", "[2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]", 30);
    for (size_t kills = 0; kills < 3 && count_done() < 9; kills++) {
        size_t done = count_done();
        site_until(is_further, &done, "another run is done");
        assert_int_equal(kill(daemon, SIGKILL), 0);
        site_wait(daemon);
        daemon = site_start_daemon("2", NULL);
    }
    site_expect(0, "sweepctl", "wait", "storm", "--timeout", "100", NULL);
    assert_int_equal(count_done(), 12);
    size_t index;
    json_t *run, *runs = site_runs("storm");
    json_array_foreach(runs, index, run) assert_trained_once(json_integer_value(json_object_get(run, "id")));
    json_decref(runs);
}

static void test_cancelled_run_is_dropped_and_comes_back(void **state) {
    (void)state;
    site_start_daemon("0", NULL);
    submit("undone", "[32]", LONG_EPOCHS);
    int64_t run_id = site_run_of_width("undone", 32);
    pid_t worker = site_start_worker("by-hand");
    assert_int_equal(site_freeze(run_id), worker);
    site_expect(0, "sweepctl", "cancel", "undone", NULL);
    site_thaw(worker, SIGCONT);
    assert_int_equal(site_wait(worker), 0); /* drops the run, finds no other, leaves */
    assert_int_equal(site_count("undone", "cancelled"), 1);
    submit("undone", "[32]", LONG_EPOCHS); /* wanted again */
    site_start_worker("by-hand");
    site_expect(0, "sweepctl", "wait", "undone", "--timeout", "100", NULL);
    site_assert_as_undisturbed(run_id);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, site_set_up, site_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_killed_worker_crashes_and_is_resumed),
        CASE(test_terminated_worker_hands_its_lease_back),
        CASE(test_killed_daemon_goes_on),
        CASE(test_run_that_ends_without_a_daemon_is_delivered),
        CASE(test_leaving_without_a_daemon_loses_nothing),
        CASE(test_stale_worker_changes_nothing),
        CASE(test_daemon_killed_again_and_again),
        CASE(test_cancelled_run_is_dropped_and_comes_back),
    };
    return cmocka_run_group_tests_name("recovery", tests, NULL, NULL);
}
