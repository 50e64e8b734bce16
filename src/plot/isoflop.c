/* The losses of each budget over size, with the parabola through them and its vertex; budgets that were refused are there, and look it. */
#include "internal.h"

#include <math.h>
#include <stdio.h>

static int write_points(Figure *figure, const Fit *fit) {
    Buffer table;
    buffer_init(&table, PLOT_TEXT_MAX);
    buffer_printf(&table, "budget\tflops\tparams\texamples\t%s\trefused\n", figure->study->metric);
    for (size_t i = 0; i < fit->budget_count; i++) {
        const IsoflopBudget *budget = &fit->budgets[i];
        for (size_t j = 0; j < budget->points; j++) {
            const BudgetPoint *point = &fit->budget_points[budget->first + j];
            table_append_row(&table, (double[]){(double)i + 1, budget->flops, point->params, point->examples, point->loss, budget->refused},
                             6);
        }
    }
    int result = table_write(figure, &table, "");
    buffer_deinit(&table);
    return result;
}

static Range budget_sizes(const Fit *fit, const IsoflopBudget *budget) {
    Range sizes = PLOT_NO_RANGE;
    for (size_t j = 0; j < budget->points; j++) {
        range_take(&sizes, fit->budget_points[budget->first + j].params);
    }
    return sizes;
}

/* A parabola is drawn between the sizes that it was fitted to. */
static int write_parabolas(Figure *figure, const Fit *fit) {
    Buffer table;
    buffer_init(&table, PLOT_TEXT_MAX);
    buffer_printf(&table, "budget\tflops\tparams\t%s\trefused\n", figure->study->metric);
    for (size_t i = 0; i < fit->budget_count; i++) {
        const IsoflopBudget *budget = &fit->budgets[i];
        Range sizes = budget_sizes(fit, budget);
        for (int k = 0; k < PLOT_LINE_POINTS && budget->points > 0; k++) {
            double params = range_at(&sizes, k), x = log(params);
            double loss = budget->curvature[0] + x * (budget->curvature[1] + x * budget->curvature[2]);
            table_append_row(&table, (double[]){(double)i + 1, budget->flops, params, loss, budget->refused}, 5);
        }
        buffer_append_text(&table, "\n");
    }
    int result = table_write(figure, &table, "-parabolas");
    buffer_deinit(&table);
    return result;
}

static int write_vertices(Figure *figure, const Fit *fit) {
    Buffer table;
    buffer_init(&table, PLOT_TEXT_MAX);
    buffer_printf(&table, "budget\tflops\tparams\texamples\t%s\n", figure->study->metric);
    for (size_t i = 0; i < fit->budget_count; i++) {
        const IsoflopBudget *budget = &fit->budgets[i];
        if (!budget->refused) {
            table_append_row(&table, (double[]){(double)i + 1, budget->flops, budget->params, budget->examples, budget->loss}, 5);
        }
    }
    int result = table_write(figure, &table, "-vertices");
    buffer_deinit(&table);
    return result;
}

int table_isoflop(Figure *figure) {
    const Fit *fit = figure->study->fits[FIT_ISOFLOP];
    if (fit == NULL) {
        const char *why = figure->study->refusals[FIT_ISOFLOP];
        return error_set(figure->error, "no IsoFLOP fit to draw: %s", why != NULL ? why : "it was not asked for"), PLOT_NOTHING;
    }
    size_t refused = 0;
    for (size_t i = 0; i < fit->budget_count; i++) {
        char label[64];
        format_power_of_ten(fit->budgets[i].flops, label);
        if (fit->budget_count <= PLOT_SERIES_MAX) {
            figure_set_text_at(figure, "LABEL", i + 1, label);
        }
        refused += fit->budgets[i].refused;
    }
    figure_set_count(figure, "BUDGETS", fit->budget_count);
    figure_set_count(figure, "SERIES", fit->budget_count <= PLOT_SERIES_MAX ? fit->budget_count : 0);
    figure_set_count(figure, "REFUSED", refused);
    int result = write_points(figure, fit);
    result = result == 0 ? write_parabolas(figure, fit) : result;
    return result == 0 ? write_vertices(figure, fit) : result;
}
