/* Whether two studies differ: the distribution of the difference of independent draws of both clouds, over all pairs. Pairs are
 * counted and not made: with both clouds in order, one walk along them tells how many differences are at most t. */
#include "internal.h"

#include <math.h>
#include <stdlib.h>

typedef struct Sorted {
    double *values; /* owned */
    size_t count;
} Sorted;

static int sorted_init(Sorted *sorted, const Fit *fit, size_t column, Error *error) {
    *sorted = (Sorted){.values = calloc(fit->cloud_count + 1, sizeof(double)), .count = fit->cloud_count};
    if (sorted->values == NULL) {
        return error_set_memory(error, "out of memory for %zu draws", fit->cloud_count);
    }
    for (size_t i = 0; i < sorted->count; i++) {
        sorted->values[i] = fit->cloud[i * fit->cloud_columns + column];
    }
    qsort(sorted->values, sorted->count, sizeof(double), doubles_compare);
    return 0;
}

/* The share of pairs with a - b <= t. */
static double share_up_to(const Sorted *a, const Sorted *b, double t) {
    double pairs = 0;
    size_t below = b->count;
    /* With a falling, so does the least b that is large enough. */
    for (size_t i = a->count; i-- > 0;) {
        while (below > 0 && b->values[below - 1] >= a->values[i] - t) {
            below--;
        }
        pairs += (double)(b->count - below);
    }
    return pairs / ((double)a->count * (double)b->count);
}

static double difference_quantile(const Sorted *a, const Sorted *b, double p) {
    double low = a->values[0] - b->values[b->count - 1], high = a->values[a->count - 1] - b->values[0];
    for (int i = 0; i < 60; i++) {
        double middle = (low + high) / 2;
        if (share_up_to(a, b, middle) < p) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return (low + high) / 2;
}

static int compare_column(FitEstimate *out, double *p, const Fit *a, const Fit *b, size_t column, double level, Error *error) {
    Sorted left = {0}, right = {0};
    int result = -1;
    if (sorted_init(&left, a, column, error) < 0 || sorted_init(&right, b, column, error) < 0) {
        goto out;
    }
    double draws = (double)(left.count < right.count ? left.count : right.count);
    double up_to_0 = share_up_to(&left, &right, 0), from_0 = share_up_to(&right, &left, 0);
    out->lo = difference_quantile(&left, &right, (1 - level) / 2);
    out->hi = difference_quantile(&left, &right, (1 + level) / 2);
    *p = fmin(1, fmax(2 / draws, 2 * fmin(up_to_0, from_0)));
    result = 0;
out:
    free(left.values);
    free(right.values);
    return result;
}

int fit_compare(FitComparison *out, const Fit *a, const Fit *b, double level, Error *error) {
    const Fit *const fits[] = {a, b};
    if (!(level > 0 && level < 1)) {
        return error_set(error, "the level must lie between 0 and 1, and is %g", level);
    }
    for (int i = 0; i < 2; i++) {
        if (!fit_has_intervals(fits[i]) || !fit_method_has_frontier(fits[i]->method)) {
            error_set(error, "%s states no interval of its exponents to compare: %s", fit_method_text(fits[i]->method),
                      fit_method_has_frontier(fits[i]->method) ? "ask for 1000 resamples, and see its warnings" : "it has no frontier");
            return FIT_REFUSED;
        }
    }
    *out = (FitComparison){.params.value = a->params.exponent.value - b->params.exponent.value,
                           .examples.value = a->examples.exponent.value - b->examples.exponent.value};
    if (compare_column(&out->params, &out->params_p, a, b, 0, level, error) < 0 ||
        compare_column(&out->examples, &out->examples_p, a, b, 2, level, error) < 0) {
        return -1;
    }
    return 0;
}
