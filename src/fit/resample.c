/* The bootstrap's machinery. A resample is decided by (seed, index) alone, so that the number of threads changes nothing. */
#include "internal.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MAX = 256, RESAMPLES_MIN = 20 };

typedef struct Keyed {
    int64_t key;
    size_t index;
} Keyed;

static int keyed_compare(const void *left, const void *right) {
    const Keyed *a = left, *b = right;
    return (a->key > b->key) - (a->key < b->key);
}

int fit_groups_init(FitGroups *groups, const FitPoint *points, size_t count, Error *error) {
    *groups = (FitGroups){.points = count};
    Keyed *keyed = calloc(count + 1, sizeof *keyed);
    groups->of_point = calloc(count + 1, sizeof *groups->of_point);
    if (keyed == NULL || groups->of_point == NULL) {
        free(keyed);
        fit_groups_deinit(groups);
        return error_set_memory(error, "out of memory for %zu points", count);
    }
    for (size_t i = 0; i < count; i++) {
        keyed[i] = (Keyed){points[i].configuration, i};
    }
    qsort(keyed, count, sizeof *keyed, keyed_compare);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || keyed[i].key != keyed[i - 1].key) {
            groups->count++;
        }
        groups->of_point[keyed[i].index] = groups->count - 1;
    }
    free(keyed);
    return 0;
}

void fit_groups_deinit(FitGroups *groups) {
    if (groups != NULL) {
        free(groups->of_point);
        *groups = (FitGroups){0};
    }
}

void fit_groups_draw(const FitGroups *groups, size_t draws, uint64_t seed, int64_t index, double *weights) {
    Rng rng;
    rng_init(&rng, seed, (uint64_t)index);
    memset(weights, 0, groups->count * sizeof *weights);
    for (size_t i = 0; i < draws; i++) {
        weights[rng_below(&rng, groups->count)] += 1;
    }
}

typedef struct Crew {
    void (*work)(void *context, int member, int64_t index);
    void *context;
    int64_t count;
    atomic_int_fast64_t next, done;
    atomic_int members;
} Crew;

static bool crew_step(Crew *crew, int member) {
    int64_t index = atomic_fetch_add(&crew->next, 1);
    if (index >= crew->count) {
        return false;
    }
    crew->work(crew->context, member, index);
    atomic_fetch_add(&crew->done, 1);
    return true;
}

static void *crew_member(void *context) {
    Crew *crew = context;
    int member = atomic_fetch_add(&crew->members, 1);
    while (crew_step(crew, member)) {
    }
    return NULL;
}

int fit_members(int threads) {
    return threads < 1 ? 1 : threads > THREADS_MAX ? THREADS_MAX : threads;
}

