/* The tables behind the figures: what a reader would want to plot again, and no more. */
#include "internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_POINTS = 121, BACKGROUND_CURVES = 400, FRONTIER_CELLS = 7, SHORT_LABEL = 22, SHORT_SIZE = 9 };
static const double LEVEL = 0.95, PAPER_PARAMS = 0.35, PAPER_EXAMPLES = 0.65, SAME = 1 + 1e-9;
static const double LINE_SHARE = 0.02; /* of an axis: a band this wide is hidden by the line in it */

/* Appends a cell, or "NaN", which gnuplot takes for a gap. */
static void append_cell(Buffer *table, double value, const char *end) {
    if (isfinite(value)) {
        buffer_append_double(table, value);
    } else {
        buffer_append_text(table, "NaN");
    }
    buffer_append_text(table, end);
}

static void append_row(Buffer *table, const double *cells, size_t count) {
    for (size_t i = 0; i < count; i++) {
        append_cell(table, cells[i], i + 1 < count ? "\t" : "\n");
    }
}

static int table_write(Figure *figure, Buffer *table, const char *suffix) {
    char path[PATH_TEXT_MAX];
    if (buffer_check(table, figure->error, "a table of the figure") < 0 ||
        path_format(path, figure->error, "%s/%s%s.tsv", figure->directory, figure->stem, suffix) < 0 ||
        file_write_atomic(path, table->data, table->size, 0644, figure->error) < 0) {
        return -1;
    }
    buffer_printf(&figure->tables, "%s\n", path);
    return 0;
}

static int double_compare(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Sorts and keeps one of each; returns how many. */
static size_t keep_distinct(double *values, size_t count) {
    qsort(values, count, sizeof *values, double_compare);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || values[i] > values[kept - 1] * SAME) {
            values[kept++] = values[i];
        }
    }
    return kept;
}

/* "7,106", "124.8 million". */
static void count_text(double value, char *out, size_t capacity) {
    long whole = lround(fmin(value, 1e15));
    if (whole >= 1000000000) {
        snprintf(out, capacity, "%.4g billion", value / 1e9);
    } else if (whole >= 1000000) {
        snprintf(out, capacity, "%.4g million", value / 1e6);
    } else if (whole >= 1000) {
        snprintf(out, capacity, "%ld,%03ld", whole / 1000, whole % 1000);
    } else {
        snprintf(out, capacity, "%ld", whole);
    }
}

static size_t index_of(const double *values, size_t count, double value) {
    size_t i = 0;
    while (i + 1 < count && value > values[i] * SAME) {
        i++;
    }
    return i;
}

typedef struct Range {
    double low, high;
} Range;

/* What the runs span. */
typedef struct Ranges {
    Range params, examples, flops;
} Ranges;

static void range_take(Range *range, double value) {
    range->low = fmin(range->low, value);
    range->high = fmax(range->high, value);
}

static Ranges study_ranges(const PlotStudy *study) {
    const Range none = {INFINITY, 0};
    Ranges ranges = {none, none, none};
    for (size_t i = 0; i < study->point_count; i++) {
        range_take(&ranges.params, study->points[i].params);
        range_take(&ranges.examples, study->points[i].examples);
        range_take(&ranges.flops, study->points[i].flops);
    }
    return ranges;
}

static bool range_holds(const Range *range, double value) {
    return value >= range->low && value <= range->high;
}

static double line_flops(const Range *range, int index) {
    return range->low * pow(range->high / range->low, (double)index / (LINE_POINTS - 1));
}

/* ---- error against compute ---- */

static double law_at(const struct ParametricDraw *draw, double flops) {
    double params = draw->params_coefficient * pow(flops, draw->params_exponent);
    double examples = draw->examples_coefficient * pow(flops, draw->examples_exponent);
    return draw->E + draw->A * pow(params, -draw->alpha) + draw->B * pow(examples, -draw->beta);
}

