/* Training curves: of each size the run that ends lowest in front. */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BACKGROUND_CURVES = 400, SHORT_LABEL = 22 };

/* One point, such as of a metric that is measured at the end of a run alone, is no line. */
static bool is_line(const PlotCurve *curve) {
    return curve->count > 1;
}

/* Of each size the curve that ends lowest: chosen[i] for sizes[i]. */
static void choose_curves(const PlotStudy *study, const double *sizes, size_t count, const PlotCurve **chosen) {
    for (size_t i = 0; i < study->curve_count; i++) {
        const PlotCurve *curve = &study->curves[i];
        const PlotCurve **place = &chosen[values_index_of(sizes, count, curve->params)];
        if (is_line(curve) && (*place == NULL || curve->metric[curve->count - 1] < (*place)->metric[(*place)->count - 1])) {
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
            table_append_row(table, (double[]){(double)series, curve->params, curve->examples, curve->flops[i], curve->metric[i]}, 5);
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
        format_quantity(chosen[i]->params, size, sizeof size);
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

static bool has_points(const PlotStudy *study) {
    for (size_t i = 0; i < study->curve_count; i++) {
        if (study->curves[i].count > 0) {
            return true;
        }
    }
    return false;
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
    size_t count = values_keep_distinct(sizes, study->curve_count);
    choose_curves(study, sizes, count, chosen);
    count = keep_chosen(chosen, count);
    figure_set_count(figure, "SIZES", count);
    count = thin_out(chosen, count);
    if (count == 0) {
        error_set(figure->error,
                  has_points(study) ? "the runs have %s at their end alone, so there are no training curves to draw"
                                    : "no run has a training curve of %s yet",
                  study->metric);
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
