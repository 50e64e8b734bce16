/* What becomes of a run whose attempt failed, was paused, cancelled or outlived its daemon; how many workers are wanted. */
#include "leased.h"

/* ---- retry ---- */

static void test_failures_count_up_to_the_limit(void **state) {
    Fixture *fixture = *state;
    const Outcome outcomes[] = {OUTCOME_CRASHED, OUTCOME_PREEMPTED, OUTCOME_TIMEOUT, OUTCOME_PREEMPTED, OUTCOME_OUT_OF_MEMORY};
    Leased leased;
    for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++) {
        leased = lease(fixture, 10);
        assert_int_equal(leased.run.model.width, 10);
        assert_int_equal(result(fixture, &leased, outcomes[i], RUN_FAILED, 11), 0);
        assert_int_equal(state_of(fixture, &leased), i < 4 ? RUN_PENDING : RUN_FAILED);
    }
    assert_int_equal(run_of(fixture->store, leased.attempt.run_id).failures, 3);
    int64_t changed;
    assert_int_equal(store_retry(fixture->store, 0, leased.attempt.run_id, 12, &changed, NULL), 0);
    leased = lease(fixture, 13);
    assert_int_equal(leased.attempt.number, 6);
    assert_int_equal(result(fixture, &leased, OUTCOME_CRASHED, RUN_FAILED, 14), 0);
    assert_int_equal(state_of(fixture, &leased), RUN_PENDING);
}

static void test_refused_fails_at_once(void **state) {
    Fixture *fixture = *state;
    Leased leased = lease(fixture, 10);
    assert_int_equal(
        queue_result(fixture->queue, leased.attempt.id, leased.token, OUTCOME_REFUSED, RUN_FAILED, "no data", NULL, NULL, 0, 11, NULL), 0);
    assert_int_equal(state_of(fixture, &leased), RUN_FAILED);
    assert_string_equal(run_of(fixture->store, leased.attempt.run_id).detail, "no data");
}

/* What is said of a run is of its last attempt. */
static void test_a_run_tells_why(void **state) {
    Fixture *fixture = *state;
    Leased leased = lease(fixture, 10);
    assert_int_equal(queue_expire(fixture->queue, 70, NULL), 0);
    assert_string_equal(run_of(fixture->store, leased.attempt.run_id).detail, "the lease ran out");
    leased = lease(fixture, 71);
    assert_int_equal(result(fixture, &leased, OUTCOME_OK, RUN_DONE, 72), 0);
    assert_string_equal(run_of(fixture->store, leased.attempt.run_id).detail, "");
    leased = lease(fixture, 73);
    assert_int_equal(queue_result(fixture->queue, leased.attempt.id, leased.token, OUTCOME_OK, RUN_DIVERGED, "the loss became non-finite",
                                  NULL, NULL, 0, 74, NULL),
                     0);
    assert_string_equal(run_of(fixture->store, leased.attempt.run_id).detail, "the loss became non-finite");
}

static void check_worker_end(Fixture *fixture, ExecWorker worker, Outcome outcome, int64_t failures) {
    Leased leased;
    AttemptRecord attempts[8];
    size_t count;
    assert_int_equal(lease_as(fixture, worker.name, worker.pid, 10, &leased), 0);
    ExecWorker other = worker; /* of the same process number */
    text_copy(other.name, sizeof other.name, "local-9");
    assert_int_equal(queue_worker_ended(fixture->queue, &other, 11, NULL), 0);
    assert_int_equal(state_of(fixture, &leased), RUN_RUNNING);
    assert_int_equal(queue_worker_ended(fixture->queue, &worker, 11, NULL), 0);
    assert_int_equal(queue_worker_ended(fixture->queue, &worker, 11, NULL), 0);
    assert_int_equal(store_attempt_list(fixture->store, leased.attempt.run_id, attempts, 8, &count, NULL), 0);
    assert_int_equal(attempts[count - 1].outcome, outcome);
    assert_int_equal(run_of(fixture->store, leased.attempt.run_id).failures, failures);
}

static void test_a_worker_that_ended_frees_its_run(void **state) {
    Fixture *fixture = *state;
    check_worker_end(fixture, (ExecWorker){.name = "local-1", .ended = true, .by_signal = true, .code = SIGKILL}, OUTCOME_CRASHED, 1);
    check_worker_end(fixture, (ExecWorker){.name = "local-2", .ended = true, .code = 0}, OUTCOME_LOST, 1);
    check_worker_end(fixture, (ExecWorker){.name = "local-3", .ended = true, .by_signal = true, .code = SIGTERM}, OUTCOME_PREEMPTED, 1);
    check_worker_end(fixture, (ExecWorker){.name = "local-4", .pid = 4711, .ended = true, .code = 1}, OUTCOME_CRASHED, 2);
    assert_int_equal(events_of(fixture->store, "worker_exited"), 4);
    assert_counts(fixture->store, "a", 3, 0, 0, 0, 0);
}

/* ---- pause, cancel, drain, restart ---- */

