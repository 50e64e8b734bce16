#include "fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>

static void expect_error(const char *home, StoreMode mode, const char *part) {
    Store *store;
    Error error = {0};
    assert_int_equal(store_open(&store, home, mode, &error), -1);
    assert_null(store);
    if (!strstr(error.text, part))
        fail_msg("\"%s\" lacks \"%s\"", error.text, part);
}

static void database_path(const char *home, char path[PATH_TEXT_MAX]) {
    assert_int_equal(path_format(path, NULL, "%s/sweepd.db", home), 0);
}

static void database_execute(const char *home, const char *sql) {
    char path[PATH_TEXT_MAX];
    sqlite3 *db;
    database_path(home, path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void test_only_one_writes(void **state) {
    char who[64];
    Store *store = store_at(*state);
    snprintf(who, sizeof who, "another sweepd (process %ld)", (long)getpid());
    expect_error(*state, STORE_WRITE, who);
    store_free(store);
    store_free(store_at(*state));
}

static void test_reading_needs_a_database(void **state) {
    Store *store;
    Error error = {0};
    assert_int_equal(store_open(&store, *state, STORE_READ_ONLY, &error), STORE_NOT_FOUND);
    assert_non_null(strstr(error.text, "no database"));
    assert_null(store);
    char path[PATH_TEXT_MAX];
    database_path(*state, path);
    assert_int_equal(file_write_atomic(path, "", 0, 0600, NULL), 0);
    expect_error(*state, STORE_READ_ONLY, "is empty: it holds no sweep");
    expect_error("/nonexistent/home", STORE_WRITE, "/nonexistent/home/lock");
}

static void check_reading(const char *home, int64_t runs) {
    Store *reader;
    Error error = {0};
    int64_t changed;
    if (store_open(&reader, home, STORE_READ_ONLY, &error) != 0)
        fail_msg("%s", error.text);
    SweepRecord sweep = sweep_of(reader, "a");
    assert_int_equal(sweep.runs, runs);
    assert_int_equal(store_sweep_set_state(reader, sweep.id, "paused", 9, &changed, &error), -1);
    assert_non_null(strstr(error.text, "reading only"));
    store_free(reader);
}

static void test_reading_beside_and_after_a_writer(void **state) {
    Store *store = store_at(*state);
    submit(store, "a", 2, 1, 100);
    check_reading(*state, 2);
    submit(store, "a", 3, 1, 101);
    check_reading(*state, 3);
    store_free(store);
    check_reading(*state, 3);
}

static void test_reading_after_a_writer_was_cut_off(void **state) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        submit(store_at(*state), "a", 2, 1, 100);
        kill(getpid(), SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    check_reading(*state, 2);
    Store *store = store_at(*state); /* the lock went with the process */
    assert_sound(store);
    store_free(store);
}

static void test_a_newer_database_is_refused(void **state) {
    store_free(store_at(*state));
    database_execute(*state, "PRAGMA user_version = 99");
    expect_error(*state, STORE_WRITE, "newer sweepd (schema 99");
    expect_error(*state, STORE_READ_ONLY, "newer sweepd (schema 99");
}

/* As schema 4 had it. */
static const char before_eval[] =
    "DROP TRIGGER runs_flops; DROP TRIGGER runs_told; ALTER TABLE runs DROP COLUMN due_flops; ALTER TABLE runs DROP COLUMN flops_eval;"
    "ALTER TABLE runs ADD COLUMN due_flops REAL AS (iif(state IN ('pending', 'running', 'done'), flops_exact, done_flops)) VIRTUAL;"
    "CREATE TRIGGER runs_flops AFTER UPDATE OF state, done_flops ON runs BEGIN SELECT 1; END;"
    "CREATE TRIGGER runs_told AFTER UPDATE OF flops_exact ON runs BEGIN SELECT 1; END;"
    "UPDATE runs SET done_flops = iif(state = 'done', flops_exact, 0);"
    "UPDATE sweeps SET planned_flops = (SELECT total(due_flops) FROM runs), done_flops = (SELECT total(done_flops) FROM runs);"
    "PRAGMA user_version = 4";

/* Workers report what eval executes, so the plans of runs that an earlier version stored have to have it. */
static void test_runs_of_an_earlier_schema_know_their_eval(void **state) {
    static const char text[] = "version: 1\nname: old\ndata: {name: fashion-mnist}\nmodel: {kind: bmlp}\n"
                               "grid: {depth: 1, width: [8, 16], examples: 50}\n"
                               "train: {epochs: 2, batch: 10, optimizer: {name: sgd, lr: 0.1}}\n"
                               "eval: [{kind: finetune, data: fashion-mnist, examples: 90, epochs: 7, batch: 10}]\n";
    Store *store = store_at(*state);
    Sweep *sweep;
    SubmitRecord record;
    Error error = {0};
    RunRecord runs[2], after[2];
    RunFilter filter = {.sweep_id = 1, .state = -1, .limit = 2};
    size_t count;
    int64_t next;
    if (sweep_parse(&sweep, text, strlen(text), "t", &error))
        fail_msg("%s", error.text);
    if (store_sweep_submit(store, sweep, text, strlen(text), 1, &record, &error))
        fail_msg("%s", error.text);
    sweep_free(sweep);
    assert_int_equal(store_run_list(store, &filter, runs, &count, &next, &error), 0);
    assert_true(count == 2 && runs[0].eval_flops > runs[0].flops.exact && runs[1].eval_flops > runs[0].eval_flops);
    double planned = sweep_of(store, "old").planned_flops;
    assert_true(planned == runs[0].flops.exact + runs[0].eval_flops + runs[1].flops.exact + runs[1].eval_flops);
    store_free(store);
    database_execute(*state, before_eval);
    store = store_at(*state);
    assert_int_equal(store_run_list(store, &filter, after, &count, &next, &error), 0);
    for (size_t i = 0; i < 2; i++)
        assert_true(after[i].eval_flops == runs[i].eval_flops && after[i].flops.exact == runs[i].flops.exact);
    assert_true(sweep_of(store, "old").planned_flops == planned);
    assert_sound(store);
    store_free(store);
}

static void test_another_programs_database_is_refused(void **state) {
    database_execute(*state, "CREATE TABLE things (name TEXT)");
    expect_error(*state, STORE_WRITE, "not a sweepd database");
}

static void test_a_text_file_is_refused(void **state) {
    char path[PATH_TEXT_MAX], text[4096];
    database_path(*state, path);
    memset(text, 'x', sizeof text);
    assert_int_equal(file_write_atomic(path, text, sizeof text, 0600, NULL), 0);
    expect_error(*state, STORE_WRITE, "damaged");
    expect_error(*state, STORE_READ_ONLY, "damaged");
}

/* Whatever the bytes say, every function returns. */
static void use_everything(Store *store) {
    SweepRecord sweeps[4];
    RunRecord runs[8], run;
    RunFilter filter = {.sweep_id = 1, .state = -1, .limit = 8};
    AttemptRecord attempts[4];
    Point points[4];
    Run spec;
    Buffer out;
    Error error;
    size_t count;
    int64_t next, id;
    buffer_init(&out, 1 << 20);
    store_sweep_list(store, sweeps, 4, &count, &error);
    store_run_list(store, &filter, runs, &count, &next, &error);
    store_run_find(store, "3", &run, &error);
    store_run_spec(store, 3, &spec, &error);
    store_attempt_list(store, 6, attempts, 4, &count, &error);
    store_point_list(store, 6, points, 4, &count, &error);
    store_sweep_text(store, 1, &out, &error);
    PendingRun pending;
    store_next_sweep(store, STORE_ANY, &id, &next, &error);
    store_next_pending(store, 1, STORE_ANY, &pending, &error);
    store_retry(store, 1, 0, 9, &next, &error);
    store_check(store, &out, &error);
    buffer_deinit(&out);
}

static void test_a_damaged_file_crashes_nothing(void **state) {
    char path[PATH_TEXT_MAX];
    Store *store = store_at(*state);
    submit(store, "a", 3, 2, 100);
    AttemptRecord attempt = begin_next(store, 'a', 101);
    Point point = point_at(1, 0.5);
    assert_int_equal(store_point_add(store, attempt.id, &point, 1, NULL), 0);
    store_free(store);
    database_path(*state, path);
    Buffer whole;
    buffer_init(&whole, 1 << 22);
    assert_int_equal(file_read(path, 1 << 22, &whole, NULL), 0);
    Rng rng;
    rng_init(&rng, 1, 1);
    int refused = 0;
    for (int round = 0; round < 60; round++) {
        Buffer damaged;
        Error error;
        buffer_init(&damaged, 1 << 22);
        buffer_append(&damaged, whole.data, whole.size);
        size_t size = round % 4 == 0 ? rng_below(&rng, damaged.size) : damaged.size;
        for (int i = 0; i < 200; i++)
            damaged.data[rng_below(&rng, damaged.size)] = (char)rng_next(&rng);
        assert_int_equal(file_write_atomic(path, damaged.data, size, 0600, NULL), 0);
        if (store_open(&store, *state, STORE_WRITE, &error) == 0) {
            use_everything(store);
            store_free(store);
        } else {
            assert_true(*error.text);
            refused++;
        }
        buffer_deinit(&damaged);
    }
    assert_true(refused > 0);
    buffer_deinit(&whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_only_one_writes, home_setup, home_teardown),
        cmocka_unit_test_setup_teardown(test_reading_needs_a_database, home_setup, home_teardown),
        cmocka_unit_test_setup_teardown(test_reading_beside_and_after_a_writer, home_setup, home_teardown),
        cmocka_unit_test_setup_teardown(test_reading_after_a_writer_was_cut_off, home_setup, home_teardown),
        cmocka_unit_test_setup_teardown(test_a_newer_database_is_refused, home_setup, home_teardown),
        cmocka_unit_test_setup_teardown(test_runs_of_an_earlier_schema_know_their_eval, home_setup, home_teardown),
        cmocka_unit_test_setup_teardown(test_another_programs_database_is_refused, home_setup, home_teardown),
        cmocka_unit_test_setup_teardown(test_a_text_file_is_refused, home_setup, home_teardown),
        cmocka_unit_test_setup_teardown(test_a_damaged_file_crashes_nothing, home_setup, home_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
