#include "fixture.h"

static void test_submit_twice_adds_once(void **state) {
    Store *store = *state;
    SubmitRecord first = submit(store, "a", 3, 2, 100), second = submit(store, "a", 3, 2, 101);
    assert_int_equal(first.runs, 6);
    assert_int_equal(first.added, 6);
    assert_int_equal(second.added, 0);
    assert_int_equal(second.shared, 6);
    assert_int_equal(second.removed, 0);
    assert_int_equal(second.sweep_id, first.sweep_id);
    assert_counts(store, "a", 6, 0, 0, 0, 0);
}

static void test_wider_file_adds_only_new_cells(void **state) {
    Store *store = *state;
    submit(store, "a", 3, 2, 100);
    AttemptRecord attempt = begin_next(store, 'a', 101);
    finish(store, &attempt, 110);
    SubmitRecord wider = submit(store, "a", 4, 2, 120);
    assert_int_equal(wider.added, 2);
    assert_int_equal(wider.shared, 6);
    assert_counts(store, "a", 7, 0, 1, 0, 0);
}

static void test_sweeps_share_runs(void **state) {
    Store *store = *state;
    submit(store, "a", 3, 2, 100);
    SubmitRecord other = submit(store, "b", 2, 2, 101);
    assert_int_equal(other.added, 0);
    assert_int_equal(other.shared, 4);
    AttemptRecord attempt = begin_next(store, 'a', 102);
    finish(store, &attempt, 110);
    /* The dearest is the widest, which only the first has. */
    assert_counts(store, "a", 5, 0, 1, 0, 0);
    assert_counts(store, "b", 4, 0, 0, 0, 0);
    begin_next(store, 'b', 111);
    begin_next(store, 'c', 112);
    assert_counts(store, "a", 3, 2, 1, 0, 0);
    assert_counts(store, "b", 3, 1, 0, 0, 0);
}

static void test_smaller_file_removes_cells(void **state) {
    Store *store = *state;
    submit(store, "a", 3, 2, 100);
    submit(store, "b", 2, 2, 101);
    SubmitRecord smaller = submit(store, "a", 1, 2, 102);
    assert_int_equal(smaller.removed, 4);
    assert_counts(store, "a", 2, 0, 0, 0, 0);
    assert_counts(store, "b", 4, 0, 0, 0, 0); /* still wants two of them */
    RunFilter filter = {.state = RUN_CANCELLED, .limit = 10};
    RunRecord runs[10];
    size_t count;
    int64_t next;
    assert_int_equal(store_run_list(store, &filter, runs, &count, &next, NULL), 0);
    assert_int_equal(count, 2);
    assert_int_equal(runs[0].width, 10);
    submit(store, "a", 3, 2, 103);
    assert_counts(store, "a", 6, 0, 0, 0, 0); /* cancelled ones are wanted again */
}

static void test_pause_and_cancel(void **state) {
    Store *store = *state;
    int64_t a = submit(store, "a", 3, 1, 100).sweep_id, b = submit(store, "b", 2, 1, 101).sweep_id, changed;
    AttemptRecord attempt = begin_next(store, 'a', 102);
    bool wanted, paused;
    assert_int_equal(store_sweep_set_state(store, a, "paused", 103, &changed, NULL), 0);
    assert_int_equal(changed, 0);
    assert_int_equal(store_run_wanted(store, attempt.run_id, &wanted, &paused, NULL), 0);
    assert_true(wanted && paused);
    assert_int_equal(store_sweep_set_state(store, b, "paused", 104, &changed, NULL), 0);
    int64_t sweep_id, pending;
    assert_int_equal(store_next_sweep(store, STORE_ANY, &sweep_id, &pending, NULL), STORE_NONE);
    assert_int_equal(store_sweep_set_state(store, a, "cancelled", 105, &changed, NULL), 0);
    assert_int_equal(changed, 0); /* the two that are pending are in the paused sweep too */
    assert_int_equal(store_run_wanted(store, attempt.run_id, &wanted, &paused, NULL), 0);
    assert_false(wanted);
    assert_int_equal(store_sweep_set_state(store, b, "cancelled", 106, &changed, NULL), 0);
    assert_int_equal(changed, 2);
    assert_int_equal(store_sweep_set_state(store, b, "cancelled", 107, &changed, NULL), 0);
    assert_int_equal(store_sweep_set_state(store, b, "active", 108, &changed, NULL), STORE_CONFLICT);
    assert_int_equal(store_sweep_set_state(store, 99, "active", 108, &changed, NULL), STORE_NOT_FOUND);
    assert_int_equal(store_retry(store, b, 0, 109, &changed, NULL), STORE_CONFLICT);
    assert_counts(store, "b", 0, 0, 0, 0, 2);
    assert_sound(store);
    submit(store, "b", 2, 1, 110);
    assert_counts(store, "b", 2, 0, 0, 0, 0);
    assert_string_equal(sweep_of(store, "b").state, "active");
}

