#include "internal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Partial batches and the like move the compute per parameter and example by less than this; twice the epochs, by as much. */
static const double RECIPES_APART = 1.5;

void fit_warn(FitWarnings *warnings, const char *code, const char *format, ...) {
    if (warnings->count == FIT_WARNINGS_MAX) {
        return;
    }
    FitWarning *warning = &warnings->items[warnings->count++];
    text_copy(warning->code, sizeof warning->code, code);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(warning->text, sizeof warning->text, format, arguments);
    va_end(arguments);
}

int fit_refuse(Fit *out, const char *code, Error *error, const char *format, ...) {
    char text[ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    error_set(error, "%s", text);
    text_copy(out->refusal, sizeof out->refusal, code);
    return FIT_REFUSED;
}

static bool is_positive(double value) {
    return isfinite(value) && value > 0;
}

bool fit_point_usable(const FitPoint *point) {
    return is_positive(point->params) && is_positive(point->examples) && is_positive(point->flops) && is_positive(point->loss) &&
           (point->weight == 0 || is_positive(point->weight));
}

size_t fit_distinct(double *values, size_t count) {
    qsort(values, count, sizeof *values, doubles_compare);
    size_t distinct = 0;
    double last = 0;
    for (size_t i = 0; i < count; i++) {
        if (distinct == 0 || values[i] > last * (1 + 1e-9)) {
            distinct++;
            last = values[i];
        }
    }
    return distinct;
}

/* Column `offset` of the points: how many distinct values, and how many decades they span. */
static size_t survey_column(const FitPoint *points, size_t count, size_t offset, double *values, double *decades) {
    for (size_t i = 0; i < count; i++) {
        memcpy(&values[i], (const char *)&points[i] + offset, sizeof values[i]);
    }
    size_t distinct = fit_distinct(values, count);
    *decades = count > 0 ? log10(values[count - 1] / values[0]) : 0;
    return distinct;
}

int fit_points_survey(const FitPoint *points, size_t count, size_t *sizes, size_t *examples, FitWarnings *warnings, Error *error) {
    double *values = calloc(count + 1, sizeof *values);
    if (values == NULL) {
        return error_set_memory(error, "out of memory for %zu points", count);
    }
    static const struct {
        const char *name, *what;
        size_t offset;
    } columns[] = {{"model sizes", "model size", offsetof(FitPoint, params)},
                   {"numbers of examples", "number of examples", offsetof(FitPoint, examples)},
                   {"compute budgets", "compute", offsetof(FitPoint, flops)}};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        double decades;
        size_t distinct = survey_column(points, count, columns[i].offset, values, &decades);
        if (i < 2) {
            *(i == 0 ? sizes : examples) = distinct;
        }
        if (i < 2 && distinct < 5) {
            fit_warn(warnings, "few_sizes", "Only %zu distinct %s: at least 5 are needed to tell a power law from a bend.", distinct,
                     columns[i].name);
        }
        if (decades < 1) {
            fit_warn(warnings, "short_extent", "The %s spans a factor of %.3g, under one decade: exponents from it extrapolate poorly.",
                     columns[i].what, pow(10, decades));
        }
    }
    free(values);
    return 0;
}

typedef struct Recipe {
    double params, c; /* C = c P N */
} Recipe;

static int recipe_compare(const void *left, const void *right) {
    const Recipe *a = left, *b = right;
    if (a->params != b->params) {
        return a->params < b->params ? -1 : 1;
    }
    return (a->c > b->c) - (a->c < b->c);
}

int fit_points_recipes(const FitPoint *points, size_t count, FitWarnings *warnings, Error *error) {
    Recipe *recipes = calloc(count + 1, sizeof *recipes);
    if (recipes == NULL) {
        return error_set_memory(error, "out of memory for %zu points", count);
    }
    for (size_t i = 0; i < count; i++) {
        recipes[i] = (Recipe){points[i].params, points[i].flops / (points[i].params * points[i].examples)};
    }
    qsort(recipes, count, sizeof *recipes, recipe_compare);
    double widest = 1;
    for (size_t first = 0, i = 0; i < count; i++) {
        first = recipes[i].params == recipes[first].params ? first : i;
        widest = fmax(widest, recipes[i].c / recipes[first].c);
    }
    free(recipes);
    if (widest > RECIPES_APART) {
        fit_warn(
            warnings, "compute_mixed",
            "Runs of one size differ by a factor of %.3g in compute per parameter and example (other epochs?). The fit knows nothing of "
            "that: fit the runs of each setting by themselves.",
            widest);
    }
    return 0;
}

/* Warns both fits when two intervals of one exponent have no number in common. */
static void warn_pair(Fit *a, Fit *b, const FitEstimate *left, const FitEstimate *right, const char *what) {
    /* NaN, where a fit has no interval, compares as not apart. */
    if (left->hi < right->lo || right->hi < left->lo) {
        Fit *const fits[] = {a, b};
        for (int i = 0; i < 2; i++) {
            fit_warn(
                &fits[i]->warnings, "intervals_apart",
                "The intervals of the exponent of %s by %s (%.3f to %.3f) and by %s (%.3f to %.3f) do not overlap: one method is biased "
                "on these points, or both.",
                what, fit_method_text(a->method), left->lo, left->hi, fit_method_text(b->method), right->lo, right->hi);
        }
    }
}

void fit_warn_apart(Fit *fits, size_t count) {
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i + 1; j < count; j++) {
            warn_pair(&fits[i], &fits[j], &fits[i].params.exponent, &fits[j].params.exponent, "P*");
            warn_pair(&fits[i], &fits[j], &fits[i].examples.exponent, &fits[j].examples.exponent, "N*");
        }
    }
}