static void test_pause_lets_running_runs_go_on(void **state) {
    Fixture *fixture = *state;
    Leased leased = lease(fixture, 10), none;
    QueueDirective directive;
    int64_t changed, a = sweep_of(fixture->store, "a").id;
    assert_int_equal(store_sweep_set_state(fixture->store, a, "paused", 11, &changed, NULL), 0);
    assert_int_equal(lease_as(fixture, "", 0, 12, &none), QUEUE_EMPTY);
    assert_int_equal(heartbeat(fixture, &leased, 13, &directive), 0);
    assert_int_equal(directive, QUEUE_CONTINUE);
    assert_int_equal(result(fixture, &leased, OUTCOME_PREEMPTED, RUN_PENDING, 14), 0);
    assert_int_equal(state_of(fixture, &leased), RUN_PENDING);
    assert_int_equal(store_sweep_set_state(fixture->store, a, "active", 15, &changed, NULL), 0);
    assert_int_equal(lease(fixture, 16).attempt.run_id, leased.attempt.run_id);
}

static void test_cancel_drops_running_runs(void **state) {
    Fixture *fixture = *state;
    Leased dropped = lease(fixture, 10), finished = lease(fixture, 10), expired = lease(fixture, 10);
    QueueDirective directive;
    int64_t changed;
    assert_int_equal(store_sweep_set_state(fixture->store, sweep_of(fixture->store, "a").id, "cancelled", 11, &changed, NULL), 0);
    assert_int_equal(heartbeat(fixture, &dropped, 12, &directive), 0);
    assert_int_equal(directive, QUEUE_DROP);
    assert_int_equal(state_of(fixture, &dropped), RUN_CANCELLED);
    assert_int_equal(result(fixture, &dropped, OUTCOME_PREEMPTED, RUN_PENDING, 13), 0); /* the worker says goodbye */
    assert_int_equal(result(fixture, &finished, OUTCOME_OK, RUN_DONE, 13), 0);
    assert_int_equal(state_of(fixture, &finished), RUN_DONE);
    assert_int_equal(queue_expire(fixture->queue, 70, NULL), 0);
    assert_int_equal(state_of(fixture, &expired), RUN_CANCELLED);
    assert_counts(fixture->store, "a", 0, 0, 1, 0, 2);
}

static void test_drain_stops_workers(void **state) {
    Fixture *fixture = *state;
    Leased leased = lease(fixture, 10), none;
    QueueDirective directive;
    queue_drain(fixture->queue);
    assert_int_equal(heartbeat(fixture, &leased, 12, &directive), 0);
    assert_int_equal(directive, QUEUE_STOP);
    assert_int_equal(lease_as(fixture, "", 0, 12, &none), QUEUE_EMPTY);
    assert_int_equal(result(fixture, &leased, OUTCOME_PREEMPTED, RUN_PENDING, 13), 0);
    assert_counts(fixture->store, "a", 3, 0, 0, 0, 0);
}

static void test_a_restart_gives_a_full_lease(void **state) {
    Fixture *fixture = *state;
    Leased leased = lease(fixture, 10);
    fixture_close(fixture);
    fixture_open(fixture, 1000);
    assert_int_equal(queue_expire(fixture->queue, 1059, NULL), 0);
    assert_int_equal(result(fixture, &leased, OUTCOME_OK, RUN_DONE, 1059), 0);
    assert_int_equal(state_of(fixture, &leased), RUN_DONE);
}

static void test_a_stall_gives_a_full_lease(void **state) {
    Fixture *fixture = *state;
    Leased leased = lease(fixture, 10);
    assert_int_equal(queue_extend(fixture->queue, 1000, NULL), 0);
    assert_int_equal(queue_expire(fixture->queue, 1059, NULL), 0);
    assert_int_equal(state_of(fixture, &leased), RUN_RUNNING);
    assert_int_equal(queue_expire(fixture->queue, 1060, NULL), 0);
    assert_int_equal(state_of(fixture, &leased), RUN_PENDING);
}

/* A daemon was killed between a grant and its answer, and the next one sends the worker home. */
static void test_a_lease_that_never_arrived_is_given_up(void **state) {
    Fixture *fixture = *state;
    Leased leased, other;
    assert_int_equal(lease_as(fixture, "local-1-1", 7, 10, &leased), 0);
    assert_int_equal(lease_as(fixture, "local-1-2", 8, 10, &other), 0);
    assert_int_equal(idle_as(fixture, "local-1-1", 7), 0);
    assert_int_equal(state_of(fixture, &leased), RUN_PENDING);
    assert_int_equal(state_of(fixture, &other), RUN_RUNNING);
    assert_int_equal(idle_as(fixture, "", 8), 0); /* nobody's name */
    assert_int_equal(state_of(fixture, &other), RUN_RUNNING);
}

