/* Who gets which runs, one or several at once, keeps them, and what is taken from whom. */
#include "leased.h"

static void test_every_run_is_leased_once_dearest_first(void **state) {
    Fixture *fixture = *state;
    Leased leased[3], none;
    for (int i = 0; i < 3; i++) {
        leased[i] = lease(fixture, 10);
        assert_int_equal(leased[i].run.model.width, 10 - i);
        assert_int_equal(strlen(leased[i].token), 64);
        assert_string_equal(leased[i].key, run_of(fixture->store, leased[i].attempt.run_id).key);
        assert_true(leased[i].attempt.expires_at == 70);
    }
    assert_string_not_equal(leased[0].token, leased[1].token);
    assert_int_equal(lease_as(fixture, "", 0, 10, &none), QUEUE_EMPTY);
    assert_int_equal(result(fixture, &leased[1], OUTCOME_OK, RUN_DIVERGED, 11), 0);
    assert_int_equal(result(fixture, &leased[0], OUTCOME_OK, RUN_DONE, 12), 0);
    assert_int_equal(lease_as(fixture, "", 0, 13, &none), QUEUE_EMPTY);
    assert_int_equal(state_of(fixture, &leased[1]), RUN_DIVERGED);
}

static void test_heartbeats_keep_a_lease(void **state) {
    Fixture *fixture = *state;
    Leased leased = lease(fixture, 10);
    QueueDirective directive;
    for (double now = 15; now < 200; now += 50) {
        assert_int_equal(queue_expire(fixture->queue, now, NULL), 0);
        assert_int_equal(heartbeat(fixture, &leased, now, &directive), 0);
        assert_int_equal(directive, QUEUE_CONTINUE);
    }
    assert_int_equal(state_of(fixture, &leased), RUN_RUNNING);
}

static void test_a_silent_lease_expires_and_its_worker_is_fenced(void **state) {
    Fixture *fixture = *state;
    Leased old = lease(fixture, 10);
    QueueDirective directive;
    Point point = point_at(1, 0.5), kept[4];
    size_t count;
    assert_int_equal(queue_expire(fixture->queue, 69, NULL), 0);
    assert_int_equal(state_of(fixture, &old), RUN_RUNNING);
    assert_int_equal(queue_expire(fixture->queue, 70, NULL), 0);
    assert_int_equal(state_of(fixture, &old), RUN_PENDING);
    assert_int_equal(run_of(fixture->store, old.attempt.run_id).failures, 0);
    Leased current = lease(fixture, 71);
    assert_int_equal(current.attempt.run_id, old.attempt.run_id);
    assert_int_equal(current.attempt.number, 2);
    assert_int_equal(heartbeat(fixture, &old, 72, &directive), QUEUE_STALE);
    assert_int_equal(queue_points(fixture->queue, old.attempt.id, old.token, &point, 1, 1, 1, 72, &directive, NULL), QUEUE_STALE);
    assert_int_equal(result(fixture, &old, OUTCOME_OK, RUN_DONE, 73), QUEUE_STALE);
    assert_int_equal(events_of(fixture->store, "stale_message"), 3);
    assert_int_equal(events_of(fixture->store, "lease_expired"), 1);
    assert_int_equal(store_point_list(fixture->store, old.attempt.run_id, kept, 4, &count, NULL), 0);
    assert_int_equal(count, 0);
    assert_int_equal(state_of(fixture, &current), RUN_RUNNING);
    memcpy(old.token, current.token, sizeof old.token);
    assert_int_equal(heartbeat(fixture, &old, 74, &directive), QUEUE_STALE); /* the token belongs to another attempt */
    old.attempt.id = 99;
    assert_int_equal(heartbeat(fixture, &old, 74, &directive), QUEUE_NOT_FOUND);
}

static void test_a_repeated_result_changes_nothing(void **state) {
    Fixture *fixture = *state;
    Leased leased = lease(fixture, 10);
    Point point = point_at(20, 0.5);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            queue_result(fixture->queue, leased.attempt.id, leased.token, OUTCOME_OK, RUN_DONE, "", NULL, &point, 1, 11 + i, NULL), 0);
    }
    assert_int_equal(result(fixture, &leased, OUTCOME_CRASHED, RUN_FAILED, 20), QUEUE_STALE);
    RunRecord run = run_of(fixture->store, leased.attempt.run_id);
    assert_int_equal(run.state, RUN_DONE);
    assert_true(run.ended_at == 11 && run.attempts == 1 && run.last.step == 20);
    assert_counts(fixture->store, "a", 2, 0, 1, 0, 0);
}

