#include "internal.h"

#include <math.h>
#include <stdlib.h>

typedef struct Ranked {
    double flops, loss;
    size_t index;
} Ranked;

static int ranked_compare(const void *left, const void *right) {
    const Ranked *a = left, *b = right;
    if (a->flops != b->flops) {
        return a->flops < b->flops ? -1 : 1;
    }
    if (a->loss != b->loss) {
        return a->loss < b->loss ? -1 : 1;
    }
    return (a->index > b->index) - (a->index < b->index);
}

size_t fit_lower_envelope(const FitPoint *points, size_t count, size_t *indices) {
    Ranked *ranked = count > 0 ? calloc(count, sizeof *ranked) : NULL;
    if (ranked == NULL) {
        return 0;
    }
    size_t usable = 0;
    for (size_t i = 0; i < count; i++) {
        if (fit_point_usable(&points[i])) {
            ranked[usable++] = (Ranked){points[i].flops, points[i].loss, i};
        }
    }
    qsort(ranked, usable, sizeof *ranked, ranked_compare);
    size_t written = 0;
    double lowest = INFINITY;
    for (size_t i = 0; i < usable; i++) {
        if (ranked[i].loss < lowest) {
            lowest = ranked[i].loss;
            indices[written++] = ranked[i].index;
        }
    }
    free(ranked);
    return written;
}
