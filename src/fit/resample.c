/* The bootstrap's machinery. A resample is decided by (seed, index) alone, so that the number of threads changes nothing. */
#include "internal.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MAX = 256 };

typedef struct Keyed {
    int64_t key;
    size_t index;
} Keyed;

static int keyed_compare(const void *left, const void *right) {
    const Keyed *a = left, *b = right;
    return (a->key > b->key) - (a->key < b->key);
}

int fit_groups_init(FitGroups *groups, const FitPoint *points, size_t count, Error *error) {
    *groups = (FitGroups){0};
    Keyed *keyed = calloc(count + 1, sizeof *keyed);
    groups->of_point = calloc(count + 1, sizeof *groups->of_point);
    if (keyed == NULL || groups->of_point == NULL) {
        free(keyed);
        fit_groups_deinit(groups);
        return error_set(error, "out of memory for %zu points", count);
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

void fit_groups_draw(const FitGroups *groups, uint64_t seed, int64_t index, double *weights) {
    Rng rng;
    rng_init(&rng, seed, (uint64_t)index);
    memset(weights, 0, groups->count * sizeof *weights);
    for (size_t i = 0; i < groups->count; i++) {
        weights[rng_below(&rng, groups->count)] += 1;
    }
}

typedef struct Crew {
    void (*work)(void *context, int64_t index);
    void *context;
    int64_t count;
    atomic_int_fast64_t next, done;
} Crew;

static bool crew_step(Crew *crew) {
    int64_t index = atomic_fetch_add(&crew->next, 1);
    if (index >= crew->count) {
        return false;
    }
    crew->work(crew->context, index);
    atomic_fetch_add(&crew->done, 1);
    return true;
}

static void *crew_member(void *context) {
    while (crew_step(context)) {
    }
    return NULL;
}

void fit_parallel(int64_t count, const FitOptions *options, bool report, void (*work)(void *context, int64_t index), void *context) {
    Crew crew = {.work = work, .context = context, .count = count};
    report = report && options->on_progress != NULL;
    pthread_t threads[THREADS_MAX];
    int wanted = options->threads > THREADS_MAX ? THREADS_MAX : options->threads, started = 0;
    /* The calling thread works too; a thread that cannot be had costs time only. */
    while (started + 1 < wanted && started + 1 < count && pthread_create(&threads[started], NULL, crew_member, &crew) == 0) {
        started++;
    }
    while (crew_step(&crew)) {
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

static int double_compare(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

int fit_estimate_interval(FitEstimate *estimate, const double *column, size_t count, size_t stride, double level, Error *error) {
    double *sorted = calloc(count + 1, sizeof *sorted);
    if (sorted == NULL) {
        return error_set(error, "out of memory for %zu resamples", count);
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = column[i * stride];
    }
    qsort(sorted, count, sizeof *sorted, double_compare);
    estimate->lo = fit_quantile(sorted, count, (1 - level) / 2);
    estimate->hi = fit_quantile(sorted, count, (1 + level) / 2);
    free(sorted);
    return 0;
}

bool fit_cloud_enough(size_t kept, int64_t resamples, FitWarnings *warnings) {
    size_t asked = (size_t)resamples;
    if (asked == 0) {
        return false;
    }
    bool enough = kept * 2 >= asked && kept >= 20;
    if (kept < asked) {
        fit_warn(warnings, "resamples_refused", "%zu of %zu resamples could not be fitted; %s", asked - kept, asked,
                 enough ? "the intervals describe the rest and may be too narrow." : "too few are left to state an interval.");
    }
    if (asked < 20) {
        fit_warn(warnings, "few_resamples", "%zu resamples are too few to state an interval: ask for 1000.", asked);
    }
    return enough;
}