static void test_retry_and_cancel_a_run(void **state) {
    Store *store = *state;
    int64_t a = submit(store, "a", 3, 1, 100).sweep_id, changed;
    AttemptRecord attempt = begin_next(store, 'a', 101);
    assert_int_equal(
        store_attempt_end(
            store, attempt.id,
            &(AttemptEnd){.outcome = OUTCOME_CRASHED, .detail = "signal 11", .run_state = RUN_FAILED, .failures_add = 1, .now = 102}, NULL),
        0);
    assert_int_equal(run_of(store, attempt.run_id).failures, 1);
    assert_string_equal(run_of(store, attempt.run_id).detail, "signal 11");
    assert_int_equal(store_run_cancel(store, attempt.run_id, 103, &changed, NULL), STORE_CONFLICT);
    assert_int_equal(store_retry(store, a, 0, 104, &changed, NULL), 0);
    assert_int_equal(changed, 1);
    assert_int_equal(run_of(store, attempt.run_id).failures, 0);
    assert_int_equal(store_run_cancel(store, attempt.run_id, 105, &changed, NULL), 0);
    assert_int_equal(changed, 1);
    assert_counts(store, "a", 2, 0, 0, 0, 1);
    assert_int_equal(store_retry(store, 0, attempt.run_id, 106, &changed, NULL), 0);
    assert_int_equal(changed, 1);
    attempt = begin_next(store, 'b', 107);
    bool wanted, paused;
    assert_int_equal(store_run_cancel(store, attempt.run_id, 108, &changed, NULL), 0);
    assert_int_equal(store_run_wanted(store, attempt.run_id, &wanted, &paused, NULL), 0);
    assert_false(wanted);
    assert_int_equal(store_retry(store, 0, attempt.run_id, 109, &changed, NULL), 0);
    assert_int_equal(store_run_wanted(store, attempt.run_id, &wanted, &paused, NULL), 0);
    assert_true(wanted);
    assert_int_equal(store_retry(store, 0, 99, 110, &changed, NULL), STORE_NOT_FOUND);
}

static void test_lists_go_by_pages(void **state) {
    Store *store = *state;
    RunRecord runs[4];
    size_t count, seen = 0;
    int64_t next, last_width = 0, a = submit(store, "a", 5, 2, 100).sweep_id;
    RunFilter filter = {.sweep_id = a, .state = -1, .limit = 4};
    do {
        assert_int_equal(store_run_list(store, &filter, runs, &count, &next, NULL), 0);
        for (size_t i = 0; i < count; i++, seen++) {
            assert_int_equal(runs[i].width, 8 + seen / 2);
            assert_int_equal(runs[i].seed, seen % 2);
            assert_true(runs[i].flops.exact > runs[i].flops.gemm && runs[i].flops.gemm > 0);
            last_width = runs[i].width;
        }
        filter.after = next;
    } while (next != 0);
    assert_int_equal(seen, 10);
    assert_int_equal(last_width, 12);
    filter = (RunFilter){.sweep_id = a, .state = RUN_DONE, .limit = 4};
    assert_int_equal(store_run_list(store, &filter, runs, &count, &next, NULL), 0);
    assert_int_equal(count, 0);
    assert_int_equal(next, 0);
}

static void test_a_run_is_found_by_id_and_key(void **state) {
    Store *store = *state;
    RunRecord run, same;
    Run spec;
    char name[RUN_KEY_MAX], key[RUN_KEY_MAX];
    submit(store, "a", 2, 2, 100);
    assert_int_equal(store_run_find(store, "3", &run, NULL), 0);
    text_copy(name, 11, run.key);
    assert_int_equal(store_run_find(store, name, &same, NULL), 0);
    assert_int_equal(same.id, 3);
    assert_int_equal(store_run_find(store, "zzzzzzzz", &same, NULL), STORE_NOT_FOUND);
    assert_int_equal(store_run_find(store, "", &same, NULL), STORE_NOT_FOUND);
    assert_int_equal(store_run_find(store, "99", &same, NULL), STORE_NOT_FOUND);
    assert_int_equal(store_run_spec(store, 3, &spec, NULL), 0);
    assert_int_equal(run_key(&spec, key, NULL), 0);
    assert_string_equal(key, run.key);
}

