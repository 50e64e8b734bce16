/* The frontiers of several studies, each over the compute that it spent. */
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

static void append_series(Buffer *table, const PlotSeries *series, size_t number) {
    Range flops = series_flops(series);
    for (int i = 0; i < PLOT_LINE_POINTS && series->point_count > 0; i++) {
        double at = range_at(&flops, i);
        FitEstimate params = fit_frontier_at(series->fit, false, at, PLOT_LEVEL),
                    examples = fit_frontier_at(series->fit, true, at, PLOT_LEVEL);
        table_append_row(table,
                         (double[]){(double)number, at, params.value, params.lo, params.hi, examples.value, examples.lo, examples.hi}, 8);
    }
    buffer_append_text(table, "\n");
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

int table_comparison(Figure *figure) {
    const PlotStudy *study = figure->study;
    if (study->series_count == 0) {
        return error_set(figure->error, "no frontiers to lay beside each other"), PLOT_NOTHING;
    }
    size_t count = study->series_count < PLOT_SERIES_MAX ? study->series_count : PLOT_SERIES_MAX, banded = 0;
    Buffer table;
    buffer_init(&table, PLOT_TEXT_MAX);
    buffer_append_text(&table, "study\tflops\tparams\tparams_low\tparams_high\texamples\texamples_low\texamples_high\n");
    for (size_t i = 0; i < count; i++) {
        const PlotSeries *series = &study->series[i];
        char slope[96], text[200];
        figure_set_text_at(figure, "NAME", i + 1, short_name(series->name));
        figure_format_exponent(&series->fit->params.exponent, slope);
        snprintf(text, sizeof text, "slope %s", slope);
        figure_set_text_at(figure, "PARAMS", i + 1, text);
        figure_format_exponent(&series->fit->examples.exponent, slope);
        snprintf(text, sizeof text, "slope %s", slope);
        figure_set_text_at(figure, "EXAMPLES", i + 1, text);
        append_series(&table, series, i + 1);
        banded += isfinite(series->fit->params.exponent.lo) ? 1 : 0;
    }
    figure_set_count(figure, "SERIES", count);
    figure_set_count(figure, "BANDED", banded > 0);
    int result = table_write(figure, &table, "");
    buffer_deinit(&table);
    return result;
}
