/* What is asked of the store for each run costs no more with many runs than with few, counted in the steps of SQLite's own machine. */
#include "fixture.h"

#include "private.h"

static int64_t take_steps(Store *store) {
    int64_t steps = 0;
    for (sqlite3_stmt *at = sqlite3_next_stmt(store->db, NULL); at; at = sqlite3_next_stmt(store->db, at))
        steps += sqlite3_stmt_status(at, SQLITE_STMTSTATUS_VM_STEP, 1);
    return steps;
}

/* Half of them are done, and two are under way. */
static Store *half_done(const char *home, const char *name, int seeds) {
    char path[PATH_TEXT_MAX];
    assert_int_equal(path_format(path, NULL, "%s/%s", home, name), 0);
    assert_int_equal(directory_make(path, 0700, NULL), 0);
    Store *store = store_at(path);
    submit(store, "a", 10, seeds, 100);
    assert_int_equal(store_batch_begin(store, NULL), 0);
    for (int i = 0; i < 5 * seeds; i++) {
        AttemptRecord attempt = begin_next(store, 'a', 101);
        finish(store, &attempt, 102);
    }
    begin_next(store, 'b', 103);
    begin_next(store, 'c', 103);
    return store;
}

static int64_t steps_of_a_run(const char *home, const char *name, int seeds) {
    Store *store = half_done(home, name, seeds);
    AttemptRecord found[4];
    size_t count, workers;
    take_steps(store);
    AttemptRecord attempt = begin_next(store, 'd', 104);
    assert_int_equal(store_attempt_of_worker(store, "w", NULL, found, 4, &count, NULL), 0);
    assert_int_equal(store_attempt_expired(store, 104, found, 4, &count, NULL), 0);
    assert_int_equal(store_worker_list(store, found, 4, &count, NULL), 0);
    assert_int_equal(store_worker_count(store, &workers, NULL), 0);
    finish(store, &attempt, 105);
    int64_t steps = take_steps(store);
    assert_int_equal(store_batch_end(store, NULL), 0);
    store_free(store);
    return steps;
}

static void test_a_run_costs_the_same_among_many(void **state) {
    int64_t few = steps_of_a_run(*state, "few", 2), many = steps_of_a_run(*state, "many", 60);
    if (few <= 0 || many > few + few / 4)
        fail_msg("%lld steps with 20 runs, %lld with 600", (long long)few, (long long)many);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_a_run_costs_the_same_among_many, home_setup, home_teardown)};
    return cmocka_run_group_tests_name("steps", tests, NULL, NULL);
}
