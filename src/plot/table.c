/* What the tables behind the figures share. A table holds what a reader would want to plot again, and no more. */
#include "internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double SAME = 1 + 1e-9;

/* Appends a cell, or "NaN", which gnuplot takes for a gap. */
static void append_cell(Buffer *table, double value, const char *end) {
    if (isfinite(value)) {
        buffer_append_double(table, value);
    } else {
        buffer_append_text(table, "NaN");
    }
    buffer_append_text(table, end);
}

void table_append_row(Buffer *table, const double *cells, size_t count) {
    for (size_t i = 0; i < count; i++) {
        append_cell(table, cells[i], i + 1 < count ? "\t" : "\n");
    }
}

int table_write(Figure *figure, Buffer *table, const char *suffix) {
    char path[PATH_TEXT_MAX];
    if (buffer_check(table, figure->error, "a table of the figure") < 0 ||
        path_format(path, figure->error, "%s/%s%s.tsv", figure->directory, figure->stem, suffix) < 0 ||
        file_write_atomic(path, table->data, table->size, 0644, figure->error) < 0) {
        return -1;
    }
    buffer_printf(&figure->tables, "%s\n", path);
    return 0;
}

/* Sorts and keeps one of each; returns how many. */
size_t values_keep_distinct(double *values, size_t count) {
    qsort(values, count, sizeof *values, doubles_compare);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || values[i] > values[kept - 1] * SAME) {
            values[kept++] = values[i];
        }
    }
    return kept;
}

/* "7,106", "124.8 million". */
void format_quantity(double value, char *out, size_t capacity) {
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

/* The digits are printf's, so that 9.99e10 is not told as ten times ten to the tenth. */
void format_power_of_ten(double value, char out[64]) {
    static const char *const superscripts[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
    char text[32], digits[32];
    snprintf(text, sizeof text, "%.1e", value);
    const char *exponent = strchr(text, 'e');
    size_t used = (size_t)snprintf(out, 64, "%g × 10", strtod(text, NULL) / pow(10, exponent != NULL ? strtod(exponent + 1, NULL) : 0));
    snprintf(digits, sizeof digits, "%ld", exponent != NULL ? strtol(exponent + 1, NULL, 10) : 0);
    for (const char *c = digits; *c != '\0'; c++) {
        used += (size_t)snprintf(out + used, 64 - used, "%s", *c == '-' ? "⁻" : superscripts[*c - '0']);
    }
}

size_t values_index_of(const double *values, size_t count, double value) {
    size_t i = 0;
    while (i + 1 < count && value > values[i] * SAME) {
        i++;
    }
    return i;
}

void range_take(Range *range, double value) {
    range->low = fmin(range->low, value);
    range->high = fmax(range->high, value);
}

Ranges study_ranges(const PlotStudy *study) {
    const Range none = PLOT_NO_RANGE;
    Ranges ranges = {none, none, none};
    for (size_t i = 0; i < study->point_count; i++) {
        range_take(&ranges.params, study->points[i].params);
        range_take(&ranges.examples, study->points[i].examples);
        range_take(&ranges.flops, study->points[i].flops);
    }
    return ranges;
}

bool range_holds(const Range *range, double value) {
    return value >= range->low && value <= range->high;
}

double range_at(const Range *range, int index) {
    return range->low * pow(range->high / range->low, (double)index / (PLOT_LINE_POINTS - 1));
}

const Fit *study_law(const PlotStudy *study) {
    return study->fits[FIT_PARAMETRIC] != NULL ? study->fits[FIT_PARAMETRIC] : study->fits[FIT_VPNLS];
}

bool frontier_among(const Ranges *ranges, double params, double examples) {
    return range_holds(&ranges->params, params) && range_holds(&ranges->examples, examples);
}
