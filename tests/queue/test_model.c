/* Thousands of random operations against the queue and against a model of it in plain arrays. After each the run that was touched, and now
 * and then everything, must agree; the leases must come in the model's order. */
#include "fixture.h"

#include "sweepd/queue.h"

enum { SWEEPS = 3, WIDTHS = 12, SEEDS = 8, RUNS = WIDTHS * SEEDS, OLD_LEASES = 64, RETRY_LIMIT = 3 };

typedef struct ModelRun {
    int64_t id; /* 0: not in the store */
    int width, seed;
    RunState state;
    bool cancelling;
    int64_t attempts, failures, attempt_id;
    double expires_at;
    char token[SHA256_HEX_MAX];
} ModelRun;

typedef struct ModelSweep {
    int64_t id;
    char name[8], state[16];
    int widths, seeds;
} ModelSweep;

typedef struct OldLease {
    int64_t attempt_id;
    Outcome outcome;
    char token[SHA256_HEX_MAX];
} OldLease;

typedef struct Model {
    const char *home;
    Store *store;
    Queue *queue;
    Rng rng;
    double now;
    ModelRun runs[RUNS];
    ModelSweep sweeps[SWEEPS];
    OldLease old[OLD_LEASES];
    size_t old_count;
    bool batched; /* groups of operations share a transaction */
} Model;

/* ---- the model ---- */

static bool sweep_has(const ModelSweep *sweep, const ModelRun *run) {
    return sweep->id && run->width < sweep->widths && run->seed < sweep->seeds;
}

static bool run_in(const Model *model, const ModelRun *run, bool active_only) {
    for (int i = 0; i < SWEEPS; i++) {
        const char *state = model->sweeps[i].state;
        if (sweep_has(&model->sweeps[i], run) && (active_only ? !strcmp(state, "active") : strcmp(state, "cancelled") != 0))
            return true;
    }
    return false;
}

static bool run_wanted(const Model *model, const ModelRun *run) {
    return run_in(model, run, false) && !run->cancelling;
}

static ModelRun *sweep_dearest(Model *model, const ModelSweep *sweep) {
    ModelRun *best = NULL;
    for (int i = 0; i < RUNS; i++) {
        ModelRun *run = &model->runs[i];
        if (run->id && run->state == RUN_PENDING && sweep_has(sweep, run) &&
            (!best || run->width > best->width || (run->width == best->width && run->id < best->id)))
            best = run;
    }
    return best;
}

static int sweep_running(const Model *model, const ModelSweep *sweep) {
    int count = 0;
    for (int i = 0; i < RUNS; i++)
        count += model->runs[i].id && model->runs[i].state == RUN_RUNNING && sweep_has(sweep, &model->runs[i]);
    return count;
}

/* The active sweep with the fewest runs under way, the oldest of equals. */
static const ModelSweep *sweep_next(Model *model) {
    const ModelSweep *chosen = NULL;
    for (int i = 0; i < SWEEPS; i++) {
        const ModelSweep *sweep = &model->sweeps[i];
        if (!sweep->id || strcmp(sweep->state, "active") != 0 || !sweep_dearest(model, sweep))
            continue;
        int fewer = chosen ? sweep_running(model, chosen) - sweep_running(model, sweep) : 1;
        if (fewer > 0 || (fewer == 0 && sweep->id < chosen->id))
            chosen = sweep;
    }
    return chosen;
}

static size_t sweep_share(const Model *model, const ModelSweep *sweep, const QueueRequest *request) {
    size_t pending = 0, holders = 0;
    for (int i = 0; i < RUNS; i++) {
        const ModelRun *run = &model->runs[i];
        pending += run->id && run->state == RUN_PENDING && sweep_has(sweep, run);
        holders += run->id && run->state == RUN_RUNNING;
    }
    holders = (holders > 0) + 1; /* all leases here are one worker's, who has no name */
    size_t fair = pending / (2 * (holders > request->workers ? holders : request->workers));
    fair = fair < request->runs_max ? fair : request->runs_max;
    return request->sweep_id != sweep->id || fair < 1 ? 1 : fair;
}