static void test_impossible_results_are_refused(void **state) {
    Fixture *fixture = *state;
    Leased leased = lease(fixture, 10);
    assert_int_equal(result(fixture, &leased, OUTCOME_OK, RUN_PENDING, 11), QUEUE_INVALID);
    assert_int_equal(result(fixture, &leased, OUTCOME_LOST, RUN_DONE, 11), QUEUE_INVALID);
    assert_int_equal(result(fixture, &leased, OUTCOME_OPEN, RUN_DONE, 11), QUEUE_INVALID);
    assert_int_equal(state_of(fixture, &leased), RUN_RUNNING);
}

static int point(Fixture *fixture, const Leased *leased, int64_t step, double flops) {
    Point point = point_at(step, 0.5);
    QueueDirective directive;
    point.flops = flops;
    return queue_points(fixture->queue, leased->attempt.id, leased->token, &point, 1, 0, 0, 11, &directive, NULL);
}

static void test_what_no_run_can_have_is_refused(void **state) {
    Fixture *fixture = *state;
    Leased leased = lease(fixture, 10);
    double planned = run_of(fixture->store, leased.attempt.run_id).flops.exact;
    QueueDirective directive;
    Error error;
    const double wrong[][2] = {{-5, 1}, {SWEEP_STEPS + 1, 1}, {1, -1}, {1, 1e308}, {NAN, 1}, {1, NAN}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(queue_heartbeat(fixture->queue, leased.attempt.id, leased.token, wrong[i][0], wrong[i][1], 11, &directive, &error),
                         QUEUE_INVALID);
    assert_int_equal(point(fixture, &leased, -1, 1), QUEUE_INVALID);
    assert_int_equal(point(fixture, &leased, (int64_t)1 << 62, 1), QUEUE_INVALID);
    assert_int_equal(point(fixture, &leased, 1, 1.01 * planned), QUEUE_INVALID);
    assert_false(run_of(fixture->store, leased.attempt.run_id).has_point);
    assert_int_equal(point(fixture, &leased, SWEEP_STEPS, planned), 0);
}

static int done(Fixture *fixture, const Leased *leased, const Point *points, size_t count, Error *error) {
    return queue_result(fixture->queue, leased->attempt.id, leased->token, OUTCOME_OK, RUN_DONE, "", NULL, points, count, 11, error);
}

/* A worker whose journal was emptied by another has nothing to say of its run. */
static void test_done_takes_a_point_at_the_end(void **state) {
    Fixture *fixture = *state;
    Leased first = lease(fixture, 10), second = lease(fixture, 10);
    Point early = point_at(SWEEP_STEPS - 1, 0.5), last = point_at(SWEEP_STEPS, 0.25);
    Error error;
    assert_int_equal(done(fixture, &first, NULL, 0, &error), QUEUE_INVALID);
    assert_int_equal(done(fixture, &first, &early, 1, &error), QUEUE_INVALID);
    assert_non_null(strstr(error.text, "points: "));
    assert_int_equal(state_of(fixture, &first), RUN_RUNNING);
    assert_int_equal(done(fixture, &first, &last, 1, &error), 0);
    QueueDirective directive;
    assert_int_equal(queue_points(fixture->queue, second.attempt.id, second.token, &last, 1, 20, 1, 11, &directive, NULL), 0);
    assert_int_equal(done(fixture, &second, NULL, 0, &error), 0);
    assert_int_equal(state_of(fixture, &second), RUN_DONE);
}

static void test_a_lost_answer_frees_the_run(void **state) {
    Fixture *fixture = *state;
    Leased lost, leased;
    assert_int_equal(lease_as(fixture, "local-1", 0, 10, &lost), 0);
    assert_int_equal(lease_as(fixture, "local-1", 0, 12, &leased), 0);
    assert_int_equal(leased.attempt.run_id, lost.attempt.run_id);
    assert_int_equal(leased.attempt.number, 2);
    assert_counts(fixture->store, "a", 2, 1, 0, 0, 0);
}

static void test_two_workers_of_one_name_both_live(void **state) {
    Fixture *fixture = *state;
    Leased first, second;
    QueueDirective directive;
    assert_int_equal(lease_as(fixture, "w", 7, 10, &first), 0);
    assert_int_equal(lease_as(fixture, "w", 8, 11, &second), 0);
    assert_int_not_equal(first.attempt.run_id, second.attempt.run_id);
    assert_int_equal(heartbeat(fixture, &first, 12, &directive), 0);
    assert_int_equal(heartbeat(fixture, &second, 12, &directive), 0);
}

/* What an attempt that ends without a word was made with is known from the run and its worker. rounded: the worker's backend of bf16. */
static void check_backends(Fixture *fixture, const char *name, const char *rounded, const char *const expected[4]) {
    char text[512];
    Sweep *sweep;
    SubmitRecord record;
    Error error = {0};
    int64_t sweep_id;
    size_t count;
    snprintf(text, sizeof text,
             "version: 1\nname: %s\ndata: {name: fashion-mnist}\nmodel: {kind: bmlp}\n"
             "grid: {depth: 1, width: 8, examples: 50, precision: [fp32, bf16, auto]}\n"
             "train: {epochs: 7, batch: 10, label_smoothing: %s, optimizer: {name: sgd, lr: 0.1}}\n",
             name, *rounded ? "0.1" : "0.2");
    assert_int_equal(sweep_parse(&sweep, text, strlen(text), "t", &error), 0);
    assert_int_equal(store_sweep_submit(fixture->store, sweep, text, strlen(text), 1, &record, &error), 0);
    sweep_free(sweep);
    for (size_t i = 0; i < 3; i++) {
        Environment environment = {.host = "here", .pid = 1, .threads = 1, .backend = "plain"};
        QueueRequest request = {
            .environment = &environment, .bf16_backend = rounded, .worker = "", .runs_max = 1, .sweep_id = record.sweep_id};
        QueueLease leased;
        assert_int_equal(queue_lease(fixture->queue, &request, 10, &leased, &count, &sweep_id, NULL), 0);
        assert_int_equal(sweep_id, record.sweep_id);
        AttemptRecord attempt = attempt_of(fixture, &leased);
        assert_string_equal(attempt.environment.backend, expected[leased.run.precision]);
    }
}

static void test_the_backend_is_that_of_the_run(void **state) {
    Fixture *fixture = *state;
    for (int i = 0; i < 3; i++)
        lease(fixture, 10);
    check_backends(fixture, "with", "rounded",
                   (const char *const[]){[PRECISION_FP32] = "plain", [PRECISION_BF16] = "rounded", [PRECISION_AUTO] = "rounded", NULL});
    check_backends(fixture, "without", "",
                   (const char *const[]){[PRECISION_FP32] = "plain", [PRECISION_BF16] = "", [PRECISION_AUTO] = "plain", NULL});
}

/* ---- several at once ---- */

enum { MANY = 40 };

/* A sweep of 40 runs in place of the fixture's; one run of it is done, and the worker asks for more of the same sweep. */
static int64_t many(Fixture *fixture) {
    int64_t changed;
    assert_int_equal(store_sweep_set_state(fixture->store, sweep_of(fixture->store, "a").id, "cancelled", 2, &changed, NULL), 0);
    return submit(fixture->store, "many", 4, MANY / 4, 3).sweep_id;
}

static void test_several_are_leased_dearest_first(void **state) {
    Fixture *fixture = *state;
    QueueLease leases[8];
    size_t count;
    int64_t sweep_id = many(fixture);
    assert_int_equal(ask(fixture, &(QueueRequest){.worker = "w", .runs_max = 8, .sweep_id = sweep_id}, 1, 10, leases, &count), 0);
    assert_int_equal(count, 8);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(leases[i].run.model.width, 11);
        assert_true(i == 0 || (leases[i].run_id != leases[0].run_id && strcmp(leases[i].token, leases[0].token) != 0));
        Point last = point_at(SWEEP_STEPS, 0.25);
        assert_int_equal(
            queue_result(fixture->queue, leases[i].attempt_id, leases[i].token, OUTCOME_OK, RUN_DONE, "", NULL, &last, 1, 11, NULL), 0);
    }
    assert_counts(fixture->store, "many", MANY - 8, 0, 8, 0, 0);
}

