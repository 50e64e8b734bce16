/* The loop, the same for every trainer. A point is given before the step it belongs to can be part of a checkpoint, so a resumed run never
 * misses one; it may give one again that was given after the checkpoint it resumes from. */
#include "sweepd/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double chunk_seconds = 0.05;

static const double chunk_growth = 8;
static const double chunk_max = 1e18; /* steps that take no time: simulated runs may have any number */

typedef struct Progress {
    Trainer *trainer;
    const TrainLoop *loop;
    int64_t chunk;       /* steps between two looks at the world */
    double checkpointed; /* monotonic time */
} Progress;

static int checkpoint(Progress *progress, Error *error) {
    const TrainLoop *loop = progress->loop;
    progress->checkpointed = clock_monotonic();
    if (!loop->checkpoint_path)
        return 0;
    if (loop->on_checkpoint && loop->on_checkpoint(loop->context, error))
        return -1;
    return progress->trainer->interface->save(progress->trainer, loop->checkpoint_path, error);
}

static int64_t chunk_next(int64_t steps, double seconds) {
    double fitting = seconds > 0 ? (double)steps * chunk_seconds / seconds : chunk_max;
    double most = (double)steps * chunk_growth;
    fitting = fitting < most ? fitting : most;
    return fitting < 1 ? 1 : fitting > chunk_max ? (int64_t)chunk_max : (int64_t)fitting;
}

/* To the step `target`: 0, TRAIN_STOPPED, TRAIN_DIVERGED, TRAIN_UNSAVED, -1. */
static int advance(Progress *progress, int64_t target, Error *error) {
    Trainer *trainer = progress->trainer;
    const TrainLoop *loop = progress->loop;
    while (trainer->step < target) {
        if (loop->should_stop && loop->should_stop(loop->context))
            return checkpoint(progress, error) ? TRAIN_UNSAVED : TRAIN_STOPPED;
        int64_t left = target - trainer->step, step = trainer->step;
        double seconds = trainer->seconds;
        int result = trainer->interface->step(trainer, progress->chunk < left ? progress->chunk : left, error);
        if (result)
            return result;
        progress->chunk = chunk_next(trainer->step - step, trainer->seconds - seconds);
        if (loop->on_progress)
            loop->on_progress(loop->context, trainer);
        bool due = clock_monotonic() - progress->checkpointed >= loop->checkpoint_seconds;
        if (due && trainer->step < target && checkpoint(progress, error))
            return TRAIN_UNSAVED;
    }
    return 0;
}

/* The loss on the training examples was measured, and is no number. A trainer that does not measure it says nothing. */
static bool point_is_lost(const Point *point) {
    for (size_t i = 0; i < point->metric_count; i++)
        if (!strcmp(point->metrics[i].name, "train_loss"))
            return !isfinite(point->metrics[i].value);
    return false;
}

/* Measures and hands on. 0, or as train_run. */
static int give_point(Trainer *trainer, const TrainLoop *loop, Error *error) {
    Point point = {0};
    if (trainer->interface->evaluate(trainer, &point, error))
        return -1;
    bool finished = trainer->step == trainer->steps && !point_is_lost(&point) && trainer->interface->finish;
    int result = finished ? trainer->interface->finish(trainer, loop, &point, error) : 0;
    if (result)
        return result;
    if (loop->on_point && loop->on_point(loop->context, &point, error))
        return -1;
    return point_is_lost(&point) ? TRAIN_DIVERGED : 0;
}

static int run_from(Progress *progress, const int64_t *steps, size_t count, Error *error) {
    Trainer *trainer = progress->trainer;
    for (size_t i = 0; i < count; i++) {
        if (steps[i] <= trainer->step && i + 1 < count)
            continue;
        int result = advance(progress, steps[i], error);
        if (result && result != TRAIN_DIVERGED)
            return result;
        int given = give_point(trainer, progress->loop, error);
        if (given || result)
            return given ? given : result;
    }
    return 0;
}

int train_run(Trainer *trainer, const TrainLoop *loop, Error *error) {
    if (trainer->interface->run)
        return trainer->interface->run(trainer, loop, error);
    size_t capacity = trainer->run.evaluations > 1 ? (size_t)trainer->run.evaluations : 1;
    int64_t *steps = calloc(capacity, sizeof *steps);
    if (!steps)
        return error_set_memory(error, "no memory for the steps of %zu points", capacity);
    Progress progress = {.trainer = trainer, .loop = loop, .chunk = 1, .checkpointed = clock_monotonic()};
    int result = run_from(&progress, steps, run_evaluation_steps(&trainer->run, steps, capacity), error);
    free(steps);
    return result;
}