static void run_ends(Model *model, ModelRun *run, Outcome outcome, RunState result) {
    OldLease *old = &model->old[model->old_count++ % OLD_LEASES];
    *old = (OldLease){.attempt_id = run->attempt_id, .outcome = outcome};
    text_copy(old->token, sizeof old->token, run->token);
    run->failures += outcome_counts(outcome);
    if (outcome == OUTCOME_OK)
        run->state = result;
    else if (!run_wanted(model, run))
        run->state = RUN_CANCELLED;
    else if (outcome == OUTCOME_REFUSED || (outcome_counts(outcome) && run->failures >= RETRY_LIMIT))
        run->state = RUN_FAILED;
    else
        run->state = RUN_PENDING;
    run->cancelling = false;
    run->attempt_id = 0;
}

static void cancel_unwanted(Model *model) {
    for (int i = 0; i < RUNS; i++) {
        ModelRun *run = &model->runs[i];
        if (run->id && run->state == RUN_PENDING && !run_in(model, run, false))
            run->state = RUN_CANCELLED;
    }
}

/* ---- comparison ---- */

static void compare_run(Model *model, const ModelRun *run) {
    RunRecord record = run_of(model->store, run->id);
    assert_int_equal(record.state, run->state);
    assert_int_equal(record.attempts, run->attempts);
    assert_int_equal(record.failures, run->failures);
}

static void compare_all(Model *model) {
    for (int i = 0; i < RUNS; i++)
        if (model->runs[i].id)
            compare_run(model, &model->runs[i]);
    for (int i = 0; i < SWEEPS; i++) {
        if (model->sweeps[i].id) {
            SweepRecord record = sweep_of(model->store, model->sweeps[i].name);
            assert_string_equal(record.state, model->sweeps[i].state);
            assert_int_equal(record.runs, model->sweeps[i].widths * model->sweeps[i].seeds);
        }
    }
    assert_sound(model->store);
}

/* ---- operations ---- */

static int below(Model *model, int bound) {
    return (int)rng_below(&model->rng, (uint64_t)bound);
}

static ModelRun *pick_run(Model *model, int state) {
    int first = below(model, RUNS);
    for (int i = 0; i < RUNS; i++) {
        ModelRun *run = &model->runs[(first + i) % RUNS];
        if (run->id && (state < 0 || (int)run->state == state))
            return run;
    }
    return NULL;
}

