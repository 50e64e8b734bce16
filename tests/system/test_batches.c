/* Workers and daemons that end while one worker holds many leases: each run has one result in the end, whoever was killed, and none is
 * blamed. The store is asked, since nothing else can be asked of thousands of runs. */
#include "harness.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

enum { RUNS = 1500, EVALUATIONS = 4, SEVERAL = 2 };

static const char sweep_format[] = "version: 1\n"
                                   "name: many\n"
                                   "data: {inputs: 784, classes: 10, examples: 100000}\n"
                                   "model: {kind: bmlp}\n"
                                   "trainer: {kind: simulated, law: {E: 0.1, A: 20, alpha: 0.4, B: 30, beta: 0.5}, noise: 0.01}\n"
                                   "grid:\n"
                                   "  depth: [1, 2]\n"
                                   "  width: [8, 16, 32, 64, 128]\n"
                                   "  examples: {from: 500, to: 100000, points: 15}\n"
                                   "  seed: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n"
                                   "train: {epochs: 3, batch: 100, evaluations: %d, optimizer: {name: lion, lr: 1e-3}}\n";

static void submit(void) {
    char text[2048], path[PATH_TEXT_MAX];
    snprintf(text, sizeof text, sweep_format, EVALUATIONS);
    site_write("many.yaml", text);
    site_path(path, "many.yaml");
    site_expect(0, "sweepctl", "submit", path, NULL);
}

/* ---- the store ---- */

