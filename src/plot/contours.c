/* Lines of equal loss over size and data, in closed form: N(P) = (B / (L - E - A P^-alpha))^(1/beta). Over them the runs and the efficient
 * frontier, which crosses each line where it touches a line of equal compute. */
#include "internal.h"

#include <math.h>
#include <stdio.h>

enum { LEVELS = 8 };
static const double EDGE = 0.07; /* of an axis */

static double parameter(const Fit *fit, const char *name) {
    const FitParameter *found = fit_parameter(fit, name);
    return found != NULL ? found->estimate.value : NAN;
}

static double examples_at(const Fit *fit, double loss, double params) {
    double left = loss - parameter(fit, "E") - parameter(fit, "A") * pow(params, -parameter(fit, "alpha"));
    return left > 0 ? pow(parameter(fit, "B") / left, 1 / parameter(fit, "beta")) : INFINITY;
}

static double round_to(double value, int digits) {
    double unit = pow(10, floor(log10(value)) + 1 - digits);
    return round(value / unit) * unit;
}

/* Evenly spaced in the logarithm of the loss that the law gives the runs, rounded to as few digits as tell them apart. */
static void choose_levels(const PlotStudy *study, const Fit *fit, double levels[LEVELS]) {
    Range losses = PLOT_NO_RANGE;
    for (size_t i = 0; i < study->point_count; i++) {
        range_take(&losses, fit_loss_at(fit, study->points[i].params, study->points[i].examples));
    }
    double high = losses.high, low = losses.low;
    int digits = log(high / low) > 1.2 ? 2 : log(high / low) > 0.12 ? 3 : 5;
    for (int i = 0; i < LEVELS; i++) {
        levels[i] = round_to(low * pow(high / low, (i + 0.5) / LEVELS), digits);
    }
}

/* Ten per cent of room on either side, so that runs at the edge are whole. */
static Range widened(Range range) {
    return (Range){range.low / 1.3, range.high * 1.3};
}

/* The label stands where the line comes nearest to a line along the diagonal, off the middle where the frontier is, and clear of the axes;
 * else nowhere. */
static double off_diagonal(const Range *sizes, const Range *data, double params, double examples) {
    double x = log(params / sizes->low) / log(sizes->high / sizes->low), y = log(examples / data->low) / log(data->high / data->low);
    bool inside = x > EDGE && x < 1 - EDGE && y > EDGE / 2 && y < 1 - EDGE / 2;
    return inside ? fabs(x - y + 0.25) : INFINITY;
}

static int write_contours(Figure *figure, const Fit *fit, const Ranges *ranges) {
    Range sizes = widened(ranges->params), data = widened(ranges->examples);
    double levels[LEVELS];
    Buffer lines, labels;
    buffer_init(&lines, PLOT_TEXT_MAX);
    buffer_init(&labels, PLOT_TEXT_MAX);
    choose_levels(figure->study, fit, levels);
    buffer_printf(&lines, "%s\tparams\texamples\n", figure->study->metric);
    buffer_printf(&labels, "%s\tparams\texamples\n", figure->study->metric);
    for (int i = 0; i < LEVELS; i++) {
        double best = INFINITY, at_params = NAN, at_examples = NAN;
        for (int k = 0; k < PLOT_LINE_POINTS; k++) {
            double params = range_at(&sizes, k), examples = examples_at(fit, levels[i], params);
            bool inside = range_holds(&data, examples);
            table_append_row(&lines, (double[]){levels[i], params, inside ? examples : NAN}, 3);
            if (inside && off_diagonal(&sizes, &data, params, examples) < best) {
                best = off_diagonal(&sizes, &data, params, examples);
                at_params = params;
                at_examples = examples;
            }
        }
        buffer_append_text(&lines, "\n");
        if (isfinite(at_params)) {
            table_append_row(&labels, (double[]){levels[i], at_params, at_examples}, 3);
        }
    }
    int result = table_write(figure, &lines, "-lines");
    result = result == 0 ? table_write(figure, &labels, "-labels") : result;
    buffer_deinit(&lines);
    buffer_deinit(&labels);
    return result;
}

static int write_frontier(Figure *figure, const Fit *fit, const Ranges *ranges) {
    Range flops = ranges->flops;
    int among = 0, beyond = 0;
    Buffer table;
    buffer_init(&table, PLOT_TEXT_MAX);
    buffer_append_text(&table, "flops\tparams\texamples\tparams_among\n");
    for (int i = 0; i < PLOT_LINE_POINTS; i++) {
        double at = range_at(&flops, i), params = fit_frontier_at(fit, false, at, PLOT_LEVEL).value;
        double examples = fit_frontier_at(fit, true, at, PLOT_LEVEL).value;
        bool inside = frontier_among(ranges, params, examples);
        table_append_row(&table, (double[]){at, params, examples, inside ? params : NAN}, 4);
        among += inside;
        beyond += !inside;
    }
    figure_set_count(figure, "AMONG", among > 1);
    figure_set_count(figure, "BEYOND", beyond > 1);
    int result = table_write(figure, &table, "-frontier");
    buffer_deinit(&table);
    return result;
}

static int write_runs(Figure *figure) {
    const PlotStudy *study = figure->study;
    Buffer table;
    buffer_init(&table, PLOT_TEXT_MAX);
    buffer_printf(&table, "params\texamples\tflops\t%s\n", study->metric);
    for (size_t i = 0; i < study->point_count; i++) {
        const FitPoint *point = &study->points[i];
        table_append_row(&table, (double[]){point->params, point->examples, point->flops, point->loss}, 4);
    }
    int result = table_write(figure, &table, "");
    buffer_deinit(&table);
    return result;
}

int table_contours(Figure *figure) {
    const Fit *fit = study_law(figure->study);
    if (fit == NULL || figure->study->point_count == 0) {
        return error_set(figure->error, "no parametric law, and so no contours to draw"), PLOT_NOTHING;
    }
    Ranges ranges = study_ranges(figure->study);
    char text[96];
    figure_format_exponent(&fit->params.exponent, text);
    figure_set_text(figure, "LAW_PARAMS", text);
    int result = write_runs(figure);
    result = result == 0 ? write_contours(figure, fit, &ranges) : result;
    return result == 0 ? write_frontier(figure, fit, &ranges) : result;
}
