/* A home that goes away again, and sweeps of any size: `widths` widths from 8 up times `seeds` seeds from 0 up. */
#pragma once

#include "../scratch.h"

#include "sweepd/store.h"

#define STORE_ANY ((Need){STORE_ANY_BYTES, GPUS_MAX})
enum { SWEEP_TEXT_MAX = 1 << 20, SWEEP_STEPS = 20 };

static inline int home_setup(void **state) {
    char *home = malloc(PATH_TEXT_MAX);
    assert_non_null(home);
    assert_int_equal(directory_make_temporary(home, PATH_TEXT_MAX), 0);
    *state = home;
    return 0;
}

static inline int home_teardown(void **state) {
    directory_remove(*state);
    free(*state);
    return 0;
}

static inline Store *store_at(const char *home) {
    Store *store;
    Error error = {0};
    if (store_open(&store, home, STORE_WRITE, &error) != 0)
        fail_msg("%s", error.text);
    return store;
}

static inline void sweep_write(Buffer *out, const char *name, int widths, int seeds) {
    buffer_printf(out, "version: 1\nname: %s\ndata: {name: fashion-mnist, validation: 5000}\nmodel: {kind: bmlp, expansion: 4}\ngrid:\n",
                  name);
    buffer_append_text(out, "  depth: [1]\n  width: [8");
    for (int i = 1; i < widths; i++)
        buffer_printf(out, ", %d", 8 + i);
    buffer_append_text(out, "]\n  examples: [1000]\n  seed: [0");
    for (int i = 1; i < seeds; i++)
        buffer_printf(out, ", %d", i);
    buffer_append_text(out, "]\ntrain:\n  epochs: 2\n  batch: 100\n  optimizer: {name: sgd, lr: 0.1}\n");
}

static inline SubmitRecord submit(Store *store, const char *name, int widths, int seeds, double now) {
    Buffer text;
    Sweep *sweep;
    SubmitRecord record = {0};
    Error error = {0};
    buffer_init(&text, SWEEP_TEXT_MAX);
    sweep_write(&text, name, widths, seeds);
    if (sweep_parse(&sweep, text.data, text.size, "test.yaml", &error) != 0 ||
        store_sweep_submit(store, sweep, text.data, text.size, now, &record, &error) != 0)
        fail_msg("%s", error.text);
    sweep_free(sweep);
    buffer_deinit(&text);
    return record;
}

static inline SweepRecord sweep_of(Store *store, const char *name) {
    SweepRecord record;
    assert_int_equal(store_sweep_find(store, name, &record, NULL), 0);
    return record;
}

static inline RunRecord run_of(Store *store, int64_t run_id) {
    RunRecord record;
    assert_int_equal(store_run_get(store, run_id, &record, NULL), 0);
    return record;
}

static inline void assert_counts(Store *store, const char *name, int64_t pending, int64_t running, int64_t done, int64_t failed,
                                 int64_t cancelled) {
    SweepRecord sweep = sweep_of(store, name);
    assert_int_equal(sweep.by_state[RUN_PENDING], pending);
    assert_int_equal(sweep.by_state[RUN_RUNNING], running);
    assert_int_equal(sweep.by_state[RUN_DONE], done);
    assert_int_equal(sweep.by_state[RUN_FAILED], failed);
    assert_int_equal(sweep.by_state[RUN_CANCELLED], cancelled);
    assert_int_equal(sweep.runs, pending + running + done + failed + cancelled + sweep.by_state[RUN_DIVERGED]);
}

static inline void assert_sound(Store *store) {
    Buffer problems;
    Error error = {0};
    buffer_init(&problems, 1 << 16);
    if (store_check(store, &problems, &error) != 0)
        fail_msg("%s", error.text);
    if (problems.size > 0)
        fail_msg("%s", problems.data);
    buffer_deinit(&problems);
}

/* For tests whose state is a store in a home of its own, which must be sound at the end. */
static inline int store_setup(void **state) {
    if (scratch_setup(state) != 0)
        return -1;
    *state = store_at(scratch_root);
    return 0;
}

static inline int store_teardown(void **state) {
    assert_sound(*state);
    store_free(*state);
    return scratch_teardown(state);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)

static inline size_t events_of(Store *store, const char *kind) {
    static EventRecord events[256];
    size_t count, found = 0;
    assert_int_equal(store_event_list(store, 0, events, 256, &count, NULL), 0);
    for (size_t i = 0; i < count; i++)
        found += strcmp(events[i].kind, kind) == 0;
    return found;
}

static inline Point point_at(int64_t step, double error_share) {
    Point point = {.step = step, .examples = 100.0 * (double)step, .flops = 1e6 * (double)step, .seconds = 0.5 * (double)step};
    point_set_metric(&point, "test_error", error_share);
    return point;
}

/* Begins an attempt at the next pending run. The token is 64 times the letter. */
static inline AttemptRecord begin_next(Store *store, char letter, double now) {
    AttemptStart start = {.now = now, .expires_at = now + 60, .environment = {.host = "here", .pid = 7, .threads = 1}};
    AttemptRecord attempt;
    PendingRun next;
    int64_t sweep_id, pending;
    memset(start.token, letter, SHA256_HEX_MAX - 1);
    assert_int_equal(store_next_sweep(store, STORE_ANY, &sweep_id, &pending, NULL), 0);
    assert_int_equal(store_next_pending(store, sweep_id, STORE_ANY, &next, NULL), 0);
    assert_true(next.readable && pending > 0);
    start.run_id = next.run_id;
    assert_int_equal(store_attempt_begin(store, &start, &attempt, NULL), 0);
    return attempt;
}

/* As a worker that has trained to the end. */
static inline void finish(Store *store, const AttemptRecord *attempt, double now) {
    Point last = point_at(SWEEP_STEPS, 0.25);
    assert_int_equal(store_point_add(store, attempt->id, &last, 1, NULL), 0);
    assert_int_equal(
        store_attempt_end(store, attempt->id, &(AttemptEnd){.outcome = OUTCOME_OK, .detail = "", .run_state = RUN_DONE, .now = now}, NULL),
        0);
}
