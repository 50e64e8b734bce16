#include "figures.h"

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

/* Of a path the file's name. */
static const char *last_part(const char *name) {
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

static PlotStudy describe(const Fits *fits, const Curves *curves) {
    const Study *study = fits->study;
    const Dataset *dataset = sweep_dataset_find(study->sweep.data);
    PlotStudy plot = {
        .sweep = study->name,
        .data_title = dataset ? dataset->title : study->sweep.data,
        .metric = study->options.metric,
        .flops_text = flop_count_words(study->options.flops),
        .points = study->points,
        .point_count = study->point_count,
        .curves = curves->items,
        .curve_count = curves->count,
    };
    if (study->of_table) {
        plot.sweep = last_part(study->name);
        plot.data_title = "";
        plot.flops_text = "as the table's column flops counts them";
    }
    for (FitMethod method = 0; method < FIT_METHODS; method++) {
        const FitRefusal *refusal = fits_refusal(fits, method);
        plot.fits[method] = fits_find(fits, method);
        plot.refusals[method] = refusal ? refusal->text : NULL;
    }
    return plot;
}

static int no_gnuplot(Error *error) {
    error_set(error, "gnuplot is not installed, so no figures were drawn; install the package gnuplot-nox");
    return CLI_FAILED;
}

/* Kinds that have nothing to draw are passed over as long as another has. */
static int draw_kinds(const PlotStudy *plot, unsigned kinds, const char *directory, Buffer *paths, Error *error) {
    int result = 0;
    size_t drawn = 0;
    for (PlotKind kind = 0; kind < PLOT_KINDS && result >= 0; kind++) {
        if (!(kinds & 1u << kind))
            continue;
        int one = plot_draw(plot, kind, directory, paths, error);
        if (one == PLOT_NOTHING && kinds != 1u << kind)
            cli_note("no figure '%s': %s", plot_kind_text(kind), error->text);
        drawn += one == 0;
        if (one != PLOT_NOTHING && one != 0)
            return one < 0 ? one : no_gnuplot(error);
        result = one;
    }
    return drawn ? 0 : CLI_FAILED; /* the last error says what is missing */
}

int figures_draw(const Fits *fits, unsigned kinds, const FitHoldout *holdout, Source *source, const char *directory, Error *error) {
    Curves curves = {0};
    Buffer paths;
    buffer_init(&paths, PATHS_MAX);
    int result = directory_make(directory, 0755, error);
    if (!result && source && kinds & 1u << PLOT_CURVES)
        result = curves_load(&curves, fits->study, source, error);
    if (!result) {
        PlotStudy plot = describe(fits, &curves);
        plot.holdout = holdout;
        result = draw_kinds(&plot, kinds, directory, &paths, error);
    }
    if (paths.size && cli_print(&paths, error) < 0 && !result)
        result = -1;
    buffer_deinit(&paths);
    curves_deinit(&curves);
    return result;
}

/* The first in the order of fits that every study has, with a frontier; FIT_METHODS: none. */
static FitMethod common_method(const Fits *fits, size_t count) {
    for (size_t i = 0; i < FIT_METHODS; i++) {
        size_t have = 0;
        for (size_t j = 0; j < count; j++)
            have += fits_find(&fits[j], fits_order[i]) && fit_method_has_frontier(fits_order[i]);
        if (have == count)
            return fits_order[i];
    }
    return FIT_METHODS;
}

int figures_compare(const Fits *fits, size_t count, const char *directory, bool print, Error *error) {
    FitMethod method = common_method(fits, count);
    if (method == FIT_METHODS) {
        error_set(error, "no figure: there is no method by which all of them were fitted");
        return CLI_FAILED;
    }
    PlotSeries *series = calloc(count, sizeof *series);
    char title[160];
    Buffer paths;
    if (!series)
        return error_set(error, "out of memory");
    for (size_t i = 0; i < count; i++)
        series[i] = (PlotSeries){last_part(fits[i].study->name), fits[i].study->options.metric, fits_find(&fits[i], method),
                                 fits[i].study->points, fits[i].study->point_count};
    snprintf(title, sizeof title, "frontiers of %zu studies (%s)", count, fit_method_text(method));
    const Curves none = {0};
    PlotStudy plot = describe(&fits[0], &none);
    plot.sweep = "";
    plot.data_title = title;
    plot.series = series;
    plot.series_count = count;
    buffer_init(&paths, PATHS_MAX);
    int result = plot_draw(&plot, PLOT_COMPARISON, directory, &paths, error);
    result = result == PLOT_NO_GNUPLOT ? no_gnuplot(error) : result > 0 ? CLI_FAILED : result;
    if (print && paths.size && cli_print(&paths, error) < 0 && !result)
        result = -1;
    buffer_deinit(&paths);
    free(series);
    return result;
}