void fit_parallel(int64_t count, const FitOptions *options, bool report, void (*work)(void *context, int member, int64_t index),
                  void *context) {
    /* The calling thread is member 0 and works too; a thread that cannot be had costs time only. */
    Crew crew = {.work = work, .context = context, .count = count, .members = 1};
    report = report && options->on_progress != NULL;
    pthread_t threads[THREADS_MAX];
    int members = fit_members(options->threads), started = 0;
    while (started + 1 < members && started + 1 < count && pthread_create(&threads[started], NULL, crew_member, &crew) == 0) {
        started++;
    }
    while (crew_step(&crew, 0)) {
        if (report) {
            options->on_progress(options->context, atomic_load(&crew.done), count);
        }
    }
    for (int i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
    if (report) {
        options->on_progress(options->context, count, count);
    }
}

/* ---- the bootstrap of any method ---- */

typedef struct Bootstrap {
    const FitRefit *refit;
    const FitGroups *groups;
    const FitOptions *options;
    size_t columns, room; /* room: bytes of each member's memory */
    char *memory;         /* [members][room]: a refit's scratch, then the weights of the groups */
    double *cloud;        /* the first column is NaN where the resample was refused */
} Bootstrap;

static size_t round_to_cache_lines(size_t size) {
    return (size + 63) / 64 * 64;
}

static void bootstrap_refit(void *context, int member, int64_t index) {
    const Bootstrap *work = context;
    char *scratch = work->memory + (size_t)member * work->room;
    double *weights = (double *)(void *)(scratch + round_to_cache_lines(work->refit->scratch_size));
    double *draw = work->cloud + (size_t)index * work->columns;
    size_t draws = work->refit->draws == 0 ? work->groups->count : work->refit->draws;
    fit_groups_draw(work->groups, draws, work->options->seed, index, weights);
    if (!work->refit->make(work->refit->context, weights, scratch, draw)) {
        draw[0] = NAN;
    }
}

/* Closes the gaps that refused resamples left. */
static void cloud_compact(Fit *fit, int64_t resamples) {
    const size_t columns = fit->cloud_columns;
    for (size_t i = 0; i < (size_t)resamples; i++) {
        if (!isnan(fit->cloud[i * columns])) {
            memmove(fit->cloud + fit->cloud_count++ * columns, fit->cloud + i * columns, columns * sizeof *fit->cloud);
        }
    }
}

static int cloud_set_intervals(Fit *fit, double level, Error *error) {
    FitEstimate *estimates[FIT_FRONTIER_COLUMNS + FIT_PARAMETERS_MAX];
    size_t columns = 0;
    if (fit_method_has_frontier(fit->method)) {
        estimates[columns++] = &fit->params.exponent;
        estimates[columns++] = &fit->params.coefficient;
        estimates[columns++] = &fit->examples.exponent;
        estimates[columns++] = &fit->examples.coefficient;
    }
    for (size_t i = 0; i < fit->parameter_count; i++) {
        estimates[columns++] = &fit->parameters[i].estimate;
    }
    for (size_t i = 0; i < columns; i++) {
        if (fit_estimate_interval(estimates[i], fit->cloud + i, fit->cloud_count, fit->cloud_columns, level, error) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < fit->parameter_count; i++) {
        FitParameter *parameter = &fit->parameters[i];
        if (parameter->at_bound) {
            parameter->estimate = fit_estimate(parameter->estimate.value);
        }
    }
    return 0;
}

/* Warns about refused resamples; returns false when too few are left to state an interval. */
static bool cloud_is_enough(size_t kept, size_t asked, FitWarnings *warnings) {
    bool enough = kept * 2 >= asked && kept >= RESAMPLES_MIN;
    if (kept < asked) {
        fit_warn(warnings, "resamples_refused", "%zu of %zu resamples could not be fitted; %s", asked - kept, asked,
                 enough ? "the intervals describe the rest and may be too narrow." : "too few are left to state an interval.");
    }
    if (asked < RESAMPLES_MIN) {
        fit_warn(warnings, "few_resamples", "%zu resamples are too few to state an interval: ask for 1000.", asked);
    }
    return enough;
}

int fit_bootstrap(Fit *fit, const FitGroups *groups, const FitRefit *refit, const FitOptions *options, Error *error) {
    if (options->resamples <= 0) {
        return 0;
    }
    size_t resamples = (size_t)options->resamples, members = (size_t)fit_members(options->threads);
    fit->cloud_columns = (fit_method_has_frontier(fit->method) ? FIT_FRONTIER_COLUMNS : 0) + fit->parameter_count;
    Bootstrap work = {refit, groups, options, fit->cloud_columns, 0, NULL, NULL};
    work.room = round_to_cache_lines(refit->scratch_size) + round_to_cache_lines(groups->count * sizeof(double));
    work.memory = aligned_alloc(64, members * work.room);
    work.cloud = fit->cloud = calloc(resamples * fit->cloud_columns, sizeof *fit->cloud);
    if (work.memory == NULL || work.cloud == NULL) {
        free(work.memory);
        return error_set_memory(error, "out of memory for %zu resamples", resamples);
    }
    fit_parallel(options->resamples, options, true, bootstrap_refit, &work);
    free(work.memory);
    cloud_compact(fit, options->resamples);
    return cloud_is_enough(fit->cloud_count, resamples, &fit->warnings) ? cloud_set_intervals(fit, options->level, error) : 0;
}

/* ---- estimates ---- */

double fit_quantile(const double *sorted, size_t count, double p) {
    if (count == 0) {
        return NAN;
    }
    double position = p * (double)(count - 1);
    size_t below = (size_t)position;
    if (below + 1 >= count) {
        return sorted[count - 1];
    }
    double part = position - (double)below;
    return part == 0 ? sorted[below] : sorted[below] * (1 - part) + sorted[below + 1] * part;
}

int fit_estimate_interval(FitEstimate *estimate, const double *column, size_t count, size_t stride, double level, Error *error) {
    double *sorted = calloc(count + 1, sizeof *sorted);
    if (sorted == NULL) {
        return error_set_memory(error, "out of memory for %zu resamples", count);
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = column[i * stride];
    }
    qsort(sorted, count, sizeof *sorted, doubles_compare);
    estimate->lo = fit_quantile(sorted, count, (1 - level) / 2);
    estimate->hi = fit_quantile(sorted, count, (1 + level) / 2);
    free(sorted);
    return 0;
}