static void learn_ids(Model *model, const ModelSweep *sweep) {
    RunRecord records[RUNS];
    RunFilter filter = {.sweep_id = sweep->id, .state = -1, .limit = RUNS};
    size_t count;
    int64_t next;
    assert_int_equal(store_run_list(model->store, &filter, records, &count, &next, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        ModelRun *run = &model->runs[(records[i].width - 8) * SEEDS + (int64_t)records[i].seed];
        assert_true(run->id == 0 || run->id == records[i].id);
        run->id = records[i].id;
    }
}

static void do_submit(Model *model) {
    ModelSweep *sweep = &model->sweeps[below(model, SWEEPS)];
    sweep->widths = 1 + below(model, WIDTHS);
    sweep->seeds = 1 + below(model, SEEDS);
    sweep->id = submit(model->store, sweep->name, sweep->widths, sweep->seeds, model->now).sweep_id;
    text_copy(sweep->state, sizeof sweep->state, "active");
    learn_ids(model, sweep);
    for (int i = 0; i < RUNS; i++) {
        ModelRun *run = &model->runs[i];
        if (sweep_has(sweep, run)) {
            run->state = run->state == RUN_CANCELLED ? RUN_PENDING : run->state;
            run->cancelling = false;
        }
    }
    cancel_unwanted(model);
}

static void do_set_state(Model *model) {
    static const char *const states[] = {"active", "active", "active", "paused", "cancelled"};
    ModelSweep *sweep = &model->sweeps[below(model, SWEEPS)];
    const char *state = states[below(model, 5)];
    int64_t changed;
    if (!sweep->id)
        return;
    bool cancelled = !strcmp(sweep->state, "cancelled");
    int expected = cancelled && strcmp(state, "cancelled") != 0 ? STORE_CONFLICT : 0;
    assert_int_equal(store_sweep_set_state(model->store, sweep->id, state, model->now, &changed, NULL), expected);
    if (!cancelled) {
        text_copy(sweep->state, sizeof sweep->state, state);
        cancel_unwanted(model);
    }
}

static void lease_came(Model *model, ModelRun *expected, const QueueLease *lease) {
    assert_int_equal(lease->run_id, expected->id);
    assert_int_equal(lease->run.model.width, 8 + expected->width);
    assert_int_equal(lease->run.seed, expected->seed);
    expected->state = RUN_RUNNING;
    expected->attempts++;
    expected->attempt_id = lease->attempt_id;
    expected->expires_at = model->now + 60;
    assert_int_equal(lease->attempt_number, expected->attempts);
    text_copy(expected->token, sizeof expected->token, lease->token);
    compare_run(model, expected);
}

static void do_lease(Model *model) {
    enum { SOME = 8 };
    const ModelSweep *sweep = sweep_next(model);
    Environment environment = {.host = "here", .threads = 1};
    QueueLease leases[SOME];
    size_t count, expected = 0;
    int64_t sweep_id;
    QueueRequest request = {.environment = &environment,
                            .worker = "",
                            .runs_max = (size_t)(1 + below(model, SOME)),
                            .sweep_id = model->sweeps[below(model, SWEEPS)].id,
                            .workers = (size_t)below(model, 4)};
    size_t share = sweep ? sweep_share(model, sweep, &request) : 0;
    int result = queue_lease(model->queue, &request, model->now, leases, &count, &sweep_id, NULL);
    assert_int_equal(result, sweep ? 0 : QUEUE_EMPTY);
    assert_int_equal(sweep_id, sweep ? sweep->id : 0);
    for (bool alone = false; expected < share && !alone; expected++) {
        ModelRun *run = sweep_dearest(model, sweep);
        if (!run || (expected > 0 && run->attempts > 0))
            break;
        alone = run->attempts > 0;
        assert_true(expected < count);
        lease_came(model, run, &leases[expected]);
    }
    assert_int_equal(count, expected);
}

static void do_heartbeat(Model *model) {
    ModelRun *run = pick_run(model, RUN_RUNNING);
    QueueDirective directive;
    if (!run)
        return;
    Point point = point_at(1 + below(model, 20), 0.5);
    assert_int_equal(
        queue_points(model->queue, run->attempt_id, run->token, &point, 1, (double)point.step, point.flops, model->now, &directive, NULL),
        0);
    assert_int_equal(directive, run_wanted(model, run) ? QUEUE_CONTINUE : QUEUE_DROP);
    run->expires_at = model->now + 60;
    if (directive == QUEUE_DROP)
        run_ends(model, run, OUTCOME_PREEMPTED, RUN_CANCELLED);
    compare_run(model, run);
}

static void do_result(Model *model) {
    /* Few are ok, so that runs are left until the end. */
    static const Outcome outcomes[] = {OUTCOME_OK,      OUTCOME_CRASHED,       OUTCOME_CRASHED,   OUTCOME_CRASHED,
                                       OUTCOME_TIMEOUT, OUTCOME_OUT_OF_MEMORY, OUTCOME_PREEMPTED, OUTCOME_REFUSED};
    ModelRun *run = pick_run(model, RUN_RUNNING);
    if (!run)
        return;
    Outcome outcome = outcomes[below(model, 8)];
    RunState state = below(model, 4) ? RUN_DONE : RUN_DIVERGED;
    Point point = point_at(20, 0.25);
    assert_int_equal(queue_result(model->queue, run->attempt_id, run->token, outcome, state, "", NULL, &point, 1, model->now, NULL), 0);
    run_ends(model, run, outcome, state);
    compare_run(model, run);
}

/* A message of an attempt that is over: refused, but for the repeat of what ended it; no run changes. */
static void do_stale(Model *model) {
    if (model->old_count == 0)
        return;
    size_t kept = model->old_count < OLD_LEASES ? model->old_count : OLD_LEASES;
    const OldLease *old = &model->old[below(model, (int)kept)];
    QueueDirective directive;
    assert_int_equal(queue_heartbeat(model->queue, old->attempt_id, old->token, 1, 1, model->now, &directive, NULL), QUEUE_STALE);
    assert_int_equal(directive, QUEUE_DROP);
    int expected = old->outcome == OUTCOME_OK ? 0 : QUEUE_STALE;
    assert_int_equal(queue_result(model->queue, old->attempt_id, old->token, OUTCOME_OK, RUN_DONE, "", NULL, NULL, 0, model->now, NULL),
                     expected);
    ModelRun *run = pick_run(model, RUN_RUNNING);
    if (run) {
        assert_int_equal(queue_result(model->queue, run->attempt_id, old->token, OUTCOME_OK, RUN_DONE, "", NULL, NULL, 0, model->now, NULL),
                         QUEUE_STALE);
    }
}

static void do_time(Model *model) {
    model->now += below(model, 40);
    assert_int_equal(queue_expire(model->queue, model->now, NULL), 0);
    for (int i = 0; i < RUNS; i++) {
        ModelRun *run = &model->runs[i];
        if (run->state == RUN_RUNNING && run->id && run->expires_at <= model->now) {
            run_ends(model, run, OUTCOME_LOST, RUN_PENDING);
            compare_run(model, run);
        }
    }
}

static void do_retry(Model *model) {
    ModelRun *run = pick_run(model, -1);
    int64_t changed;
    if (!run)
        return;
    bool live = run_in(model, run, false), over = run->state == RUN_FAILED || run->state == RUN_CANCELLED;
    assert_int_equal(store_retry(model->store, 0, run->id, model->now, &changed, NULL), live ? 0 : STORE_CONFLICT);
    assert_int_equal(changed, live && over);
    if (live) {
        run->cancelling = false;
        run->failures = over ? 0 : run->failures;
        run->state = over ? RUN_PENDING : run->state;
    }
    compare_run(model, run);
}

static void do_cancel(Model *model) {
    ModelRun *run = pick_run(model, -1);
    int64_t changed;
    if (!run)
        return;
    bool over = run->state == RUN_DONE || run->state == RUN_DIVERGED || run->state == RUN_FAILED;
    assert_int_equal(store_run_cancel(model->store, run->id, model->now, &changed, NULL), over ? STORE_CONFLICT : 0);
    if (run->state == RUN_RUNNING)
        run->cancelling = true;
    else if (run->state == RUN_PENDING)
        run->state = RUN_CANCELLED;
    compare_run(model, run);
}

static void model_open(Model *model) {
    QueueSettings settings = {.retry_limit = RETRY_LIMIT};
    model->store = store_at(model->home);
    assert_int_equal(queue_new(&model->queue, model->store, &settings, model->now, NULL), 0);
    if (model->batched)
        assert_int_equal(store_batch_begin(model->store, NULL), 0);
}

static void model_close(Model *model) {
    queue_free(model->queue);
    store_free(model->store);
}

static void model_commit(Model *model) {
    if (model->batched) {
        assert_int_equal(store_batch_end(model->store, NULL), 0);
        assert_int_equal(store_batch_begin(model->store, NULL), 0);
    }
}

static void do_restart(Model *model) {
    model_commit(model);
    model_close(model);
    model_open(model);
    for (int i = 0; i < RUNS; i++)
        model->runs[i].expires_at = model->now + 60;
}

static void do_anything(Model *model) {
    typedef void (*Operation)(Model *);
    static const struct {
        Operation operation;
        int weight;
    } table[] = {{do_lease, 30}, {do_heartbeat, 20}, {do_result, 20}, {do_stale, 6},     {do_time, 10},
                 {do_retry, 6},  {do_cancel, 2},     {do_submit, 3},  {do_set_state, 4}, {do_restart, 1}};
    int at = below(model, 102);
    for (size_t i = 0; i < sizeof table / sizeof *table; at -= table[i++].weight) {
        if (at < table[i].weight) {
            table[i].operation(model);
            return;
        }
    }
}

static void check_model(void **state, uint64_t seed, bool batched, int operations) {
    home_setup(state);
    Model model = {.home = *state, .now = 1000, .batched = batched};
    rng_init(&model.rng, seed, 1);
    for (int i = 0; i < RUNS; i++) {
        model.runs[i].width = i / SEEDS;
        model.runs[i].seed = i % SEEDS;
    }
    for (int i = 0; i < SWEEPS; i++)
        model.sweeps[i].name[0] = (char)('a' + i);
    model_open(&model);
    for (int i = 0; i < operations; i++) {
        do_anything(&model);
        if (i % 50 == 0) {
            compare_all(&model);
            model_commit(&model);
        }
    }
    compare_all(&model);
    model_close(&model);
    home_teardown(state);
}

static void test_the_queue_does_what_its_model_does(void **state) {
    check_model(state, 1, false, 300);
}

static void test_so_it_does_in_batches(void **state) {
    for (uint64_t seed = 2; seed < 4; seed++)
        check_model(state, seed, true, 2500);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_queue_does_what_its_model_does),
                                       cmocka_unit_test(test_so_it_does_in_batches)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
