/* Which examples a run sees.
 *
 * Taking the largest remainders for each size by itself is not nested: a class can lose a seat when the size grows (the Alabama
 * paradox). So there is one order per (data, validation, seed), and a subset is its beginning. The order is a schedule: the j-th example
 * of a class with a share p may come once j - 1 < n p and must come while j <= n p still leaves room, that is in the places from
 * floor((j-1)/p) to ceil(j/p) - 1. Serving the earliest deadline among those released keeps all of them (unit jobs, and the shares
 * themselves are a fractional schedule), so at every size n each class has n p examples rounded down or up, and exactly n p
 * where all of these are whole. */
#include "dataset.h"

#include <stdlib.h>
#include <string.h>

/* Streams of the random numbers; a class is added. */
#define STREAM_VALIDATION 0x76616c6964000000u
#define STREAM_SUBSET     0x7375627365740000u
#define STREAM_EPOCH      0x65706f6368000000u
#define SEED_VALIDATION   0u

enum { CLASSES_MAX = 256 };

typedef struct Groups {
    uint32_t *items; /* by class, each class shuffled */
    int64_t start[CLASSES_MAX + 1];
    int64_t classes;
} Groups;

/* The examples whose `used` is not set. */
static int groups_make(Groups *out, const DatasetMap *data, const uint8_t *used, uint64_t seed, uint64_t stream, Error *error) {
    int64_t count = data->info.train_count, fill[CLASSES_MAX];
    *out = (Groups){.classes = data->info.classes};
    out->items = malloc((size_t)count * sizeof *out->items);
    if (!out->items)
        return error_set(error, "no memory for the order of %lld examples", (long long)count);
    for (int64_t i = 0; i < count; i++)
        out->start[dataset_label(data, DATA_TRAIN, i) + 1] += !used[i];
    for (int64_t c = 0; c < out->classes; c++) {
        out->start[c + 1] += out->start[c];
        fill[c] = out->start[c];
    }
    for (int64_t i = 0; i < count; i++)
        if (!used[i])
            out->items[fill[dataset_label(data, DATA_TRAIN, i)]++] = (uint32_t)i;
    for (int64_t c = 0; c < out->classes; c++) {
        Rng rng;
        rng_init(&rng, seed, stream + (uint64_t)c);
        rng_shuffle(&rng, out->items + out->start[c], (size_t)(out->start[c + 1] - out->start[c]));
    }
    return 0;
}

/* The first `count` of the order that the essay above describes. */
static void groups_merge(const Groups *groups, uint32_t *out, int64_t count) {
    int64_t taken[CLASSES_MAX] = {0}, total = groups->start[groups->classes];
    for (int64_t n = 0; n < count; n++) {
        int64_t best = -1, best_deadline = INT64_MAX;
        for (int64_t c = 0; c < groups->classes; c++) {
            int64_t size = groups->start[c + 1] - groups->start[c];
            if (taken[c] == size || taken[c] * total > n * size + size - 1)
                continue;
            int64_t deadline = ((taken[c] + 1) * total + size - 1) / size;
            if (deadline < best_deadline) {
                best = c;
                best_deadline = deadline;
            }
        }
        out[n] = groups->items[groups->start[best] + taken[best]++];
    }
}

static int part_make(uint32_t **out, int64_t count, const DatasetMap *data, uint8_t *used, uint64_t seed, uint64_t stream, Error *error) {
    Groups groups;
    if (groups_make(&groups, data, used, seed, stream, error))
        return -1;
    int result = 0;
    *out = malloc(((size_t)count + 1) * sizeof **out);
    if (*out)
        groups_merge(&groups, *out, count);
    else
        result = error_set(error, "no memory for a subset of %lld examples", (long long)count);
    free(groups.items);
    for (int64_t i = 0; i < count && !result; i++)
        used[(*out)[i]] = 1;
    return result;
}

int split_make(Split *out, const DatasetMap *data, int64_t validation, int64_t examples, uint64_t subset_seed, Error *error) {
    int64_t count = data->info.train_count;
    *out = (Split){0};
    if (validation < 0 || validation >= count)
        return data_refuse(error, "validation: %lld examples; %s has %lld in all", (long long)validation, data->info.name,
                           (long long)count);
    if (examples < 1 || examples > count - validation)
        return data_refuse(error, "examples: %lld; %s has 1 to %lld beside the validation set of %lld", (long long)examples,
                           data->info.name, (long long)(count - validation), (long long)validation);
    uint8_t *used = calloc((size_t)count, 1);
    int result = used ? 0 : error_set(error, "no memory for a split");
    if (!result)
        result = part_make(&out->validation, validation, data, used, SEED_VALIDATION, STREAM_VALIDATION, error);
    if (!result)
        result = part_make(&out->train, examples, data, used, subset_seed, STREAM_SUBSET, error);
    free(used);
    if (result) {
        split_deinit(out);
        return result;
    }
    out->validation_count = validation;
    out->train_count = examples;
    return 0;
}

void split_deinit(Split *split) {
    if (!split)
        return;
    free(split->train);
    free(split->validation);
    *split = (Split){0};
}

void epoch_order(uint64_t seed, int64_t epoch, uint32_t *order, int64_t count) {
    Rng rng;
    for (int64_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
    rng_init(&rng, seed, STREAM_EPOCH + (uint64_t)epoch);
    rng_shuffle(&rng, order, (size_t)count);
}
