#include "nearest_model.h"

#include <math.h>

enum { WIDTH_MAX = 65536 }; /* what a sweep file takes */

static void add_depth(NearestModels *out, int64_t depth) {
    for (size_t i = 0; i < out->depth_count; i++)
        if (out->depths[i] == depth)
            return;
    if (out->depth_count < NEAREST_DEPTHS_MAX)
        out->depths[out->depth_count++] = depth;
}

static Run run_of(const NearestModels *models, int64_t depth, int64_t width) {
    Run run = models->base;
    run.model.depth = depth;
    run.model.width = width;
    return run;
}

/* Of one kind, and of sizes that nothing but depth and width decides. */
static bool is_alike(const NearestModels *models, const Run *run) {
    const Architecture *a = &models->base.model, *b = &run->model;
    Run same = run_of(models, b->depth, b->width);
    return a->kind == b->kind && a->form == b->form && a->inputs == b->inputs && a->classes == b->classes && a->expansion == b->expansion &&
           nearest_model_params(models, &same) == nearest_model_params(models, run);
}

static bool grows_with_width(const NearestModels *models) {
    Run narrow = run_of(models, models->base.model.depth, 1), wide = run_of(models, models->base.model.depth, WIDTH_MAX);
    return nearest_model_params(models, &narrow) < nearest_model_params(models, &wide);
}

static const char *collect(NearestModels *out, const Sweep *sweep) {
    SweepCursor cursor;
    Run run;
    sweep_cursor_init(&cursor, sweep);
    for (bool first = true; sweep_cursor_next(&cursor, &run); first = false) {
        if (first)
            out->base = run;
        if (!is_alike(out, &run))
            return "the sweep's models are of several kinds";
        add_depth(out, run.model.depth);
    }
    if (sweep_is_external(sweep) && !*out->base.program.params)
        return "the program tells its parameters itself, so that those of other widths are not known";
    return grows_with_width(out) ? NULL : "parameters do not grow with width by trainer.params";
}

void nearest_models_find(NearestModels *out, const Study *study) {
    *out = (NearestModels){.body_params = study->options.body_params};
    if (study->file)
        out->none = collect(out, study->file);
    if (out->none)
        out->depth_count = 0;
}

int64_t nearest_model_params(const NearestModels *models, const Run *run) {
    return models->body_params ? run_params_body(run) : run_params(run);
}

static double miss(const NearestModels *models, const Run *run, double params) {
    double count = (double)nearest_model_params(models, run);
    return count > 0 ? fabs(log(count / params)) : INFINITY;
}

/* Counts grow with width, so the widest model below the optimum is found by halving, and the one above it is its neighbour. */
bool nearest_model_of_depth(const NearestModels *models, int64_t depth, double params, Run *out) {
    int64_t low = 1, high = WIDTH_MAX;
    if (models->depth_count == 0 || !isfinite(params) || params <= 0)
        return false;
    while (low < high) {
        int64_t middle = low + (high - low + 1) / 2;
        Run run = run_of(models, depth, middle);
        if ((double)nearest_model_params(models, &run) <= params)
            low = middle;
        else
            high = middle - 1;
    }
    Run below = run_of(models, depth, low), above = run_of(models, depth, low + (low < WIDTH_MAX));
    *out = miss(models, &above, params) < miss(models, &below, params) ? above : below;
    return true;
}

bool nearest_model_find(const NearestModels *models, double params, Run *out) {
    bool found = false;
    for (size_t i = 0; i < models->depth_count; i++) {
        Run run;
        if (!nearest_model_of_depth(models, models->depths[i], params, &run))
            continue;
        double gain = found ? miss(models, out, params) - miss(models, &run, params) : 1;
        if (gain > 0 || (gain >= 0 && run.model.depth < out->model.depth))
            *out = run;
        found = true;
    }
    return found;
}