static int64_t ask(const char *sql) {
    char path[PATH_TEXT_MAX];
    sqlite3 *store;
    sqlite3_stmt *row;
    assert_int_equal(path_format(path, NULL, "%s/sweepd.db", site_home()), 0);
    assert_int_equal(sqlite3_open_v2(path, &store, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    sqlite3_busy_timeout(store, (int)(SITE_SECONDS * 1e3));
    if (sqlite3_prepare_v2(store, sql, -1, &row, NULL) != SQLITE_OK || sqlite3_step(row) != SQLITE_ROW)
        fail_msg("%s: %s", sql, sqlite3_errmsg(store));
    int64_t answer = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    sqlite3_close(store);
    return answer;
}

static int64_t count_open(void) {
    return ask("SELECT count(*) FROM attempts WHERE outcome = 'open'");
}

static int64_t count_lost(void) {
    return ask("SELECT count(*) FROM attempts WHERE outcome = 'lost'");
}

/* Whatever happened: no run has two results, what it counts is what there is, and none was blamed. */
static void assert_consistent(void) {
    assert_int_equal(ask("SELECT count(*) FROM runs"), RUNS);
    assert_int_equal(count_open(), 0);
    assert_int_equal(ask("SELECT count(*) FROM attempts WHERE outcome NOT IN ('ok', 'lost', 'preempted')"), 0);
    assert_int_equal(ask("SELECT sum(failures) FROM runs"), 0);
    assert_int_equal(ask("SELECT count(*) FROM runs r WHERE attempts <> (SELECT count(*) FROM attempts WHERE run_id = r.id)"), 0);
    assert_int_equal(ask("SELECT count(*) FROM runs r WHERE (state = 'done') <> "
                         "(SELECT count(*) FROM attempts WHERE run_id = r.id AND outcome = 'ok')"),
                     0);
    assert_int_equal(ask("SELECT count(*) FROM runs r JOIN sweep_runs s ON s.run_id = r.id WHERE s.state <> r.state"), 0);
    assert_int_equal(ask("SELECT count(*) FROM events WHERE kind = 'point_differs'"), 0);
}

static void assert_all_done(void) {
    site_expect(0, "sweepctl", "wait", "many", "--timeout", "110", NULL);
    assert_consistent();
    assert_int_equal(ask("SELECT count(*) FROM runs WHERE state = 'done'"), RUNS);
    assert_int_equal(ask("SELECT done FROM sweeps"), RUNS);
    assert_int_equal(ask("SELECT count(*) FROM runs r WHERE (SELECT count(*) FROM points WHERE run_id = r.id AND step = r.steps) <> 1"), 0);
    assert_int_equal(ask("SELECT max(n) FROM (SELECT count(*) AS n FROM points GROUP BY run_id)"), EVALUATIONS);
    assert_int_equal(ask("SELECT sum(done_flops <> flops_exact) FROM runs"), 0);
}

/* ---- a worker that holds several leases, stopped ---- */

static pid_t find_worker(void) {
    return (pid_t)ask("SELECT coalesce((SELECT pid FROM attempts WHERE outcome = 'open' ORDER BY id DESC LIMIT 1), 0)");
}

/* The daemon answers after it has read what the worker had sent before. */
static bool holds_several(void *context) {
    pid_t pid = *(pid_t *)context = find_worker();
    if (pid <= 0 || kill(pid, SIGSTOP))
        return false;
    site_expect(0, "sweepctl", "daemon", "status", NULL);
    if (count_open() >= SEVERAL)
        return true;
    kill(pid, SIGCONT);
    return false;
}

static pid_t freeze(void) {
    pid_t pid = 0;
    site_until(holds_several, &pid, "a worker holds several leases");
    return pid;
}

/* ---- the cases ---- */

static bool is_forgotten(void *context) {
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM attempts WHERE outcome = 'open' AND pid = %d", (int)*(pid_t *)context);
    return ask(sql) == 0;
}

static bool some_are_lost(void *context) {
    (void)context;
    pid_t worker = freeze();
    assert_int_equal(kill(worker, SIGKILL), 0);
    site_until(is_forgotten, &worker, "the daemon has seen its worker end");
    return count_lost() >= SEVERAL;
}

/* Nobody knows which of its runs ended the worker: all are lost, and done later, alone. */
static void test_killed_worker(void **state) {
    (void)state;
    site_start_daemon("1", NULL);
    submit();
    site_until(some_are_lost, NULL, "leases are lost with their worker");
    assert_all_done();
    assert_int_equal(ask("SELECT count(*) FROM attempts WHERE outcome = 'preempted' AND detail NOT LIKE 'handed back%'"), 0);
}

/* The worker goes on; what it trained without a daemon, it delivers to the next. */
static void test_killed_daemon(void **state) {
    (void)state;
    pid_t daemon = site_start_daemon("1", NULL);
    submit();
    pid_t worker = freeze();
    assert_int_equal(kill(daemon, SIGKILL), 0);
    assert_int_equal(site_wait(daemon), -SIGKILL);
    int64_t held = count_open(), done = ask("SELECT count(*) FROM runs WHERE state = 'done'");
    assert_true(held >= SEVERAL);
    site_thaw(worker, SIGCONT);
    site_start_daemon("1", NULL);
    assert_all_done();
    assert_true(done < RUNS);
}

static void test_killed_daemon_and_worker(void **state) {
    (void)state;
    pid_t daemon = site_start_daemon("1", "1");
    submit();
    pid_t worker = freeze();
    assert_int_equal(kill(daemon, SIGKILL), 0);
    assert_int_equal(site_wait(daemon), -SIGKILL);
    assert_int_equal(kill(worker, SIGKILL), 0);
    int64_t held = count_open();
    site_start_daemon("1", "1");
    assert_all_done();
    assert_true(count_lost() >= held);
}

static void test_terminated_worker(void **state) {
    (void)state;
    site_start_daemon("0", NULL);
    submit();
    pid_t worker = site_start_worker("by-hand");
    assert_int_equal(freeze(), worker);
    site_thaw(worker, SIGTERM);
    assert_int_equal(site_wait(worker), 0);
    assert_consistent();
    assert_int_equal(count_lost(), 0);
    assert_int_equal(site_wait(site_start_worker("by-hand")), 0);
    assert_all_done();
}

static void test_drained_daemon(void **state) {
    (void)state;
    pid_t daemon = site_start_daemon("1", NULL);
    submit();
    pid_t worker = freeze();
    assert_int_equal(kill(daemon, SIGTERM), 0);
    site_thaw(worker, SIGCONT);
    assert_int_equal(site_wait(daemon), 0);
    assert_consistent();
    assert_int_equal(count_lost(), 0);
    site_start_daemon("1", NULL);
    assert_all_done();
}

static bool none_is_open(void *context) {
    (void)context;
    return count_open() == 0;
}

static void test_cancelled_sweep(void **state) {
    (void)state;
    site_start_daemon("1", NULL);
    submit();
    pid_t worker = freeze();
    site_expect(0, "sweepctl", "cancel", "many", NULL);
    site_thaw(worker, SIGCONT);
    site_until(none_is_open, NULL, "what was leased is over");
    assert_consistent();
    assert_int_equal(ask("SELECT count(*) FROM runs WHERE state NOT IN ('done', 'cancelled')"), 0);
    assert_true(ask("SELECT cancelled FROM sweeps") > 0);
    submit(); /* wanted again */
    assert_all_done();
}

/* "has stopped" means that its files are free: the store is closed after the socket is. */
static void test_stop_waits_for_the_store(void **state) {
    (void)state;
    char path[PATH_TEXT_MAX];
    site_start_daemon("0", NULL);
    submit();
    site_expect(0, "sweepctl", "daemon", "stop", NULL);
    assert_int_equal(path_format(path, NULL, "%s/lock", site_home()), 0);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(flock(file, LOCK_EX | LOCK_NB), 0);
    close(file);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, site_set_up, site_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_killed_worker),  CASE(test_killed_daemon),   CASE(test_killed_daemon_and_worker), CASE(test_terminated_worker),
        CASE(test_drained_daemon), CASE(test_cancelled_sweep), CASE(test_stop_waits_for_the_store),
    };
    return cmocka_run_group_tests_name("batches", tests, NULL, NULL);
}