/* What a worker knows of one sweep says nothing of another's runs. */
static void test_of_another_sweep_one_is_leased(void **state) {
    Fixture *fixture = *state;
    QueueLease leases[8];
    size_t count;
    int64_t sweep_id = many(fixture);
    assert_int_equal(ask(fixture, &(QueueRequest){.worker = "w", .runs_max = 8, .sweep_id = sweep_id + 1}, 1, 10, leases, &count), 0);
    assert_int_equal(count, 1);
}

static void test_a_share_is_left_for_others(void **state) {
    Fixture *fixture = *state;
    QueueLease leases[MANY];
    size_t count;
    int64_t sweep_id = many(fixture);
    QueueRequest request = {.worker = "w", .runs_max = MANY, .sweep_id = sweep_id, .workers = 4};
    assert_int_equal(ask(fixture, &request, 1, 10, leases, &count), 0);
    assert_int_equal(count, MANY / 4 / 2);
    request.workers = 0;
    request.worker = "v";
    assert_int_equal(ask(fixture, &request, 2, 10, leases, &count), 0); /* of 35, with the one that has some */
    assert_int_equal(count, 8);
    request.worker = "u";
    assert_int_equal(ask(fixture, &request, 3, 10, leases, &count), 0); /* of 27, with the two */
    assert_int_equal(count, 4);
}

