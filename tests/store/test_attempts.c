#include "fixture.h"

#include <math.h>

static void test_an_attempt_from_lease_to_result(void **state) {
    Store *store = *state;
    submit(store, "a", 2, 1, 100);
    AttemptRecord attempt = begin_next(store, 'a', 101), checked;
    assert_int_equal(attempt.number, 1);
    assert_int_equal(run_of(store, attempt.run_id).width, 9); /* the dearest first */
    char token[SHA256_HEX_MAX] = "";
    memset(token, 'a', SHA256_HEX_MAX - 1);
    assert_int_equal(store_attempt_check(store, attempt.id, token, 102, &checked, NULL), 0);
    assert_string_equal(checked.environment.host, "here");
    token[63] = 'b';
    assert_int_equal(store_attempt_check(store, attempt.id, token, 102, &checked, NULL), STORE_STALE);
    assert_int_equal(store_attempt_check(store, attempt.id, "", 102, &checked, NULL), STORE_STALE);
    assert_int_equal(store_attempt_check(store, 99, token, 102, &checked, NULL), STORE_NOT_FOUND);

    Point points[] = {point_at(1, 0.5), point_at(4, NAN)}, again = point_at(4, 0.25), kept[4];
    size_t count;
    assert_int_equal(store_point_add(store, attempt.id, points, 2, NULL), 0);
    assert_int_equal(store_point_add(store, attempt.id, points, 2, NULL), 0);
    assert_int_equal(events_of(store, "point_differs"), 0);
    assert_int_equal(store_point_add(store, attempt.id, &again, 1, NULL), 0);
    assert_int_equal(events_of(store, "point_differs"), 1);
    assert_int_equal(store_point_list(store, attempt.run_id, kept, 4, &count, NULL), 0);
    assert_int_equal(count, 2);
    assert_true(point_metric(&kept[0], "test_error") == 0.5);
    assert_true(isnan(point_metric(&kept[1], "test_error")));
    assert_int_equal(store_point_add(store, 99, points, 2, NULL), STORE_NOT_FOUND);

    RunRecord run = run_of(store, attempt.run_id);
    assert_int_equal(store_attempt_renew(store, attempt.id, 200, 4, run.flops.exact / 2, NULL), 0);
    assert_int_equal(store_attempt_renew(store, attempt.id, 150, 2, run.flops.exact / 4, NULL), 0); /* came late */
    run = run_of(store, attempt.run_id);
    assert_true(run.done_flops == run.flops.exact / 2 && run.has_point && run.seconds == 2);
    assert_true(sweep_of(store, "a").done_flops == run.done_flops);
    finish(store, &attempt, 210);
    assert_int_equal(store_attempt_end(store, attempt.id,
                                       &(AttemptEnd){.outcome = OUTCOME_LOST, .detail = "", .run_state = RUN_PENDING, .now = 211}, NULL),
                     STORE_STALE);
    memset(token, 'a', SHA256_HEX_MAX - 1);
    assert_int_equal(store_attempt_check(store, attempt.id, token, 212, &checked, NULL), STORE_ENDED);
    SweepRecord sweep = sweep_of(store, "a");
    assert_true(sweep.done_flops == run.flops.exact && sweep.first_started_at == 101 && sweep.last_ended_at == 210);
    assert_counts(store, "a", 1, 0, 1, 0, 0);
}

/* A large sweep does not keep a small one waiting until its own end, whichever came first. */
static void test_sweeps_take_turns(void **state) {
    Store *store = *state;
    submit(store, "small", 1, 2, 100);
    submit(store, "large", 8, 9, 101);
    int small = 0;
    for (int i = 0; i < 4; i++) {
        AttemptRecord attempt = begin_next(store, (char)('a' + i), 102 + i);
        small += run_of(store, attempt.run_id).width == 8;
    }
    assert_int_equal(small, 2);
    assert_counts(store, "small", 0, 2, 0, 0, 0);
}

/* What a run that was cut short did not execute is neither done nor planned any more, until it is tried again. */
static void test_flops_of_runs_cut_short(void **state) {
    Store *store = *state;
    int64_t changed;
    submit(store, "a", 2, 1, 100);
    double planned = sweep_of(store, "a").planned_flops;
    AttemptRecord attempt = begin_next(store, 'a', 101);
    double part = run_of(store, attempt.run_id).flops.exact / 4;
    assert_int_equal(store_attempt_renew(store, attempt.id, 160, 1, part, NULL), 0);
    assert_int_equal(
        store_attempt_end(store, attempt.id,
                          &(AttemptEnd){.outcome = OUTCOME_CRASHED, .detail = "", .run_state = RUN_FAILED, .failures_add = 1, .now = 102},
                          NULL),
        0);
    SweepRecord sweep = sweep_of(store, "a");
    assert_true(sweep.done_flops == part);
    assert_true(fabs(sweep.planned_flops - (planned - 3 * part)) < 1e-9 * planned);
    assert_int_equal(store_sweep_set_state(store, sweep.id, "cancelled", 103, &changed, NULL), 0);
    sweep = sweep_of(store, "a");
    assert_true(sweep.done_flops == part && fabs(sweep.planned_flops - part) < 1e-9 * planned);
    submit(store, "a", 2, 1, 104);
    assert_int_equal(store_retry(store, sweep.id, 0, 105, &changed, NULL), 0);
    assert_true(fabs(sweep_of(store, "a").planned_flops - planned) < 1e-9 * planned);
}