static void test_sweeps_are_listed_and_kept(void **state) {
    Store *store = *state;
    SweepRecord sweeps[4];
    size_t count;
    submit(store, "a", 1, 1, 100);
    submit(store, "b", 1, 2, 101);
    assert_int_equal(store_sweep_list(store, sweeps, 4, &count, NULL), 0);
    assert_int_equal(count, 2);
    assert_string_equal(sweeps[0].name, "b");
    assert_string_equal(sweeps[0].data, "fashion-mnist");
    Buffer expected, kept;
    buffer_init(&expected, SWEEP_TEXT_MAX);
    buffer_init(&kept, SWEEP_TEXT_MAX);
    sweep_write(&expected, "b", 1, 2);
    assert_int_equal(store_sweep_text(store, sweeps[0].id, &kept, NULL), 0);
    assert_string_equal(kept.data, expected.data);
    assert_int_equal(store_sweep_text(store, 99, &kept, NULL), STORE_NOT_FOUND);
    buffer_deinit(&expected);
    buffer_deinit(&kept);
}

static void test_a_sweep_for_planning_is_not_taken(void **state) {
    static const char file[] = "version: 1\nname: p\ndata: {inputs: 12, classes: 3, examples: 1000}\nmodel: {kind: bmlp, expansion: 4}\n"
                               "grid:\n  depth: [1]\n  width: [8]\n  examples: [100]\n  seed: [0]\n"
                               "train:\n  epochs: 2\n  batch: 100\n  optimizer: {name: sgd, lr: 0.1}\n";
    Store *store = *state;
    Sweep *sweep;
    SubmitRecord record;
    SweepRecord found;
    Error error = {0};
    if (sweep_parse(&sweep, file, sizeof file - 1, "p.yaml", &error) != 0)
        fail_msg("%s", error.text);
    assert_int_equal(store_sweep_submit(store, sweep, file, sizeof file - 1, 1, &record, &error), -1);
    assert_non_null(strstr(error.text, "can be planned, not run"));
    assert_int_equal(store_sweep_find(store, "p", &found, NULL), STORE_NOT_FOUND);
    sweep_free(sweep);
}

/* ---- external programs ---- */

static SubmitRecord submit_program(Store *store, const char *name, const char *directory, double now) {
    char file[1024];
    Sweep *sweep;
    SubmitRecord record = {0};
    Error error = {0};
    snprintf(file, sizeof file,
             "version: 1\nname: %s\ndata: {inputs: 4, classes: 2, examples: 1000}\nmodel: {name: toy}\n"
             "trainer: {kind: external, command: [a], directory: %s, params: 5, flops: 2e7, steps: 20}\n"
             "grid: {depth: 1, width: [8, 16], examples: 100}\ntrain: {epochs: 1, batch: 10, optimizer: {name: sgd, lr: 0.1}}\n",
             name, directory);
    if (sweep_parse(&sweep, file, strlen(file), "p.yaml", &error) != 0 ||
        store_sweep_submit(store, sweep, file, strlen(file), now, &record, &error) != 0)
        fail_msg("%s", error.text);
    sweep_free(sweep);
    return record;
}

static void test_results_of_a_program_elsewhere_are_told(void **state) {
    Store *store = *state;
    submit_program(store, "a", "/one", 100);
    SubmitRecord other = submit_program(store, "b", "/two", 101);
    assert_int_equal(other.shared, 2);
    assert_int_equal(other.elsewhere, 0); /* nothing has been trained: the later file's program does */
    AttemptRecord attempt = begin_next(store, 'a', 102);
    finish(store, &attempt, 110);
    assert_int_equal(submit_program(store, "b", "/two", 111).elsewhere, 0);
    for (int i = 0; i < 2; i++) { /* the result stays that of its own program */
        SubmitRecord third = submit_program(store, "c", "/three", 112 + i);
        assert_int_equal(third.shared, 2);
        assert_int_equal(third.elsewhere, 1);
        assert_string_equal(third.elsewhere_directory, "/two");
        assert_string_equal(third.directory, "/three");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_submit_twice_adds_once),
        STORE_TEST(test_wider_file_adds_only_new_cells),
        STORE_TEST(test_sweeps_share_runs),
        STORE_TEST(test_smaller_file_removes_cells),
        STORE_TEST(test_pause_and_cancel),
        STORE_TEST(test_retry_and_cancel_a_run),
        STORE_TEST(test_lists_go_by_pages),
        STORE_TEST(test_a_run_is_found_by_id_and_key),
        STORE_TEST(test_sweeps_are_listed_and_kept),
        STORE_TEST(test_a_sweep_for_planning_is_not_taken),
        STORE_TEST(test_results_of_a_program_elsewhere_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