static int write_runs(Figure *figure) {
    const PlotStudy *study = figure->study;
    double *sizes = calloc(study->point_count, sizeof *sizes);
    if (sizes == NULL) {
        return error_set(figure->error, "out of memory for %zu points", study->point_count);
    }
    for (size_t i = 0; i < study->point_count; i++) {
        sizes[i] = study->points[i].params;
    }
    size_t count = keep_distinct(sizes, study->point_count);
    figure_set_count(figure, "SIZES", count);
    figure_set_count(figure, "SERIES", count <= PLOT_SERIES_MAX ? count : 0);
    size_t widest = 0;
    for (size_t i = 0; i < count && count <= PLOT_SERIES_MAX; i++) {
        char label[64];
        count_text(sizes[i], label, sizeof label);
        figure_set_text_at(figure, "LABEL", i + 1, label);
        widest = strlen(label) > widest ? strlen(label) : widest;
    }
    figure_set_count(figure, "COLUMNS", widest > SHORT_SIZE ? 2 : 3);
    Buffer table;
    buffer_init(&table, PLOT_TEXT_MAX);
    buffer_printf(&table, "size\tparams\texamples\tflops\t%s\n", study->metric);
    for (size_t i = 0; i < study->point_count; i++) {
        const FitPoint *point = &study->points[i];
        append_row(&table,
                   (double[]){(double)index_of(sizes, count, point->params) + 1, point->params, point->examples, point->flops, point->loss},
                   5);
    }
    int result = table_write(figure, &table, "");
    buffer_deinit(&table);
    free(sizes);
    return result;
}

static int write_envelope(Figure *figure, double high) {
    const PlotStudy *study = figure->study;
    size_t *indices = calloc(study->point_count, sizeof *indices);
    if (indices == NULL) {
        return error_set(figure->error, "out of memory for %zu points", study->point_count);
    }
    size_t count = fit_lower_envelope(study->points, study->point_count, indices);
    Buffer table;
    buffer_init(&table, PLOT_TEXT_MAX);
    buffer_printf(&table, "flops\t%s\tparams\texamples\n", study->metric);
    for (size_t i = 0; i < count; i++) {
        const FitPoint *point = &study->points[indices[i]];
        append_row(&table, (double[]){point->flops, point->loss, point->params, point->examples}, 4);
    }
    if (count > 0) {
        /* The lowest error holds for all compute beyond it. */
        const FitPoint *last = &study->points[indices[count - 1]];
        append_row(&table, (double[]){high, last->loss, last->params, last->examples}, 4);
    }
    int result = table_write(figure, &table, "-envelope");
    buffer_deinit(&table);
    free(indices);
    return result;
}

static int write_efficient_loss(Figure *figure, const Ranges *ranges) {
    const ParametricFit *fit = figure->study->parametric;
    double *values = calloc(fit->cloud_count + 1, sizeof *values);
    if (values == NULL) {
        return error_set(figure->error, "out of memory for %zu resamples", fit->cloud_count);
    }
    const struct ParametricDraw law = {fit->E.value,
                                       fit->A.value,
                                       fit->B.value,
                                       fit->alpha.value,
                                       fit->beta.value,
                                       fit->params.exponent.value,
                                       fit->params.coefficient.value,
                                       fit->examples.exponent.value,
                                       fit->examples.coefficient.value};
    bool banded = isfinite(fit->params.exponent.lo) && fit->cloud_count > 0, any_among = false, any_beyond = false;
    Range losses = {INFINITY, 0};
    double widest = 1;
    Buffer table;
    buffer_init(&table, PLOT_TEXT_MAX);
    buffer_printf(&table, "flops\t%s\tlow\thigh\tamong_runs\n", figure->study->metric);
    for (int i = 0; i < LINE_POINTS; i++) {
        double flops = line_flops(&ranges->flops, i), below = NAN, above = NAN, loss = law_at(&law, flops);
        bool among = range_holds(&ranges->params, law.params_coefficient * pow(flops, law.params_exponent)) &&
                     range_holds(&ranges->examples, law.examples_coefficient * pow(flops, law.examples_exponent));
        if (banded) {
            for (size_t j = 0; j < fit->cloud_count; j++) {
                values[j] = law_at(&fit->cloud[j], flops);
            }
            qsort(values, fit->cloud_count, sizeof *values, double_compare);
            double last = (double)(fit->cloud_count - 1);
            below = values[(size_t)lround(last * (1 - LEVEL) / 2)];
            above = values[(size_t)lround(last * (1 + LEVEL) / 2)];
            widest = fmax(widest, above / below);
        }
        append_row(&table, (double[]){flops, loss, below, above, among ? loss : NAN}, 5);
        any_among = any_among || among;
        any_beyond = any_beyond || !among;
        range_take(&losses, loss);
    }
    for (size_t i = 0; i < figure->study->point_count; i++) {
        range_take(&losses, figure->study->points[i].loss);
    }
    figure_set_count(figure, "BANDED", banded);
    figure_set_count(figure, "NARROW", log(widest) < LINE_SHARE * log(losses.high / losses.low));
    figure_set_count(figure, "AMONG", any_among);
    figure_set_count(figure, "BEYOND", any_beyond);
    int result = table_write(figure, &table, "-law");
    buffer_deinit(&table);
    free(values);
    return result;
}