static void test_one_open_attempt_per_run(void **state) {
    Store *store = *state;
    submit(store, "a", 1, 1, 100);
    AttemptRecord attempt = begin_next(store, 'a', 101), other;
    AttemptStart start = {.run_id = attempt.run_id, .now = 102, .expires_at = 160};
    memset(start.token, 'b', SHA256_HEX_MAX - 1);
    assert_int_equal(store_attempt_begin(store, &start, &other, NULL), STORE_CONFLICT);
    start.run_id = 99;
    assert_int_equal(store_attempt_begin(store, &start, &other, NULL), STORE_NOT_FOUND);
}

static void test_expired_attempts_are_found(void **state) {
    Store *store = *state;
    submit(store, "a", 3, 1, 100);
    AttemptRecord first = begin_next(store, 'a', 101), found[4];
    begin_next(store, 'b', 111);
    size_t count;
    assert_int_equal(store_attempt_expired(store, 160, found, 4, &count, NULL), 0);
    assert_int_equal(count, 0);
    assert_int_equal(store_attempt_expired(store, 161, found, 4, &count, NULL), 0);
    assert_int_equal(count, 1);
    assert_int_equal(found[0].id, first.id);
    assert_int_equal(store_attempt_extend_all(store, 500, NULL), 0);
    assert_int_equal(store_attempt_expired(store, 499, found, 4, &count, NULL), 0);
    assert_int_equal(count, 0);
    size_t workers;
    assert_int_equal(store_attempt_expired(store, 500, found, 4, &count, NULL), 0);
    assert_int_equal(count, 2);
    assert_int_equal(store_worker_list(store, found, 4, &count, NULL), 0);
    assert_int_equal(store_worker_count(store, &workers, NULL), 0);
    assert_true(count == 1 && workers == 1);
    int64_t pending, running;
    assert_int_equal(store_pending_count(store, 100, &pending, &running, NULL), 0);
    assert_int_equal(pending, 1);
    assert_int_equal(running, 2);
}

static void test_a_failed_function_leaves_its_batch_alone(void **state) {
    Store *store = *state;
    submit(store, "a", 2, 1, 100);
    assert_int_equal(store_batch_begin(store, NULL), 0);
    assert_int_equal(store_batch_begin(store, NULL), -1);
    AttemptRecord attempt = begin_next(store, 'a', 101);
    Point points[] = {point_at(1, 0.5), point_at(-1, 0.5)}, kept[4];
    Error error = {0};
    size_t count;
    assert_int_equal(store_point_add(store, attempt.id, points, 2, &error), -1);
    assert_true(*error.text);
    assert_int_equal(store_batch_end(store, NULL), 0);
    assert_int_equal(store_point_list(store, attempt.run_id, kept, 4, &count, NULL), 0);
    assert_int_equal(count, 0);
    assert_counts(store, "a", 1, 1, 0, 0, 0);
}

static void test_an_unfinished_batch_is_undone(void **state) {
    Store *store = *state;
    submit(store, "a", 2, 1, 100);
    assert_int_equal(store_batch_begin(store, NULL), 0);
    begin_next(store, 'a', 101);
    store_free(store);
    store = *state = store_at(scratch_root);
    assert_counts(store, "a", 2, 0, 0, 0, 0);
}

static void test_fits_and_events(void **state) {
    Store *store = *state;
    int64_t a = submit(store, "a", 1, 1, 100).sweep_id, fit;
    Buffer json;
    buffer_init(&json, 1 << 16);
    assert_int_equal(store_fit_latest(store, a, "parametric", &json, NULL), STORE_NOT_FOUND);
    assert_int_equal(store_fit_add(store, a, "parametric", "{\"a\":1}", 101, &fit, NULL), 0);
    assert_int_equal(store_fit_add(store, a, "parametric", "{\"a\":2}", 102, &fit, NULL), 0);
    assert_int_equal(store_fit_add(store, a, "isoflop", "{\"a\":3}", 103, &fit, NULL), 0);
    assert_int_equal(store_fit_add(store, 99, "isoflop", "{}", 103, &fit, NULL), STORE_NOT_FOUND);
    assert_int_equal(store_fit_latest(store, a, "parametric", &json, NULL), 0);
    assert_string_equal(json.data, "{\"a\":2}");
    buffer_deinit(&json);
    EventRecord events[4];
    size_t count;
    assert_int_equal(store_event_add(store, 104, "lease_expired", 0, 1, 2, "x", NULL), 0);
    assert_int_equal(store_event_list(store, 0, events, 4, &count, NULL), 0);
    assert_int_equal(count, 2);
    assert_string_equal(events[0].kind, "submitted");
    assert_string_equal(events[0].detail, "1 runs: 1 new, 0 shared, 0 removed");
    assert_int_equal(events[1].attempt_id, 2);
    for (int i = 0; i < 6; i++)
        assert_int_equal(store_event_add(store, 105 + i, "stale_message", 0, 7, 0, "", NULL), 0);
    assert_int_equal(store_event_list(store, 7, events, 4, &count, NULL), 0);
    assert_true(count == 4 && events[0].time == 107 && events[3].time == 110);
    assert_int_equal(store_event_list(store, 1, events, 4, &count, NULL), 0);
    assert_int_equal(count, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_an_attempt_from_lease_to_result),
        STORE_TEST(test_one_open_attempt_per_run),
        STORE_TEST(test_sweeps_take_turns),
        STORE_TEST(test_flops_of_runs_cut_short),
        STORE_TEST(test_expired_attempts_are_found),
        STORE_TEST(test_a_failed_function_leaves_its_batch_alone),
        STORE_TEST(test_an_unfinished_batch_is_undone),
        STORE_TEST(test_fits_and_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
