/* Which setting of each cell enters a fit. */
#include "sweepd/fit.h"

#include <math.h>
#include <stdlib.h>

typedef struct Entry {
    FitCandidate candidate;
    size_t index;
} Entry;

static int entry_compare(const void *left, const void *right) {
    const Entry *a = left, *b = right;
    if (a->candidate.cell != b->candidate.cell) {
        return a->candidate.cell < b->candidate.cell ? -1 : 1;
    }
    if (a->candidate.setting != b->candidate.setting) {
        return a->candidate.setting < b->candidate.setting ? -1 : 1;
    }
    return (a->index > b->index) - (a->index < b->index);
}

static size_t cell_end(const Entry *entries, size_t count, size_t first) {
    size_t end = first;
    while (end < count && entries[end].candidate.cell == entries[first].candidate.cell) {
        end++;
    }
    return end;
}

static size_t setting_end(const Entry *entries, size_t end, size_t first) {
    size_t last = first;
    while (last < end && entries[last].candidate.setting == entries[first].candidate.setting) {
        last++;
    }
    return last;
}

/* Of the entries of one cell, those of the chosen setting: *from to *to; none when every setting is out. */
static void choose(const Entry *entries, size_t first, size_t end, size_t *from, size_t *to) {
    size_t seeds = 0;
    double lowest = INFINITY;
    *from = *to = first;
    for (size_t i = first, last; i < end; i = last) {
        last = setting_end(entries, end, i);
        seeds = last - i > seeds ? last - i : seeds;
    }
    for (size_t i = first, last; i < end; i = last) {
        double mean = 0;
        last = setting_end(entries, end, i);
        for (size_t j = i; j < last; j++) {
            mean += entries[j].candidate.selection / (double)(last - i);
        }
        /* A setting with fewer seeds than another is not finished. */
        if (last - i == seeds && isfinite(mean) && mean < lowest) {
            lowest = mean;
            *from = i;
            *to = last;
        }
    }
}

int fit_tune_select(const FitCandidate *candidates, size_t count, bool *keep, Error *error) {
    Entry *entries = calloc(count + 1, sizeof *entries);
    if (entries == NULL) {
        return error_set_memory(error, "out of memory for %zu runs", count);
    }
    for (size_t i = 0; i < count; i++) {
        keep[i] = false;
        entries[i] = (Entry){candidates[i], i};
    }
    qsort(entries, count, sizeof *entries, entry_compare);
    for (size_t first = 0, end; first < count; first = end) {
        size_t from, to;
        end = cell_end(entries, count, first);
        choose(entries, first, end, &from, &to);
        for (size_t i = from; i < to; i++) {
            keep[entries[i].index] = true;
        }
    }
    free(entries);
    return 0;
}
