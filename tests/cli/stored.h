/* A study in the store of a home that no daemon serves: its errors follow a known law, one run failed and one diverged. */
#pragma once

#include "cli.h"
#include "harness.h"

#include "sweepd/store.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char study_file[] = "version: 1\n"
                                 "name: study\n"
                                 "data: {name: fashion-mnist, validation: 1000}\n"
                                 "model: {kind: bmlp}\n"
                                 "grid:\n"
                                 "  depth: [1]\n"
                                 "  width: [8, 16, 32, 64]\n"
                                 "  examples: [1000, 2000, 4000, 8000]\n"
                                 "  seed: [0, 1]\n"
                                 "train:\n"
                                 "  epochs: 2\n"
                                 "  batch: 100\n"
                                 "  optimizer: {name: lion, lr: 1.0e-3}\n"
                                 "fit: {metric: validation_error, bootstrap: 0}\n";
enum { RUNS = 32, FAILED_RUN = 3, DIVERGED_RUN = 7 };
static const double now = 1.7e9;
static bool all_well;           /* no run fails or diverges */
static void (*lay_data)(void);  /* what the home has beside its store; NULL: nothing */
static const char *kept_text;   /* what the store keeps in place of the file; NULL: the file */
static const char *more_metric; /* that is measured, too; NULL: none */
static bool tells_sizes;        /* an external program that says its parameters itself, by told_params */
static const char *failed_detail = "signal 9 (Killed)";
static double best_rate; /* 0: the error grows with the rate, else with the distance from this one */

static inline void check(int result, const Error *error) {
    if (result != 0)
        fail_msg("%d: %s", result, error->text);
}

static inline double told_params(int64_t depth, int64_t width) {
    return 12.0 * (double)(depth * width * width);
}

static inline void tell_sizes(Store *store, const RunRecord *run) {
    Error error = {0};
    double params = told_params(run->depth, run->width), flops = 6 * params * (double)run->examples;
    check(store_run_tell(store, run->id, (int64_t)params, flops, flops, &error), &error);
}

static inline void finish_run(Store *store, const RunRecord *run, size_t index) {
    Error error = {0};
    AttemptStart start = {.run_id = run->id, .now = now, .expires_at = now + 60};
    AttemptRecord attempt;
    RunPlan plan;
    check(store_run_plan(store, run->id, &plan, &error), &error);
    Point point = {.step = plan.steps, .examples = 1000, .flops = run->flops.exact, .seconds = 0.5};
    memset(start.token, 'a', sizeof start.token - 1);
    text_copy(start.environment.host, sizeof start.environment.host, "elsewhere");
    text_copy(start.environment.backend, sizeof start.environment.backend, "openblas 0.0 Test");
    double params = tells_sizes ? told_params(run->depth, run->width) : (double)run->params;
    double loss = 0.1 + 2 * pow(params, -0.3) + 3 * pow((double)run->examples, -0.35) +
                  10 * (best_rate > 0 ? fabs(run->lr - best_rate) : run->lr - 1e-3);
    point_set_metric(&point, "validation_error", loss);
    point_set_metric(&point, "test_error", index == 0 ? NAN : loss + 0.01);
    point_set_metric(&point, "train_error", index == 1 ? 0 : loss);
    if (more_metric)
        point_set_metric(&point, more_metric, loss + 0.02);
    check(store_attempt_begin(store, &start, &attempt, &error), &error);
    if (index == FAILED_RUN && !all_well) {
        check(store_attempt_end(
                  store, attempt.id,
                  &(AttemptEnd){
                      .outcome = OUTCOME_CRASHED, .detail = failed_detail, .run_state = RUN_FAILED, .failures_add = 1, .now = now + 1},
                  &error),
              &error);
        return;
    }
    if (tells_sizes)
        tell_sizes(store, run);
    check(store_point_add(store, attempt.id, &point, 1, &error), &error);
    RunState state = index == DIVERGED_RUN && !all_well ? RUN_DIVERGED : RUN_DONE;
    check(store_attempt_end(store, attempt.id, &(AttemptEnd){.outcome = OUTCOME_OK, .detail = "", .run_state = state, .now = now + 1},
                            &error),
          &error);
}

/* text: a sweep file named study with at most RUNS runs; finished: how many of them. */
static inline void make_study_of(const char *text, size_t finished) {
    Error error = {0};
    Store *store;
    Sweep *sweep;
    SubmitRecord submitted;
    RunFilter filter = {.state = -1, .limit = RUNS};
    static RunRecord runs[RUNS];
    size_t count;
    int64_t next;
    harness_clean();
    check(directory_make(harness_home(), 0700, &error), &error);
    if (lay_data)
        lay_data();
    check(store_open(&store, harness_home(), STORE_WRITE, &error), &error);
    check(sweep_parse(&sweep, text, strlen(text), "study.yaml", &error), &error);
    const char *kept = kept_text ? kept_text : text;
    check(store_sweep_submit(store, sweep, kept, strlen(kept), now, &submitted, &error), &error);
    filter.sweep_id = submitted.sweep_id;
    check(store_run_list(store, &filter, runs, &count, &next, &error), &error);
    assert_in_range(count, finished, RUNS);
    for (size_t i = 0; i < finished; i++)
        finish_run(store, &runs[i], i);
    sweep_free(sweep);
    store_free(store);
}

static inline void make_study(size_t finished) {
    make_study_of(study_file, finished);
}

static inline void replace(char *text, size_t capacity, const char *old, const char *new) {
    char rest[2048];
    char *at = strstr(text, old);
    assert_non_null(at);
    text_copy(rest, sizeof rest, at + strlen(old));
    snprintf(at, capacity - (size_t)(at - text), "%s%s", new, rest);
}

/* The study with another axis in place of its two seeds. setting: what its file says of it, or "". */
static inline void make_study_along(const char *axis, const char *setting) {
    char text[2048];
    text_copy(text, sizeof text, study_file);
    replace(text, sizeof text, "seed: [0, 1]", axis);
    replace(text, sizeof text, setting, "");
    make_study_of(text, RUNS);
}
