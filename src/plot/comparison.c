/* The frontiers of several studies, each over the compute that it spent: what is reached, at what size, on how many examples. */
#include "internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME_LENGTH = 40 };

static Range series_flops(const PlotSeries *series) {
    Range flops = PLOT_NO_RANGE;
    for (size_t i = 0; i < series->point_count; i++) {
        range_take(&flops, series->points[i].flops);
    }
    return flops;
}

/* Losses are laid together when every study has a law of the same metric. */
static bool losses_compare(const PlotStudy *study, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const PlotSeries *series = &study->series[i];
        if (!fit_method_has_law(series->fit->method) || strcmp(series->metric, study->series[0].metric) != 0) {
            return false;
        }
    }
    return true;
}

static int append_series(Buffer *table, const PlotSeries *series, size_t number, Error *error) {
    Range flops = series_flops(series);
    for (int i = 0; i < PLOT_LINE_POINTS && series->point_count > 0; i++) {
        FitPrediction at;
        if (fit_predict(&at, series->fit, range_at(&flops, i), PLOT_LEVEL, error) != 0) {
            return -1;
        }
        table_append_row(table,
                         (double[]){(double)number, at.flops, at.params.value, at.params.lo, at.params.hi, at.examples.value,
                                    at.examples.lo, at.examples.hi, at.loss.value, at.loss.lo, at.loss.hi},
                         11);
    }
    buffer_append_text(table, "\n");
    return 0;
}

static int write_frontiers(Figure *figure, size_t count) {
    Buffer table;
    int result = 0;
    buffer_init(&table, PLOT_TEXT_MAX);
    buffer_append_text(&table, "study\tflops\tparams\tparams_low\tparams_high\texamples\texamples_low\texamples_high\t"
                               "loss\tloss_low\tloss_high\n");
    for (size_t i = 0; i < count && result == 0; i++) {
        result = append_series(&table, &figure->study->series[i], i + 1, figure->error);
    }
    result = result == 0 ? table_write(figure, &table, "") : result;
    buffer_deinit(&table);
    return result;
}

static int write_runs(Figure *figure, size_t count) {
    Buffer table;
    buffer_init(&table, PLOT_TEXT_MAX);
    buffer_printf(&table, "study\tparams\texamples\tflops\t%s\n", figure->study->metric);
    for (size_t i = 0; i < count; i++) {
        const PlotSeries *series = &figure->study->series[i];
        for (size_t j = 0; j < series->point_count; j++) {
            const FitPoint *point = &series->points[j];
            table_append_row(&table, (double[]){(double)i + 1, point->params, point->examples, point->flops, point->loss}, 5);
        }
    }
    int result = table_write(figure, &table, "-runs");
    buffer_deinit(&table);
    return result;
}

/* The end of a long name: of paths it tells most. */
static const char *short_name(const char *name) {
    const char *end = name + strlen(name);
    const char *from = end - name > NAME_LENGTH ? end - NAME_LENGTH : name;
    while ((*from & 0xc0) == 0x80) {
        from++;
    }
    return from;
}

static void set_slope(Figure *figure, const char *name, size_t number, const FitEstimate *exponent) {
    char slope[96], text[200];
    figure_format_exponent(exponent, slope);
    snprintf(text, sizeof text, "slope %s", slope);
    figure_set_text_at(figure, name, number, text);
}

int table_comparison(Figure *figure) {
    const PlotStudy *study = figure->study;
    if (study->series_count == 0) {
        return error_set(figure->error, "no frontiers to lay beside each other"), PLOT_NOTHING;
    }
    size_t count = study->series_count < PLOT_SERIES_MAX ? study->series_count : PLOT_SERIES_MAX, banded = 0;
    for (size_t i = 0; i < count; i++) {
        const Fit *fit = study->series[i].fit;
        figure_set_text_at(figure, "NAME", i + 1, short_name(study->series[i].name));
        set_slope(figure, "PARAMS", i + 1, &fit->params.exponent);
        set_slope(figure, "EXAMPLES", i + 1, &fit->examples.exponent);
        banded += isfinite(fit->params.exponent.lo) ? 1 : 0;
    }
    figure_set_count(figure, "SERIES", count);
    figure_set_count(figure, "BANDED", banded > 0);
    figure_set_count(figure, "LOSSES", losses_compare(study, count));
    int result = write_frontiers(figure, count);
    return result == 0 ? write_runs(figure, count) : result;
}