int table_error_compute(Figure *figure) {
    const PlotStudy *study = figure->study;
    if (study->point_count == 0) {
        return error_set(figure->error, "no run has finished: there is no error to draw against compute"), PLOT_NOTHING;
    }
    Ranges ranges = study_ranges(study);
    figure_set_count(figure, "LAW", study->parametric != NULL);
    int result = write_runs(figure);
    if (result == 0) {
        result = write_envelope(figure, ranges.flops.high);
    }
    if (study->parametric == NULL) {
        figure_set_count(figure, "BANDED", 0);
        figure_set_count(figure, "NARROW", 0);
        figure_set_count(figure, "AMONG", 0);
        figure_set_count(figure, "BEYOND", 0);
    } else if (result == 0) {
        result = write_efficient_loss(figure, &ranges);
    }
    return result;
}

/* ---- frontier ---- */

static FitEstimate parametric_at(const ParametricFit *fit, bool examples, double flops) {
    const struct ParametricDraw *cloud = fit->cloud;
    const FitFrontier *frontier = examples ? &fit->examples : &fit->params;
    if (!isfinite(frontier->exponent.lo) || fit->cloud_count == 0) {
        return fit_frontier_at(frontier, NULL, NULL, 0, 0, flops, LEVEL);
    }
    return fit_frontier_at(frontier, examples ? &cloud->examples_exponent : &cloud->params_exponent,
                           examples ? &cloud->examples_coefficient : &cloud->params_coefficient, fit->cloud_count,
                           sizeof *cloud / sizeof(double), flops, LEVEL);
}

static FitEstimate isoflop_at(const IsoflopFit *fit, bool examples, double flops) {
    const struct IsoflopDraw *cloud = fit->cloud;
    const FitFrontier *frontier = examples ? &fit->examples : &fit->params;
    if (!isfinite(frontier->exponent.lo) || fit->cloud_count == 0) {
        return fit_frontier_at(frontier, NULL, NULL, 0, 0, flops, LEVEL);
    }
    return fit_frontier_at(frontier, examples ? &cloud->examples_exponent : &cloud->params_exponent,
                           examples ? &cloud->examples_coefficient : &cloud->params_coefficient, fit->cloud_count,
                           sizeof *cloud / sizeof(double), flops, LEVEL);
}

/* The paper's slope, through the fitted line at the geometric middle of the compute. */
static double paper_at(const PlotStudy *study, bool examples, double middle, double flops) {
    double anchor = study->parametric != NULL ? parametric_at(study->parametric, examples, middle).value
                                              : isoflop_at(study->isoflop, examples, middle).value;
    return anchor * pow(flops / middle, examples ? PAPER_EXAMPLES : PAPER_PARAMS);
}

/* One side's cells at one compute: both fits with their intervals, then the paper's slope. */
static void fill_side(const PlotStudy *study, bool examples, double middle, double flops, double side[FRONTIER_CELLS]) {
    const FitEstimate none = {NAN, NAN, NAN};
    FitEstimate law = study->parametric != NULL ? parametric_at(study->parametric, examples, flops) : none;
    FitEstimate isoflop = study->isoflop != NULL ? isoflop_at(study->isoflop, examples, flops) : none;
    const double cells[FRONTIER_CELLS] = {
        law.value, law.lo, law.hi, isoflop.value, isoflop.lo, isoflop.hi, paper_at(study, examples, middle, flops)};
    memcpy(side, cells, sizeof cells);
}

