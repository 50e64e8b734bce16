#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SHORT_SIZE = 9 };
static const double LINE_SHARE = 0.02; /* of an axis: a band this wide is hidden by the line in it */

static int write_runs(Figure *figure) {
    const PlotStudy *study = figure->study;
    double *sizes = calloc(study->point_count, sizeof *sizes);
    if (sizes == NULL) {
        return error_set(figure->error, "out of memory for %zu points", study->point_count);
    }
    for (size_t i = 0; i < study->point_count; i++) {
        sizes[i] = study->points[i].params;
    }
    size_t count = values_keep_distinct(sizes, study->point_count);
    figure_set_count(figure, "SIZES", count);
    figure_set_count(figure, "SERIES", count <= PLOT_SERIES_MAX ? count : 0);
    size_t widest = 0;
    for (size_t i = 0; i < count && count <= PLOT_SERIES_MAX; i++) {
        char label[64];
        format_quantity(sizes[i], label, sizeof label);
        figure_set_text_at(figure, "LABEL", i + 1, label);
        widest = strlen(label) > widest ? strlen(label) : widest;
    }
    figure_set_count(figure, "COLUMNS", widest > SHORT_SIZE ? 2 : 3);
    Buffer table;
    buffer_init(&table, PLOT_TEXT_MAX);
    buffer_printf(&table, "size\tparams\texamples\tflops\t%s\n", study->metric);
    for (size_t i = 0; i < study->point_count; i++) {
        const FitPoint *point = &study->points[i];
        table_append_row(
            &table,
            (double[]){(double)values_index_of(sizes, count, point->params) + 1, point->params, point->examples, point->flops, point->loss},
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
        table_append_row(&table, (double[]){point->flops, point->loss, point->params, point->examples}, 4);
    }
    if (count > 0) {
        /* The lowest error holds for all compute beyond it. */
        const FitPoint *last = &study->points[indices[count - 1]];
        table_append_row(&table, (double[]){high, last->loss, last->params, last->examples}, 4);
    }
    int result = table_write(figure, &table, "-envelope");
    buffer_deinit(&table);
    free(indices);
    return result;
}

/* The law's loss along its frontier. */
static int write_efficient_loss(Figure *figure, const Fit *fit, const Ranges *ranges) {
    bool any_among = false, any_beyond = false, banded = true;
    Range losses = PLOT_NO_RANGE;
    double widest = 1;
    int result = 0;
    Buffer table;
    buffer_init(&table, PLOT_TEXT_MAX);
    buffer_printf(&table, "flops\t%s\tlow\thigh\tamong_runs\n", figure->study->metric);
    for (int i = 0; i < PLOT_LINE_POINTS && result == 0; i++) {
        FitPrediction at;
        result = fit_predict(&at, fit, range_at(&ranges->flops, i), PLOT_LEVEL, figure->error);
        if (result != 0) {
            break;
        }
        bool among = frontier_among(ranges, at.params.value, at.examples.value);
        table_append_row(&table, (double[]){at.flops, at.loss.value, at.loss.lo, at.loss.hi, among ? at.loss.value : NAN}, 5);
        any_among = any_among || among;
        any_beyond = any_beyond || !among;
        banded = banded && isfinite(at.loss.lo) && isfinite(at.loss.hi);
        widest = fmax(widest, at.loss.hi / at.loss.lo);
        range_take(&losses, at.loss.value);
    }
    for (size_t i = 0; i < figure->study->point_count; i++) {
        range_take(&losses, figure->study->points[i].loss);
    }
    figure_set_count(figure, "BANDED", banded);
    figure_set_count(figure, "NARROW", log(widest) < LINE_SHARE * log(losses.high / losses.low));
    figure_set_count(figure, "AMONG", any_among);
    figure_set_count(figure, "BEYOND", any_beyond);
    result = result == 0 ? table_write(figure, &table, "-law") : result;
    buffer_deinit(&table);
    return result;
}

static int write_power(Figure *figure, const Fit *fit, const Ranges *ranges) {
    int result = 0;
    Buffer table;
    buffer_init(&table, PLOT_TEXT_MAX);
    buffer_printf(&table, "flops\t%s\n", figure->study->metric);
    for (int i = 0; i < PLOT_LINE_POINTS && result == 0; i++) {
        FitPrediction at;
        result = fit_predict(&at, fit, range_at(&ranges->flops, i), PLOT_LEVEL, figure->error);
        if (result == 0) {
            table_append_row(&table, (double[]){at.flops, at.loss.value}, 2);
        }
    }
    result = result == 0 ? table_write(figure, &table, "-power") : result;
    buffer_deinit(&table);
    return result;
}

int table_error_compute(Figure *figure) {
    const PlotStudy *study = figure->study;
    const Fit *law = study_law(study), *power = study->fits[FIT_POWER];
    if (study->point_count == 0) {
        return error_set(figure->error, "no run has finished: there is no error to draw against compute"), PLOT_NOTHING;
    }
    Ranges ranges = study_ranges(study);
    figure_set_count(figure, "LAW", law != NULL);
    figure_set_count(figure, "POWER", power != NULL);
    int result = write_runs(figure);
    if (result == 0) {
        result = write_envelope(figure, ranges.flops.high);
    }
    if (result == 0 && power != NULL) {
        result = write_power(figure, power, &ranges);
    }
    if (law == NULL) {
        figure_set_count(figure, "BANDED", 0);
        figure_set_count(figure, "NARROW", 0);
        figure_set_count(figure, "AMONG", 0);
        figure_set_count(figure, "BEYOND", 0);
    } else if (result == 0) {
        result = write_efficient_loss(figure, law, &ranges);
    }
    return result;
}