static size_t lease_many(Fixture *fixture, const char *worker, int64_t sweep_id, QueueLease *out) {
    size_t count;
    assert_int_equal(ask(fixture, &(QueueRequest){.worker = worker, .runs_max = 4, .sweep_id = sweep_id}, 1, 10, out, &count), 0);
    return count;
}

/* Which of them it was nobody knows: none is charged, and each goes alone from then on, so that the one is found out. */
static void test_a_crash_among_several_is_nobodys_until_they_go_alone(void **state) {
    Fixture *fixture = *state;
    QueueLease leases[4];
    int64_t sweep_id = many(fixture);
    ExecWorker worker = {.name = "local-1", .ended = true, .by_signal = true, .code = SIGSEGV};
    assert_int_equal(lease_many(fixture, "local-1", sweep_id, leases), 4);
    assert_int_equal(queue_worker_ended(fixture->queue, &worker, 11, NULL), 0);
    for (size_t i = 0; i < 4; i++) {
        QueueLease lost = {.attempt_id = leases[i].attempt_id, .run_id = leases[i].run_id, .attempt_number = 1};
        assert_int_equal(attempt_of(fixture, &lost).outcome, OUTCOME_LOST);
        assert_int_equal(run_of(fixture->store, leases[i].run_id).failures, 0);
    }
    int64_t first = leases[0].run_id;
    assert_int_equal(lease_many(fixture, "local-1", sweep_id, leases), 1);
    assert_int_equal(leases[0].run_id, first);
    assert_int_equal(queue_worker_ended(fixture->queue, &worker, 12, NULL), 0);
    assert_int_equal(run_of(fixture->store, first).failures, 1);
    assert_counts(fixture->store, "many", MANY, 0, 0, 0, 0);
}

static void test_several_are_given_up_and_expire_together(void **state) {
    Fixture *fixture = *state;
    QueueLease leases[4], again[4];
    int64_t sweep_id = many(fixture);
    assert_int_equal(lease_many(fixture, "w", sweep_id, leases), 4);
    assert_int_equal(lease_many(fixture, "w", sweep_id, again), 1); /* the answer was lost: the first of the four, alone */
    assert_int_equal(again[0].run_id, leases[0].run_id);
    assert_counts(fixture->store, "many", MANY - 1, 1, 0, 0, 0);
    assert_int_equal(queue_expire(fixture->queue, 70, NULL), 0);
    assert_counts(fixture->store, "many", MANY, 0, 0, 0, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(test_every_run_is_leased_once_dearest_first),
        QUEUE_TEST(test_heartbeats_keep_a_lease),
        QUEUE_TEST(test_a_silent_lease_expires_and_its_worker_is_fenced),
        QUEUE_TEST(test_a_repeated_result_changes_nothing),
        QUEUE_TEST(test_impossible_results_are_refused),
        QUEUE_TEST(test_what_no_run_can_have_is_refused),
        QUEUE_TEST(test_done_takes_a_point_at_the_end),
        QUEUE_TEST(test_a_lost_answer_frees_the_run),
        QUEUE_TEST(test_two_workers_of_one_name_both_live),
        QUEUE_TEST(test_the_backend_is_that_of_the_run),
        QUEUE_TEST(test_several_are_leased_dearest_first),
        QUEUE_TEST(test_of_another_sweep_one_is_leased),
        QUEUE_TEST(test_a_share_is_left_for_others),
        QUEUE_TEST(test_a_crash_among_several_is_nobodys_until_they_go_alone),
        QUEUE_TEST(test_several_are_given_up_and_expire_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