static int write_lines(Figure *figure) {
    const PlotStudy *study = figure->study;
    Ranges ranges = study_ranges(study);
    double middle = sqrt(ranges.flops.low * ranges.flops.high);
    size_t among = 0;
    Buffer table;
    buffer_init(&table, PLOT_TEXT_MAX);
    buffer_append_text(&table,
                       "flops\tparams_parametric\tparams_low\tparams_high\tparams_isoflop\tparams_isoflop_low\tparams_isoflop_high\t"
                       "params_paper\texamples_parametric\texamples_low\texamples_high\texamples_isoflop\texamples_isoflop_low\t"
                       "examples_isoflop_high\texamples_paper\tamong_runs\n");
    for (int i = 0; i < LINE_POINTS; i++) {
        double cells[2 + 2 * FRONTIER_CELLS] = {line_flops(&ranges.flops, i)};
        double *params = cells + 1, *examples = params + FRONTIER_CELLS;
        fill_side(study, false, middle, cells[0], params);
        fill_side(study, true, middle, cells[0], examples);
        bool was_run = range_holds(&ranges.params, params[0]) && range_holds(&ranges.examples, examples[0]);
        cells[1 + 2 * FRONTIER_CELLS] = was_run;
        among += was_run;
        append_row(&table, cells, 2 + 2 * FRONTIER_CELLS);
    }
    figure_set_count(figure, "AMONG", study->parametric != NULL && among > 0);
    figure_set_count(figure, "BEYOND", study->parametric != NULL && among < LINE_POINTS);
    int result = table_write(figure, &table, "");
    buffer_deinit(&table);
    return result;
}

static int write_vertices(Figure *figure) {
    const IsoflopFit *fit = figure->study->isoflop;
    Buffer table;
    buffer_init(&table, PLOT_TEXT_MAX);
    buffer_printf(&table, "flops\tparams\texamples\t%s\tsizes\n", figure->study->metric);
    for (size_t i = 0; i < fit->budget_count; i++) {
        const IsoflopBudget *budget = &fit->budgets[i];
        if (!budget->refused) {
            append_row(&table, (double[]){budget->flops, budget->params, budget->examples, budget->loss, (double)budget->points}, 5);
        }
    }
    int result = table_write(figure, &table, "-isoflop");
    buffer_deinit(&table);
    return result;
}

/* "0.564 (0.497 to 0.623)". */
static void set_exponent(Figure *figure, const char *name, const FitEstimate *exponent) {
    char text[96];
    if (isfinite(exponent->lo) && isfinite(exponent->hi)) {
        snprintf(text, sizeof text, "%.2f (95 %% interval %.2f to %.2f)", exponent->value, exponent->lo, exponent->hi);
    } else {
        snprintf(text, sizeof text, "%.2f (no interval)", exponent->value);
    }
    figure_set_text(figure, name, text);
}

int table_frontier(Figure *figure) {
    const PlotStudy *study = figure->study;
    if (study->point_count == 0 || (study->parametric == NULL && study->isoflop == NULL)) {
        return error_set(figure->error, "there is no fit, and so no frontier to draw"), PLOT_NOTHING;
    }
    figure_set_count(figure, "LAW", study->parametric != NULL);
    figure_set_count(figure, "BANDED", study->parametric != NULL && isfinite(study->parametric->params.exponent.lo));
    figure_set_count(figure, "ISOFLOP", study->isoflop != NULL);
    figure_set_count(figure, "ISOFLOP_BANDED", study->isoflop != NULL && isfinite(study->isoflop->params.exponent.lo));
    if (study->parametric != NULL) {
        set_exponent(figure, "LAW_PARAMS", &study->parametric->params.exponent);
        set_exponent(figure, "LAW_EXAMPLES", &study->parametric->examples.exponent);
    }
    int result = write_lines(figure);
    if (result == 0 && study->isoflop != NULL) {
        set_exponent(figure, "ISOFLOP_PARAMS", &study->isoflop->params.exponent);
        set_exponent(figure, "ISOFLOP_EXAMPLES", &study->isoflop->examples.exponent);
        result = write_vertices(figure);
    }
    return result;
}

/* ---- training curves ---- */

/* Of each size the curve that ends lowest: chosen[i] for sizes[i]. */
static void choose_curves(const PlotStudy *study, const double *sizes, size_t count, const PlotCurve **chosen) {
    for (size_t i = 0; i < study->curve_count; i++) {
        const PlotCurve *curve = &study->curves[i];
        const PlotCurve **place = &chosen[index_of(sizes, count, curve->params)];
        if (curve->count > 0 && (*place == NULL || curve->metric[curve->count - 1] < (*place)->metric[(*place)->count - 1])) {
            *place = curve;
        }
    }
}

/* Moves the sizes that have a curve to the front; returns how many. */
static size_t keep_chosen(const PlotCurve **chosen, size_t count) {
    size_t present = 0;
    for (size_t i = 0; i < count; i++) {
        if (chosen[i] != NULL) {
            chosen[present++] = chosen[i];
        }
    }
    return present;
}

