/* Resizing, one axis after the other: each result is a weighted sum of neighbouring pixels, and an axis's weights are the same for all
 * lines across it. The horizontal axis goes first, on rows as they lie in memory. */
#include "image.h"

#include <math.h>
#include <stdlib.h>

typedef struct Taps {
    int64_t size;   /* results */
    int64_t source; /* pixels that the weights are for; 0: none yet */
    int64_t *first; /* [size] */
    int64_t *count; /* [size] */
    float *weights; /* [size, stride] */
    int64_t stride;
    size_t capacity; /* of weights */
} Taps;

struct Resizer {
    Taps rows, columns;
    float *lines; /* [height of the source, width] */
    float *sum;   /* [width] */
    float *line;  /* [width of the source] */
    size_t lines_capacity, line_capacity;
};

static bool taps_init(Taps *taps, int64_t size) {
    taps->size = size;
    taps->first = malloc((size_t)size * sizeof *taps->first);
    taps->count = malloc((size_t)size * sizeof *taps->count);
    return taps->first && taps->count;
}

static void taps_deinit(Taps *taps) {
    free(taps->first);
    free(taps->count);
    free(taps->weights);
}

/* The share of each source pixel in [low, high), the area of one result. */
static void area_set(Taps *taps, int64_t i, double low, double high) {
    int64_t first = (int64_t)floor(low), last = (int64_t)ceil(high) - 1;
    float *weights = taps->weights + i * taps->stride;
    last = last < taps->source ? last : taps->source - 1;
    taps->first[i] = first;
    taps->count[i] = last - first + 1;
    for (int64_t j = first; j <= last; j++)
        weights[j - first] = (float)((fmin(high, (double)j + 1) - fmax(low, (double)j)) / (high - low));
}

/* The two pixels whose centres lie around the result's. */
static void linear_set(Taps *taps, int64_t i, double scale) {
    double centre = fmin(fmax(((double)i + 0.5) * scale - 0.5, 0), (double)taps->source - 1);
    int64_t first = (int64_t)floor(centre);
    float *weights = taps->weights + i * taps->stride;
    taps->first[i] = first;
    taps->count[i] = first + 1 < taps->source ? 2 : 1;
    weights[0] = taps->count[i] == 2 ? (float)((double)first + 1 - centre) : 1.0F;
    weights[1] = (float)(centre - (double)first);
}

static int taps_set(Taps *taps, int64_t source) {
    if (taps->source == source)
        return 0;
    double scale = (double)source / (double)taps->size;
    int64_t stride = (int64_t)ceil(scale) + 2;
    size_t needed = (size_t)(stride * taps->size);
    taps->source = 0;
    if (needed > taps->capacity) {
        free(taps->weights);
        taps->weights = malloc(needed * sizeof *taps->weights);
        taps->capacity = taps->weights ? needed : 0;
        if (!taps->weights)
            return -1;
    }
    taps->stride = stride;
    taps->source = source;
    for (int64_t i = 0; i < taps->size; i++) {
        if (scale >= 1)
            area_set(taps, i, (double)(i * source) / (double)taps->size, (double)((i + 1) * source) / (double)taps->size);
        else
            linear_set(taps, i, scale);
    }
    return 0;
}

Resizer *resizer_new(int64_t height, int64_t width) {
    Resizer *resizer = calloc(1, sizeof *resizer);
    if (resizer)
        resizer->sum = malloc((size_t)width * sizeof *resizer->sum);
    if (!resizer || !resizer->sum || !taps_init(&resizer->rows, height) || !taps_init(&resizer->columns, width)) {
        resizer_free(resizer);
        return NULL;
    }
    return resizer;
}

void resizer_free(Resizer *resizer) {
    if (!resizer)
        return;
    taps_deinit(&resizer->rows);
    taps_deinit(&resizer->columns);
    free(resizer->lines);
    free(resizer->line);
    free(resizer->sum);
    free(resizer);
}

static int reserve(float **array, size_t *capacity, size_t count) {
    if (count <= *capacity)
        return 0;
    free(*array);
    *array = malloc(count * sizeof **array);
    *capacity = *array ? count : 0;
    return *array ? 0 : -1;
}

static void row_resize(Resizer *resizer, const Pixels *in, const uint8_t *row, float *out) {
    const Taps *taps = &resizer->columns;
    for (int64_t i = 0; i < in->width; i++)
        resizer->line[i] = (float)row[i * in->column];
    for (int64_t i = 0; i < taps->size; i++) {
        const float *pixels = resizer->line + taps->first[i], *weights = taps->weights + i * taps->stride;
        float sum = 0;
        for (int64_t j = 0; j < taps->count[i]; j++)
            sum += weights[j] * pixels[j];
        out[i] = sum;
    }
}

static void plane_resize(Resizer *resizer, const Pixels *in, const uint8_t *plane, uint8_t *out) {
    int64_t width = resizer->columns.size;
    const Taps *taps = &resizer->rows;
    for (int64_t r = 0; r < in->height; r++)
        row_resize(resizer, in, plane + r * in->row, resizer->lines + r * width);
    for (int64_t i = 0; i < taps->size; i++) {
        const float *weights = taps->weights + i * taps->stride;
        memset(resizer->sum, 0, (size_t)width * sizeof *resizer->sum);
        for (int64_t j = 0; j < taps->count[i]; j++) {
            const float *line = resizer->lines + (taps->first[i] + j) * width;
            for (int64_t k = 0; k < width; k++)
                resizer->sum[k] += weights[j] * line[k];
        }
        for (int64_t k = 0; k < width; k++)
            out[i * width + k] = (uint8_t)(fminf(fmaxf(resizer->sum[k], 0), 255) + 0.5F);
    }
}

int resizer_run(Resizer *resizer, const Pixels *in, uint8_t *out) {
    int64_t height = resizer->rows.size, width = resizer->columns.size;
    if (taps_set(&resizer->rows, in->height) || taps_set(&resizer->columns, in->width) ||
        reserve(&resizer->lines, &resizer->lines_capacity, (size_t)(in->height * width)) ||
        reserve(&resizer->line, &resizer->line_capacity, (size_t)in->width))
        return -1;
    for (int64_t c = 0; c < in->channels; c++)
        plane_resize(resizer, in, in->bytes + c * in->channel, out + c * height * width);
    return 0;
}
