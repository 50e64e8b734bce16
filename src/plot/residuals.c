/* What the law leaves of each run, against everything that it might still depend on. */
#include "internal.h"

#include <math.h>
#include <stdio.h>

int table_residuals(Figure *figure) {
    const PlotStudy *study = figure->study;
    const Fit *fit = study_law(study);
    if (fit == NULL || fit->residuals == NULL || fit->points == 0) {
        return error_set(figure->error, "no parametric law, and so no residuals to draw"), PLOT_NOTHING;
    }
    double squares = 0;
    char text[96];
    Buffer table;
    buffer_init(&table, PLOT_TEXT_MAX);
    buffer_printf(&table, "params\texamples\tflops\t%s\tresidual_percent\n", study->metric);
    for (size_t i = 0; i < fit->points; i++) {
        const FitPoint *point = &study->points[fit->source[i]];
        double residual = 100 * expm1(fit->residuals[i]);
        table_append_row(&table, (double[]){point->params, point->examples, point->flops, point->loss, residual}, 5);
        squares += residual * residual;
    }
    snprintf(text, sizeof text, "%.17g", sqrt(squares / (double)fit->points));
    buffer_printf(&figure->variables, "TYPICAL = %s\n", text);
    int result = table_write(figure, &table, "");
    buffer_deinit(&table);
    return result;
}
