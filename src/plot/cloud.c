/* The bootstrap's draws of (alpha, beta): how far the two exponents are known, and how they trade against each other. */
#include "internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double SHOWN = 0.995; /* of the draws, on each axis: a stray one would leave no room for the rest */

static size_t find_column(const Fit *fit, const char *name) {
    size_t column = 0;
    while (column < fit->cloud_columns && strcmp(fit_cloud_column(fit, column), name) != 0) {
        column++;
    }
    return column;
}

static void take_axis(const Fit *fit, size_t column, double value, double *sorted, Range *range) {
    size_t count = 0;
    for (size_t i = 0; i < fit->cloud_count; i++) {
        double drawn = fit->cloud[i * fit->cloud_columns + column];
        if (isfinite(drawn)) {
            sorted[count++] = drawn;
        }
    }
    qsort(sorted, count, sizeof *sorted, doubles_compare);
    range_take(range, value);
    if (count > 0) {
        range_take(range, sorted[(size_t)((double)(count - 1) * (1 - SHOWN) / 2)]);
        range_take(range, sorted[(size_t)((double)(count - 1) * (1 + SHOWN) / 2)]);
    }
}

static void set_number(Figure *figure, const char *name, const char *part, double value) {
    buffer_printf(&figure->variables, "%s%s = ", name, part);
    if (isfinite(value)) {
        buffer_append_double(&figure->variables, value);
    } else {
        buffer_append_text(&figure->variables, "NaN");
    }
    buffer_append_text(&figure->variables, "\n");
}

static void set_axis(Figure *figure, const char *name, const FitEstimate *estimate, const Range *range) {
    double room = 0.08 * (range->high - range->low) + 1e-6 * fabs(range->high);
    set_number(figure, name, "", estimate->value);
    set_number(figure, name, "_LO", estimate->lo);
    set_number(figure, name, "_HI", estimate->hi);
    set_number(figure, name, "_FROM", range->low - room);
    set_number(figure, name, "_TO", range->high + room);
}

static int write_draws(Figure *figure, const Fit *fit, const size_t columns[2]) {
    Buffer table;
    buffer_init(&table, PLOT_TEXT_MAX);
    buffer_append_text(&table, "alpha\tbeta\n");
    for (size_t i = 0; i < fit->cloud_count; i++) {
        const double *draw = fit->cloud + i * fit->cloud_columns;
        table_append_row(&table, (double[]){draw[columns[0]], draw[columns[1]]}, 2);
    }
    int result = table_write(figure, &table, "");
    buffer_deinit(&table);
    return result;
}

int table_cloud(Figure *figure) {
    static const char *const names[2] = {"alpha", "beta"}, *const axes[2] = {"ALPHA", "BETA"};
    const Fit *fit = study_law(figure->study);
    if (fit == NULL || fit->cloud_count == 0) {
        return error_set(figure->error, "no bootstrap of a parametric law, and so no cloud to draw"), PLOT_NOTHING;
    }
    double *sorted = calloc(fit->cloud_count, sizeof *sorted);
    if (sorted == NULL) {
        return error_set(figure->error, "out of memory for %zu resamples", fit->cloud_count);
    }
    size_t columns[2];
    for (int axis = 0; axis < 2; axis++) {
        const FitParameter *parameter = fit_parameter(fit, names[axis]);
        Range range = {INFINITY, -INFINITY};
        columns[axis] = find_column(fit, names[axis]);
        take_axis(fit, columns[axis], parameter->estimate.value, sorted, &range);
        set_axis(figure, axes[axis], &parameter->estimate, &range);
    }
    free(sorted);
    figure_set_text(figure, "ALPHA_LABEL", "α, exponent of the parameters");
    figure_set_text(figure, "BETA_LABEL", "β, exponent of the examples");
    figure_set_count(figure, "DRAWS", fit->cloud_count);
    return write_draws(figure, fit, columns);
}
