/* What the runs of little compute say about those of much, beside what these measured. */
#include "internal.h"

#include <math.h>
#include <stdio.h>

static int write_scored(Figure *figure, const FitHoldout *holdout, Range *losses, bool *banded) {
    Buffer table;
    buffer_init(&table, PLOT_TEXT_MAX);
    buffer_printf(&table, "params\texamples\tflops\t%s\tpredicted\tlow\thigh\n", figure->study->metric);
    *banded = holdout->count > 0;
    for (size_t i = 0; i < holdout->count; i++) {
        const FitHoldoutPoint *point = &holdout->points[i];
        table_append_row(&table,
                         (double[]){point->params, point->examples, point->flops, point->loss, point->predicted.value, point->predicted.lo,
                                    point->predicted.hi},
                         7);
        range_take(losses, point->loss);
        range_take(losses, point->predicted.value);
        *banded = *banded && isfinite(point->predicted.lo) && isfinite(point->predicted.hi);
    }
    int result = table_write(figure, &table, "");
    buffer_deinit(&table);
    return result;
}

/* Those that the law was fitted to; a law of compute alone has none. */
static int write_fitted(Figure *figure, const FitHoldout *holdout, Range *losses, size_t *count) {
    const PlotStudy *study = figure->study;
    Buffer table;
    buffer_init(&table, PLOT_TEXT_MAX);
    buffer_printf(&table, "params\texamples\tflops\t%s\tpredicted\n", study->metric);
    for (size_t i = 0; i < study->point_count; i++) {
        const FitPoint *point = &study->points[i];
        double predicted = fit_loss_at(&holdout->fit, point->params, point->examples);
        if (point->flops < holdout->budget && isfinite(predicted)) {
            table_append_row(&table, (double[]){point->params, point->examples, point->flops, point->loss, predicted}, 5);
            range_take(losses, point->loss);
            range_take(losses, predicted);
            ++*count;
        }
    }
    int result = table_write(figure, &table, "-fitted");
    buffer_deinit(&table);
    return result;
}

int table_holdout(Figure *figure) {
    const FitHoldout *holdout = figure->study->holdout;
    if (holdout == NULL || holdout->count == 0) {
        return error_set(figure->error, "no hold-out prediction to draw"), PLOT_NOTHING;
    }
    Range losses = PLOT_NO_RANGE;
    bool banded;
    size_t fitted = 0;
    char text[160], budget[64];
    int result = write_scored(figure, holdout, &losses, &banded);
    result = result == 0 ? write_fitted(figure, holdout, &losses, &fitted) : result;
    format_power_of_ten(holdout->budget, budget);
    snprintf(text, sizeof text, "fitted: %zu runs below %s FLOP", holdout->fit.points, budget);
    figure_set_text(figure, "FITTED_TITLE", text);
    snprintf(text, sizeof text, "predicted: %zu runs above it, mean miss %.2g %%", holdout->count, 100 * holdout->error);
    figure_set_text(figure, "SCORED_TITLE", text);
    figure_set_count(figure, "FITTED", fitted);
    figure_set_count(figure, "BANDED", banded);
    buffer_printf(&figure->variables, "LOW = %.17g\nHIGH = %.17g\n", losses.low / 1.04, losses.high * 1.04);
    return result;
}
