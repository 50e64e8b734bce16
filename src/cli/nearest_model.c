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

static bool same_kind(const Architecture *a, const Architecture *b) {
    return a->kind == b->kind && a->form == b->form && a->inputs == b->inputs && a->classes == b->classes && a->expansion == b->expansion;
}

static void collect(NearestModels *out, const Sweep *sweep) {
    SweepCursor cursor;
    Run run;
    bool alike = true;
    sweep_cursor_init(&cursor, sweep);
    for (bool first = true; alike && sweep_cursor_next(&cursor, &run); first = false) {
        if (first)
            out->base = run.model;
        alike = same_kind(&out->base, &run.model);
        add_depth(out, run.model.depth);
    }
    if (!alike)
        out->depth_count = 0;
}

void nearest_models_find(NearestModels *out, const Study *study) {
    *out = (NearestModels){.body_params = study->options.body_params};
    if (study->file)
        collect(out, study->file);
}

int64_t nearest_model_params(const NearestModels *models, const Architecture *arch) {
    return models->body_params ? arch_params_body(arch) : arch_params_total(arch);
}

static double miss(const NearestModels *models, const Architecture *arch, double params) {
    return fabs(log((double)nearest_model_params(models, arch) / params));
}

/* Counts grow with width, so the widest model below the optimum is found by halving, and the one above it is its neighbour. */
bool nearest_model_of_depth(const NearestModels *models, int64_t depth, double params, Architecture *out) {
    Architecture below = models->base, above;
    int64_t low = 1, high = WIDTH_MAX;
    if (models->depth_count == 0 || !isfinite(params) || params <= 0)
        return false;
    below.depth = depth;
    while (low < high) {
        below.width = low + (high - low + 1) / 2;
        if ((double)nearest_model_params(models, &below) <= params)
            low = below.width;
        else
            high = below.width - 1;
    }
    below.width = low;
    above = below;
    above.width += above.width < WIDTH_MAX;
    *out = miss(models, &above, params) < miss(models, &below, params) ? above : below;
    return true;
}

bool nearest_model_find(const NearestModels *models, double params, Architecture *out) {
    bool found = false;
    for (size_t i = 0; i < models->depth_count; i++) {
        Architecture model;
        if (!nearest_model_of_depth(models, models->depths[i], params, &model))
            continue;
        double gain = found ? miss(models, out, params) - miss(models, &model, params) : 1;
        if (gain > 0 || (gain >= 0 && model.depth < out->depth))
            *out = model;
        found = true;
    }
    return found;
}
