/* A queue over a store that holds a sweep of three runs, and a worker's part of the conversation. */
#pragma once

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

static inline void fixture_open(Fixture *fixture, double now) {
    QueueSettings settings = {0};
    fixture->store = store_at(fixture->home);
    assert_int_equal(queue_new(&fixture->queue, fixture->store, &settings, now, NULL), 0);
}

static inline void fixture_close(Fixture *fixture) {
    queue_free(fixture->queue);
    store_free(fixture->store);
}

static inline int fixture_setup(void **state) {
    static Fixture fixture;
    home_setup((void **)&fixture.home);
    fixture_open(&fixture, 0);
    submit(fixture.store, "a", 3, 1, 1);
    *state = &fixture;
    return 0;
}

static inline int fixture_teardown(void **state) {
    Fixture *fixture = *state;
    assert_sound(fixture->store);
    fixture_close(fixture);
    return home_teardown((void **)&fixture->home);
}

static inline Environment environment_of(int64_t pid) {
    Environment environment = {.pid = pid, .threads = 1};
    text_copy(environment.host, sizeof environment.host, "here");
    return environment;
}

static inline int idle_as(Fixture *fixture, const char *worker, int64_t pid) {
    Environment environment = environment_of(pid);
    return queue_worker_idle(fixture->queue, &environment, worker, 11, NULL);
}

static inline int ask(Fixture *fixture, QueueRequest *request, int64_t pid, double now, QueueLease *out, size_t *count) {
    Environment environment = environment_of(pid);
    int64_t sweep_id;
    request->environment = &environment;
    return queue_lease(fixture->queue, request, now, out, count, &sweep_id, NULL);
}

static inline AttemptRecord attempt_of(Fixture *fixture, const QueueLease *leased) {
    AttemptRecord attempts[16];
    size_t count;
    assert_int_equal(store_attempt_list(fixture->store, leased->run_id, attempts, 16, &count, NULL), 0);
    assert_int_equal(attempts[count - 1].id, leased->attempt_id);
    assert_int_equal(attempts[count - 1].number, leased->attempt_number);
    return attempts[count - 1];
}

static inline int lease_as(Fixture *fixture, const char *worker, int64_t pid, double now, Leased *out) {
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

static inline Leased lease(Fixture *fixture, double now) {
    Leased leased;
    assert_int_equal(lease_as(fixture, "", 0, now, &leased), 0);
    return leased;
}

static inline int result(Fixture *fixture, const Leased *leased, Outcome outcome, RunState state, double now) {
    Point last = point_at(SWEEP_STEPS, 0.25);
    return queue_result(fixture->queue, leased->attempt.id, leased->token, outcome, state, "", NULL, &last, state == RUN_DONE, now, NULL);
}

static inline int heartbeat(Fixture *fixture, const Leased *leased, double now, QueueDirective *directive) {
    return queue_heartbeat(fixture->queue, leased->attempt.id, leased->token, 1, 1, now, directive, NULL);
}

static inline RunState state_of(Fixture *fixture, const Leased *leased) {
    return run_of(fixture->store, leased->attempt.run_id).state;
}

#define QUEUE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
