#include "fixture.h"

#include "sweepd/queue.h"

#include <math.h>
#include <signal.h>

typedef struct Leased {
    AttemptRecord attempt;
    char token[SHA256_HEX_MAX], key[RUN_KEY_MAX];
    Run run;
} Leased;

typedef struct Fixture {
    char *home;
    Store *store;
    Queue *queue;
} Fixture;

static void fixture_open(Fixture *fixture, double now) {
    QueueSettings settings = {0};
    fixture->store = store_at(fixture->home);
    assert_int_equal(queue_new(&fixture->queue, fixture->store, &settings, now, NULL), 0);
}

static void fixture_close(Fixture *fixture) {
    queue_free(fixture->queue);
    store_free(fixture->store);
}

static int fixture_setup(void **state) {
    static Fixture fixture;
    home_setup((void **)&fixture.home);
    fixture_open(&fixture, 0);
    submit(fixture.store, "a", 3, 1, 1);
    *state = &fixture;
    return 0;
}

static int fixture_teardown(void **state) {
    Fixture *fixture = *state;
    assert_sound(fixture->store);
    fixture_close(fixture);
    return home_teardown((void **)&fixture->home);
}

static Environment environment_of(int64_t pid) {
    Environment environment = {.pid = pid, .threads = 1};
    text_copy(environment.host, sizeof environment.host, "here");
    return environment;
}

static int idle_as(Fixture *fixture, const char *worker, int64_t pid) {
    Environment environment = environment_of(pid);
    return queue_worker_idle(fixture->queue, &environment, worker, 11, NULL);
}

static int ask(Fixture *fixture, QueueRequest *request, int64_t pid, double now, QueueLease *out, size_t *count) {
    Environment environment = environment_of(pid);
    int64_t sweep_id;
    request->environment = &environment;
    return queue_lease(fixture->queue, request, now, out, count, &sweep_id, NULL);
}

static AttemptRecord attempt_of(Fixture *fixture, const QueueLease *leased) {
    AttemptRecord attempts[16];
    size_t count;
    assert_int_equal(store_attempt_list(fixture->store, leased->run_id, attempts, 16, &count, NULL), 0);
    assert_int_equal(attempts[count - 1].id, leased->attempt_id);
    assert_int_equal(attempts[count - 1].number, leased->attempt_number);
    return attempts[count - 1];
}

static int lease_as(Fixture *fixture, const char *worker, int64_t pid, double now, Leased *out) {
    QueueLease leased;
    size_t count;
    int result = ask(fixture, &(QueueRequest){.worker = worker, .runs_max = 1}, pid, now, &leased, &count);
    if (result != 0)
        return result;
    assert_int_equal(count, 1);
    *out = (Leased){.attempt = attempt_of(fixture, &leased), .run = leased.run};
    memcpy(out->token, leased.token, sizeof out->token);
    memcpy(out->key, leased.key, sizeof out->key);
    return 0;
}

static Leased lease(Fixture *fixture, double now) {
    Leased leased;
    assert_int_equal(lease_as(fixture, "", 0, now, &leased), 0);
    return leased;
}

static int result(Fixture *fixture, const Leased *leased, Outcome outcome, RunState state, double now) {
    Point last = point_at(SWEEP_STEPS, 0.25);
    return queue_result(fixture->queue, leased->attempt.id, leased->token, outcome, state, "", NULL, &last, state == RUN_DONE, now, NULL);
}

static int heartbeat(Fixture *fixture, const Leased *leased, double now, QueueDirective *directive) {
    return queue_heartbeat(fixture->queue, leased->attempt.id, leased->token, 1, 1, now, directive, NULL);
}

static RunState state_of(Fixture *fixture, const Leased *leased) {
    return run_of(fixture->store, leased->attempt.run_id).state;
}

/* ---- leases ---- */

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

/* A run whose FLOPs nobody knows beforehand has those of its last point, and its sweep counts them from then on. */
static void test_a_program_tells_its_sizes(void **state) {
    static const char text[] = "version: 1\nname: told\ndata: {inputs: 4, classes: 2, examples: 100}\nmodel: {name: toy}\n"
                               "trainer: {kind: external, command: [prog], steps: 20}\ngrid: {depth: 1, width: 8, examples: 50}\n"
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
    assert_true(sweep_of(fixture->store, "told").planned_flops == 2e7 && sweep_of(fixture->store, "told").done_flops == 2e7);
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

#define QUEUE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

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
        QUEUE_TEST(test_several_are_leased_dearest_first),
        QUEUE_TEST(test_of_another_sweep_one_is_leased),
        QUEUE_TEST(test_a_share_is_left_for_others),
        QUEUE_TEST(test_a_crash_among_several_is_nobodys_until_they_go_alone),
        QUEUE_TEST(test_several_are_given_up_and_expire_together),
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
        QUEUE_TEST(test_the_backend_is_that_of_the_run),
        QUEUE_TEST(test_a_program_tells_its_sizes),
        QUEUE_TEST(test_settings_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