static void test_workers_wanted(void **state) {
    Fixture *fixture = *state;
    size_t wanted;
    assert_int_equal(queue_workers_wanted(fixture->queue, 0, 2, 10, &wanted, NULL), 0);
    assert_int_equal(wanted, 2);
    assert_int_equal(queue_workers_wanted(fixture->queue, 0, 8, 10, &wanted, NULL), 0);
    assert_int_equal(wanted, 3);
    assert_int_equal(queue_workers_wanted(fixture->queue, 2, 8, 10, &wanted, NULL), 0); /* two are about to ask */
    assert_int_equal(wanted, 1);
    lease(fixture, 10);
    assert_int_equal(queue_workers_wanted(fixture->queue, 1, 8, 10, &wanted, NULL), 0);
    assert_int_equal(wanted, 2);
    submit(fixture->store, "b", 3, 1, 11); /* the same runs again */
    assert_int_equal(queue_workers_wanted(fixture->queue, 1, 8, 10, &wanted, NULL), 0);
    assert_int_equal(wanted, 2);
    queue_drain(fixture->queue);
    assert_int_equal(queue_workers_wanted(fixture->queue, 1, 8, 10, &wanted, NULL), 0);
    assert_int_equal(wanted, 0);
}

/* A run whose FLOPs nobody knows beforehand has those of its last point, and its sweep counts them from then on. */
static void test_a_program_tells_its_sizes(void **state) {
    static const char text[] = "version: 1\nname: told\ndata: {inputs: 4, classes: 2, examples: 100}\nmodel: {name: toy}\n"
                               "trainer: {kind: external, command: [prog], steps: 20}\ngrid: {depth: 1, width: 8, examples: [50, 40]}\n"
                               "train: {epochs: 2, batch: 10, optimizer: {name: sgd, lr: 0.1}}\n";
    Fixture *fixture = *state;
    Sweep *sweep;
    SubmitRecord record;
    Error error = {0};
    assert_int_equal(sweep_parse(&sweep, text, strlen(text), "t", &error), 0);
    assert_int_equal(store_sweep_submit(fixture->store, sweep, text, strlen(text), 1, &record, &error), 0);
    sweep_free(sweep);
    Leased other = lease(fixture, 10), leased = lease(fixture, 10);
    assert_int_equal(other.run.trainer, TRAINER_BUILTIN);
    assert_int_equal(leased.run.trainer, TRAINER_EXTERNAL);
    assert_true(run_of(fixture->store, leased.attempt.run_id).flops.exact == 0);
    Point points[] = {point_at(10, 0.5), point_at(20, 0.25)};
    QueueDirective directive;
    point_set_metric(&points[0], "params", 300);
    point_set_metric(&points[1], "params", 300);
    assert_int_equal(queue_points(fixture->queue, leased.attempt.id, leased.token, points, 1, 10, 1e7, 11, &directive, &error), 0);
    assert_int_equal(queue_points(fixture->queue, leased.attempt.id, leased.token, points, 1, 10, INFINITY, 11, &directive, &error),
                     QUEUE_INVALID);
    assert_int_equal(
        queue_result(fixture->queue, leased.attempt.id, leased.token, OUTCOME_OK, RUN_DONE, "", NULL, &points[1], 1, 12, &error), 0);
    RunRecord run = run_of(fixture->store, leased.attempt.run_id);
    assert_int_equal(run.params, 300);
    assert_true(run.flops.exact == 2e7 && run.done_flops == 2e7 && run.flops.nd6 == 6.0 * 300 * 50 * 2);
    SweepRecord told = sweep_of(fixture->store, "told");
    assert_true(told.planned_flops == 0 && told.done_flops == 2e7); /* the other run has not told its own */
    int64_t changed;
    assert_int_equal(store_sweep_set_state(fixture->store, told.id, "cancelled", 13, &changed, &error), 0);
    assert_int_equal(changed, 1);
    assert_true(sweep_of(fixture->store, "told").planned_flops == 2e7);
    assert_sound(fixture->store);
}

static void test_settings_are_checked(void **state) {
    Fixture *fixture = *state;
    QueueSettings settings = {.lease_seconds = 10, .heartbeat_seconds = 5};
    Queue *queue;
    Error error = {0};
    assert_int_equal(queue_new(&queue, fixture->store, &settings, 0, &error), -1);
    assert_non_null(strstr(error.text, "five heartbeats"));
    assert_null(queue);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(test_failures_count_up_to_the_limit),
        QUEUE_TEST(test_refused_fails_at_once),
        QUEUE_TEST(test_a_run_tells_why),
        QUEUE_TEST(test_a_worker_that_ended_frees_its_run),
        QUEUE_TEST(test_pause_lets_running_runs_go_on),
        QUEUE_TEST(test_cancel_drops_running_runs),
        QUEUE_TEST(test_drain_stops_workers),
        QUEUE_TEST(test_a_restart_gives_a_full_lease),
        QUEUE_TEST(test_a_stall_gives_a_full_lease),
        QUEUE_TEST(test_a_lease_that_never_arrived_is_given_up),
        QUEUE_TEST(test_workers_wanted),
        QUEUE_TEST(test_a_program_tells_its_sizes),
        QUEUE_TEST(test_settings_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
