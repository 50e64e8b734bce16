#include "figures.h"

#include "sweepd/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* More curves than this make no better figure, and each costs a request. */
enum { CURVES_MAX = 400, PATHS_MAX = 1 << 16 };

typedef struct Curves {
    PlotCurve *items; /* [count] */
    size_t count;
} Curves;

int figures_directory(char out[PATH_TEXT_MAX], const char *asked, const char *sweep, Error *error) {
    return asked ? path_format(out, error, "%s", asked) : path_format(out, error, "./%s-plots", sweep);
}

static void curves_deinit(Curves *curves) {
    for (size_t i = 0; i < curves->count; i++) {
        free((void *)(uintptr_t)curves->items[i].flops);
        free((void *)(uintptr_t)curves->items[i].metric);
    }
    free(curves->items);
}

static int curve_fill(PlotCurve *curve, const RunDetail *detail, const StudyOptions *options, Error *error) {
    double *flops = calloc(detail->point_count + 1, sizeof *flops), *metric = calloc(detail->point_count + 1, sizeof *metric);
    curve->flops = flops;
    curve->metric = metric;
    if (!flops || !metric)
        return error_set(error, "out of memory");
    const RunRecord *record = &detail->record;
    /* Points carry what was executed; the other conventions are that in proportion. */
    double scale = record->flops.exact > 0 ? flop_count_of(&record->flops, options->flops) / record->flops.exact : 1;
    for (size_t i = 0; i < detail->point_count; i++) {
        double value = point_metric(&detail->points[i], options->metric);
        if (!isfinite(value) || value <= 0)
            continue;
        flops[curve->count] = scale * detail->points[i].flops;
        metric[curve->count++] = value;
    }
    text_copy(curve->label, sizeof curve->label, record->model);
    curve->params = (double)(options->body_params ? record->params_body : record->params);
    curve->examples = (double)record->examples;
    return 0;
}

/* The finished runs of the first seed. */
static int curves_load(Curves *curves, const Study *study, Source *source, Error *error) {
    int result = 0;
    uint64_t seed = study->run_count ? study->runs[0].seed : 0;
    curves->items = calloc(CURVES_MAX, sizeof *curves->items);
    if (!curves->items)
        return error_set(error, "out of memory");
    for (size_t i = 0; i < study->run_count && curves->count < CURVES_MAX && !result; i++) {
        char name[32];
        RunDetail detail = {0};
        if (study->runs[i].seed != seed || study->runs[i].state != RUN_DONE)
            continue;
        snprintf(name, sizeof name, "%lld", (long long)study->runs[i].id);
        result = source_run(source, name, &detail, error);
        if (!result)
            result = curve_fill(&curves->items[curves->count++], &detail, &study->options, error);
        run_detail_deinit(&detail);
    }
    return result;
}

int figures_draw(const Study *study, const Fits *fits, Source *source, const char *directory, Error *error) {
    const Dataset *dataset = sweep_dataset_find(study->sweep.data);
    Curves curves = {0};
    Buffer paths;
    buffer_init(&paths, PATHS_MAX);
    int result = directory_make(directory, 0755, error);
    if (!result)
        result = curves_load(&curves, study, source, error);
    PlotStudy plot = {
        .sweep = study->sweep.name,
        .data_title = dataset ? dataset->title : study->sweep.data,
        .metric = study->options.metric,
        .flops_text = flop_count_words(study->options.flops),
        .points = study->points,
        .point_count = study->point_count,
        .curves = curves.items,
        .curve_count = curves.count,
        .parametric = fits->fitted & FIT_PARAMETRIC ? &fits->parametric : NULL,
        .isoflop = fits->fitted & FIT_ISOFLOP ? &fits->isoflop : NULL,
    };
    for (PlotKind kind = 0; kind < PLOT_KINDS && !result; kind++) {
        if (kind == PLOT_FRONTIER && !fits->fitted) {
            cli_note("no figure of the frontier, for there is no fit");
            continue;
        }
        result = plot_draw(&plot, kind, directory, &paths, error);
    }
    if (result == PLOT_NO_GNUPLOT) {
        error_set(error, "gnuplot is not installed, so no figures were drawn; install the package gnuplot-nox");
        result = CLI_FAILED;
    }
    if (result > 0)
        result = CLI_FAILED; /* there is nothing to draw */
    if (paths.size && cli_print(&paths, error) < 0 && !result)
        result = -1;
    buffer_deinit(&paths);
    curves_deinit(&curves);
    return result;
}