/* Drops sizes between, so that at most PLOT_SERIES_MAX are left, evenly spread, the ends among them. */
static size_t thin_out(const PlotCurve **chosen, size_t present) {
    if (present <= PLOT_SERIES_MAX) {
        return present;
    }
    for (size_t i = 0; i < PLOT_SERIES_MAX; i++) {
        chosen[i] = chosen[i * (present - 1) / (PLOT_SERIES_MAX - 1)];
    }
    return PLOT_SERIES_MAX;
}

/* How the names of the models are read: "S_(blocks)-Wi_(width)", or "model" for names of another form or of several. */
static void set_naming(Figure *figure, const PlotCurve **chosen, size_t count) {
    char text[96];
    size_t expansions = 0, like_first = 0;
    for (size_t i = 0; i < count; i++) {
        const char *label = chosen[i]->label, *width = strstr(label, "-Wi_");
        like_first += width != NULL && label[0] == chosen[0]->label[0] && label[1] == '_';
        expansions += width != NULL && strchr(width + strlen("-Wi_"), '_') != NULL;
    }
    const char *expansion = expansions == 0 ? "" : expansions == count ? "_(expansion)" : "[_(expansion)]";
    if (like_first == count) {
        snprintf(text, sizeof text, "%c_(blocks)-Wi_(width)%s: size [parameters]", chosen[0]->label[0], expansion);
    } else {
        text_copy(text, sizeof text, "model: size [parameters]");
    }
    figure_set_text(figure, "NAMING", text);
}

/* A curve's rows, then the blank line at which gnuplot lifts the pen. A logarithmic axis has no place for the start at 0. */
static void append_curve(Buffer *table, const PlotCurve *curve, size_t series) {
    for (size_t i = 0; i < curve->count; i++) {
        if (curve->flops[i] > 0 && curve->metric[i] > 0) {
            append_row(table, (double[]){(double)series, curve->params, curve->examples, curve->flops[i], curve->metric[i]}, 5);
        }
    }
    buffer_append_text(table, "\n");
}

static int write_curves(Figure *figure, const PlotCurve **chosen, size_t count) {
    const PlotStudy *study = figure->study;
    Buffer table;
    buffer_init(&table, PLOT_TEXT_MAX);
    buffer_printf(&table, "series\tparams\texamples\tflops\t%s\n", study->metric);
    size_t every = study->curve_count / BACKGROUND_CURVES + 1, longest = 0, widest = 0;
    for (size_t i = 0; i < study->curve_count; i += every) {
        append_curve(&table, &study->curves[i], 0);
    }
    for (size_t i = 0; i < count; i++) {
        char size[64], label[160];
        count_text(chosen[i]->params, size, sizeof size);
        snprintf(label, sizeof label, "%.63s: %s", chosen[i]->label, size);
        figure_set_text_at(figure, "LABEL", i + 1, label);
        append_curve(&table, chosen[i], i + 1);
        longest = chosen[i]->count > longest ? chosen[i]->count : longest;
        widest = strlen(label) > widest ? strlen(label) : widest;
    }
    figure_set_count(figure, "COLUMNS", widest > SHORT_LABEL ? 1 : 2);
    figure_set_count(figure, "SERIES", count);
    figure_set_count(figure, "EVERY", longest / 8 + 1);
    int result = table_write(figure, &table, "");
    buffer_deinit(&table);
    return result;
}

int table_curves(Figure *figure) {
    const PlotStudy *study = figure->study;
    double *sizes = calloc(study->curve_count + 1, sizeof *sizes);
    const PlotCurve **chosen = calloc(study->curve_count + 1, sizeof *chosen);
    int result = -1;
    if (sizes == NULL || chosen == NULL) {
        error_set(figure->error, "out of memory for %zu curves", study->curve_count);
        goto out;
    }
    for (size_t i = 0; i < study->curve_count; i++) {
        sizes[i] = study->curves[i].params;
    }
    size_t count = keep_distinct(sizes, study->curve_count);
    choose_curves(study, sizes, count, chosen);
    count = keep_chosen(chosen, count);
    figure_set_count(figure, "SIZES", count);
    count = thin_out(chosen, count);
    if (count == 0) {
        error_set(figure->error, "no run has a training curve yet");
        result = PLOT_NOTHING;
        goto out;
    }
    set_naming(figure, chosen, count);
    result = write_curves(figure, chosen, count);
out:
    free(sizes);
    free(chosen);
    return result;
}
