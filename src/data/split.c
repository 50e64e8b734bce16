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

typedef struct Groups {
    uint32_t *items; /* by class, each class shuffled; owned */
    int64_t *start;  /* [classes + 1], owned */
    int64_t classes;
} Groups;

static void groups_deinit(Groups *groups) {
    free(groups->items);
    free(groups->start);
}

/* Counts, then places: fill[c] is where the next item of class c goes. */
static void groups_fill(Groups *groups, const DatasetMap *data, const uint8_t *used, int64_t *fill) {
    for (int64_t i = 0; i < data->info.train_count; i++)
        groups->start[dataset_label(data, DATA_TRAIN, i) + 1] += !used[i];
    for (int64_t c = 0; c < groups->classes; c++) {
        groups->start[c + 1] += groups->start[c];
        fill[c] = groups->start[c];
    }
    for (int64_t i = 0; i < data->info.train_count; i++)
        if (!used[i])
            groups->items[fill[dataset_label(data, DATA_TRAIN, i)]++] = (uint32_t)i;
}

/* The examples whose `used` is not set. */
static int groups_make(Groups *out, const DatasetMap *data, const uint8_t *used, uint64_t seed, uint64_t stream, Error *error) {
    int64_t count = data->info.train_count, classes = data->info.classes;
    *out = (Groups){.classes = classes};
    out->items = malloc((size_t)count * sizeof *out->items);
    out->start = calloc((size_t)classes + 1, sizeof *out->start);
    int64_t *fill = calloc((size_t)classes, sizeof *fill);
    int result = 0;
    if (out->items && out->start && fill)
        groups_fill(out, data, used, fill);
    else
        result = error_set_memory(error, "no memory for the order of %lld examples", (long long)count);
    for (int64_t c = 0; c < classes && !result; c++) {
        Rng rng;
        rng_init(&rng, seed, stream + (uint64_t)c);
        rng_shuffle(&rng, out->items + out->start[c], (size_t)(out->start[c + 1] - out->start[c]));
    }
    free(fill);
    return result;
}

/* ---- the merge: two queues of classes, the first out being the one with the lowest time, then the lowest number ---- */

typedef struct Due {
    int64_t time, class;
} Due;

typedef struct DueQueue {
    Due *items; /* a heap */
    int64_t count;
} DueQueue;

static bool due_before(const Due *a, const Due *b) {
    return a->time < b->time || (a->time == b->time && a->class < b->class);
}

static void queue_push(DueQueue *queue, Due due) {
    int64_t at = queue->count++;
    for (int64_t parent = (at - 1) / 2; at > 0 && due_before(&due, &queue->items[parent]); parent = (at - 1) / 2) {
        queue->items[at] = queue->items[parent];
        at = parent;
    }
    queue->items[at] = due;
}

static Due queue_pop(DueQueue *queue) {
    Due first = queue->items[0], last = queue->items[--queue->count];
    int64_t at = 0;
    for (int64_t child = 1; child < queue->count; child = 2 * at + 1) {
        child += child + 1 < queue->count && due_before(&queue->items[child + 1], &queue->items[child]);
        if (!due_before(&queue->items[child], &last))
            break;
        queue->items[at] = queue->items[child];
        at = child;
    }
    queue->items[at] = last;
    return first;
}

/* The first `count` of the order that the essay above describes. A class waits for its next release or is ready with its next deadline. */
static void groups_serve(const Groups *groups, DueQueue *waiting, DueQueue *ready, int64_t *taken, uint32_t *out, int64_t count) {
    int64_t total = groups->start[groups->classes];
    for (int64_t c = 0; c < groups->classes; c++)
        if (groups->start[c + 1] > groups->start[c])
            queue_push(waiting, (Due){0, c});
    for (int64_t n = 0; n < count; n++) {
        while (waiting->count && waiting->items[0].time <= n) {
            int64_t c = queue_pop(waiting).class, size = groups->start[c + 1] - groups->start[c];
            queue_push(ready, (Due){((taken[c] + 1) * total + size - 1) / size, c});
        }
        int64_t c = queue_pop(ready).class, size = groups->start[c + 1] - groups->start[c];
        out[n] = groups->items[groups->start[c] + taken[c]++];
        if (taken[c] < size)
            queue_push(waiting, (Due){taken[c] * total / size, c});
    }
}

static int groups_merge(const Groups *groups, uint32_t *out, int64_t count, Error *error) {
    size_t classes = (size_t)groups->classes;
    DueQueue waiting = {malloc(classes * sizeof(Due)), 0}, ready = {malloc(classes * sizeof(Due)), 0};
    int64_t *taken = calloc(classes, sizeof *taken);
    int result = 0;
    if (waiting.items && ready.items && taken)
        groups_serve(groups, &waiting, &ready, taken, out, count);
    else
        result = error_set_memory(error, "no memory for the order of %zu classes", classes);
    free(waiting.items);
    free(ready.items);
    free(taken);
    return result;
}

static int part_make(uint32_t **out, int64_t count, const DatasetMap *data, uint8_t *used, uint64_t seed, uint64_t stream, Error *error) {
    Groups groups;
    int result = groups_make(&groups, data, used, seed, stream, error);
    *out = malloc(((size_t)count + 1) * sizeof **out);
    if (!result && !*out)
        result = error_set_memory(error, "no memory for a subset of %lld examples", (long long)count);
    if (!result)
        result = groups_merge(&groups, *out, count, error);
    groups_deinit(&groups);
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
    int result = used ? 0 : error_set_memory(error, "no memory for a split");
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
