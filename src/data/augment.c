/* Augmentation, done while a batch is gathered.
 *
 * What happens to an image follows from (seed, epoch, example) alone: the numbers come from a counter, not from a state, so neither the
 * order of examples nor where a run was resumed matters. The crops are those of torchvision's RandomCrop with zero padding and
 * RandomResizedCrop, with bilinear interpolation and no rounding to bytes after it. */
#include "dataset.h"

#include <math.h>
#include <stdlib.h>

#define STREAM_IMAGE   0x6175676d656e7400u
#define STREAM_MIXUP   0x6d69787570000000u
#define COUNTER_STRIDE 0x9e3779b97f4a7c15u

enum { CROP_TRIES = 10 };

struct Augmenter {
    const DatasetMap *data;
    Augmentation settings;
    uint64_t seed;
    int64_t height, width, channels;
    /* Of one image: where each result lies among the crop's columns and rows. */
    int32_t *column, *row; /* [width], [height] */
    float *column_share, *row_share;
    float *line;         /* [width + 1]: a row of the crop */
    float *stretched[2]; /* [width]: two neighbouring rows, interpolated along the row */
    DataSection section;
};

/* ---- draws ---- */

static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

typedef struct Counter {
    uint64_t key, count;
} Counter;

static Counter counter_make(uint64_t seed, int64_t epoch, uint32_t example) {
    uint64_t key = mix(seed + STREAM_IMAGE + COUNTER_STRIDE);
    key = mix(key + (uint64_t)epoch * COUNTER_STRIDE);
    return (Counter){mix(key + (uint64_t)example * COUNTER_STRIDE), 0};
}

static double draw(Counter *counter) {
    counter->count++;
    return (double)(mix(counter->key + counter->count * COUNTER_STRIDE) >> 11) * 0x1.0p-53;
}

static int64_t draw_below(Counter *counter, int64_t bound) {
    return (int64_t)(draw(counter) * (double)bound);
}

static double draw_between(Counter *counter, double low, double high) {
    return low + draw(counter) * (high - low);
}

/* The largest box in the middle whose ratio is allowed: for images that no try fits. */
static void box_fall_back(const Augmentation *settings, int64_t height, int64_t width, AugmentBox *box) {
    double ratio = (double)width / (double)height;
    box->height = height;
    box->width = width;
    if (ratio < settings->ratio[0])
        box->height = llround((double)width / settings->ratio[0]);
    else if (ratio > settings->ratio[1])
        box->width = llround((double)height * settings->ratio[1]);
    box->height = box->height < 1 ? 1 : box->height > height ? height : box->height;
    box->width = box->width < 1 ? 1 : box->width > width ? width : box->width;
    box->top = (height - box->height) / 2;
    box->left = (width - box->width) / 2;
}

static void box_draw(const Augmentation *settings, int64_t height, int64_t width, Counter *counter, AugmentBox *box) {
    for (int i = 0; i < CROP_TRIES; i++) {
        double area = (double)(height * width) * draw_between(counter, settings->scale[0], settings->scale[1]);
        double ratio = exp(draw_between(counter, log(settings->ratio[0]), log(settings->ratio[1])));
        box->width = llround(sqrt(area * ratio));
        box->height = llround(sqrt(area / ratio));
        if (box->width < 1 || box->height < 1 || box->width > width || box->height > height)
            continue;
        box->top = draw_below(counter, height - box->height + 1);
        box->left = draw_below(counter, width - box->width + 1);
        return;
    }
    box_fall_back(settings, height, width, box);
}

AugmentBox augment_draw(const Augmentation *settings, int64_t height, int64_t width, uint64_t seed, int64_t epoch, uint32_t example) {
    AugmentBox box = {.height = height, .width = width};
    Counter counter = counter_make(seed, epoch, example);
    box.flip = settings->flip && draw(&counter) < 0.5;
    if (settings->padding) {
        box.top = draw_below(&counter, 2 * settings->padding + 1) - settings->padding;
        box.left = draw_below(&counter, 2 * settings->padding + 1) - settings->padding;
    } else if (settings->scale[0] > 0) {
        box_draw(settings, height, width, &counter, &box);
    }
    return box;
}

/* The logarithm of a gamma variate of shape a: Marsaglia and Tsang (2000) at shape a + 1, then the step down. Logarithms, because for small
 * a the variate itself is often below any double. */
static double log_gamma_draw(Rng *rng, double a) {
    double d = a + 1 - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = rng_normal(rng), v = 1 + c * x;
        v = v * v * v;
        double u = 1 - rng_uniform(rng);
        if (v > 0 && log(u) < 0.5 * x * x + d - d * v + d * log(v))
            return log(d * v) + log(1 - rng_uniform(rng)) / a;
    }
}

float augment_lambda(const Augmentation *settings, uint64_t seed, int64_t step) {
    Rng rng;
    if (!(settings->mixup > 0))
        return 1;
    rng_init(&rng, seed, STREAM_MIXUP + (uint64_t)step);
    double first = log_gamma_draw(&rng, settings->mixup), second = log_gamma_draw(&rng, settings->mixup);
    return (float)(1 / (1 + exp(second - first)));
}

bool augment_is_on(const Augmentation *settings) {
    return settings->flip || settings->padding || settings->scale[0] > 0 || settings->mixup > 0;
}

/* ---- rows ---- */

/* One row of bytes to floats, moved and perhaps mirrored; what lies outside is black. */
typedef struct RowMove {
    int64_t width, left;
    bool flip;
    float centre, scale;
} RowMove;

#define INLINE static inline __attribute__((always_inline))

INLINE void row_move_any(const uint8_t *restrict bytes, const RowMove *move, float *restrict x) {
    int64_t width = move->width, left = move->left;
    const float centre = move->centre, scale = move->scale, black = (0 - centre) * scale;
    int64_t start = left < 0 ? -left : 0, end = left > 0 ? width - left : width;
    start = start < width ? start : width;
    end = end > start ? end : start;
    int64_t before = move->flip ? width - end : start, after = move->flip ? width - start : end;
    for (int64_t i = 0; i < before; i++)
        x[i] = black;
    if (move->flip)
        for (int64_t i = start; i < end; i++)
            x[width - 1 - i] = ((float)bytes[i + left] - centre) * scale;
    else
        for (int64_t i = start; i < end; i++)
            x[i] = ((float)bytes[i + left] - centre) * scale;
    for (int64_t i = after; i < width; i++)
        x[i] = black;
}

/* line: the crop's row with its last pixel once more. */
INLINE void row_stretch_any(const float *restrict line, const int32_t *restrict column, const float *restrict share, int64_t width,
                            float *restrict out) {
    for (int64_t i = 0; i < width; i++)
        out[i] = line[column[i]] + share[i] * (line[column[i] + 1] - line[column[i]]);
}

INLINE void rows_blend_any(const float *restrict above, const float *restrict below, float share, float centre, float scale, int64_t width,
                           float *restrict x) {
    for (int64_t i = 0; i < width; i++)
        x[i] = (above[i] + share * (below[i] - above[i]) - centre) * scale;
}

INLINE void rows_mix_any(float *restrict a, float *restrict b, float lambda, int64_t inputs) {
    for (int64_t i = 0; i < inputs; i++) {
        float first = a[i], second = b[i];
        a[i] = lambda * first + (1 - lambda) * second;
        b[i] = lambda * second + (1 - lambda) * first;
    }
}

typedef struct Kernels {
    void (*move)(const uint8_t *restrict bytes, const RowMove *move, float *restrict x);
    void (*stretch)(const float *restrict line, const int32_t *restrict column, const float *restrict share, int64_t width,
                    float *restrict out);
    void (*blend)(const float *restrict above, const float *restrict below, float share, float centre, float scale, int64_t width,
                  float *restrict x);
    void (*mix)(float *restrict a, float *restrict b, float lambda, int64_t inputs);
} Kernels;

/* The same four for every kind of processor; no fused operations, so that all give the same bits. */
#define KERNELS(name, attributes)                                                                                                          \
    attributes static void name##_move(const uint8_t *restrict bytes, const RowMove *move, float *restrict x) {                            \
        row_move_any(bytes, move, x);                                                                                                      \
    }                                                                                                                                      \
    attributes static void name##_stretch(const float *restrict line, const int32_t *restrict column, const float *restrict share,         \
                                          int64_t width, float *restrict out) {                                                            \
        row_stretch_any(line, column, share, width, out);                                                                                  \
    }                                                                                                                                      \
    attributes static void name##_blend(const float *restrict above, const float *restrict below, float share, float centre, float scale,  \
                                        int64_t width, float *restrict x) {                                                                \
        rows_blend_any(above, below, share, centre, scale, width, x);                                                                      \
    }                                                                                                                                      \
    attributes static void name##_mix(float *restrict a, float *restrict b, float lambda, int64_t inputs) {                                \
        rows_mix_any(a, b, lambda, inputs);                                                                                                \
    }                                                                                                                                      \
    static const Kernels name = {name##_move, name##_stretch, name##_blend, name##_mix};

KERNELS(plain, )
#ifdef __x86_64__
KERNELS(avx2, __attribute__((target("avx2"))))
#endif

static const Kernels *kernels_choose(void) {
#ifdef __x86_64__
    if (machine_vector_level() >= VECTOR_AVX2)
        return &avx2;
#endif
    return &plain;
}

/* ---- images ---- */

static void plane_move(Augmenter *augmenter, const Kernels *kernels, const AugmentBox *box, const uint8_t *plane, int64_t channel,
                       float *x) {
    int64_t height = augmenter->height, width = augmenter->width;
    const float centre = augmenter->data->centre[channel], scale = augmenter->data->scale[channel];
    RowMove inside = {width, box->left, box->flip, centre, scale}, outside = {width, width, false, centre, scale};
    for (int64_t i = 0; i < height; i++) {
        int64_t row = i + box->top;
        bool is_inside = row >= 0 && row < height;
        kernels->move(is_inside ? plane + row * width : plane, is_inside ? &inside : &outside, x + i * width);
    }
}

/* Where the centre of result i of `size` lies among `source` pixels. */
static void place_set(int64_t i, int64_t size, int64_t source, int32_t *first, float *share) {
    double centre = fmin(fmax(((double)i + 0.5) * (double)source / (double)size - 0.5, 0), (double)source - 1);
    *first = (int32_t)centre;
    *share = (float)(centre - *first);
}

static void places_set(Augmenter *augmenter, const AugmentBox *box) {
    int64_t width = augmenter->width, height = augmenter->height;
    for (int64_t i = 0; i < width; i++) {
        int64_t at = box->flip ? width - 1 - i : i;
        place_set(i, width, box->width, &augmenter->column[at], &augmenter->column_share[at]);
    }
    for (int64_t i = 0; i < height; i++)
        place_set(i, height, box->height, &augmenter->row[i], &augmenter->row_share[i]);
}

static void row_stretch(Augmenter *augmenter, const Kernels *kernels, const AugmentBox *box, const uint8_t *plane, int64_t row) {
    const uint8_t *bytes = plane + (box->top + row) * augmenter->width + box->left;
    for (int64_t i = 0; i < box->width; i++)
        augmenter->line[i] = bytes[i];
    augmenter->line[box->width] = augmenter->line[box->width - 1];
    kernels->stretch(augmenter->line, augmenter->column, augmenter->column_share, augmenter->width, augmenter->stretched[row % 2]);
}

/* Rows are taken from top to bottom, and each is stretched once. */
static void plane_resize(Augmenter *augmenter, const Kernels *kernels, const AugmentBox *box, const uint8_t *plane, int64_t channel,
                         float *x) {
    int64_t width = augmenter->width, ready = -1;
    for (int64_t i = 0; i < augmenter->height; i++) {
        int64_t above = augmenter->row[i], below = above + 1 < box->height ? above + 1 : above;
        int64_t from = above > ready ? above : ready + 1;
        for (int64_t row = from; row <= below; row++)
            row_stretch(augmenter, kernels, box, plane, row);
        ready = below;
        kernels->blend(augmenter->stretched[above % 2], augmenter->stretched[below % 2], augmenter->row_share[i],
                       augmenter->data->centre[channel], augmenter->data->scale[channel], width, x + i * width);
    }
}

static void image_augment(Augmenter *augmenter, const Kernels *kernels, const uint8_t *bytes, uint32_t example, int64_t epoch, float *x) {
    AugmentBox box = augment_draw(&augmenter->settings, augmenter->height, augmenter->width, augmenter->seed, epoch, example);
    int64_t plane = augmenter->height * augmenter->width;
    bool resized = augmenter->settings.scale[0] > 0;
    if (resized)
        places_set(augmenter, &box);
    for (int64_t c = 0; c < augmenter->channels; c++)
        (resized ? plane_resize : plane_move)(augmenter, kernels, &box, bytes + c * plane, c, x + c * plane);
}

/* Both partners of a pair are mixed while they are still in the cache. */
void augmenter_gather(Augmenter *augmenter, const uint32_t *indices, int64_t count, int64_t epoch, float lambda, float *x, uint16_t *labels,
                      uint16_t *others) {
    const Kernels *kernels = kernels_choose();
    const BatchRows rows = batch_rows(augmenter->data, augmenter->section, indices, count);
    int64_t inputs = rows.inputs;
    for (int64_t i = 0; i <= (count - 1) / 2; i++) {
        int64_t partner = count - 1 - i;
        float *first = x + i * inputs, *second = x + partner * inputs;
        image_augment(augmenter, kernels, batch_row(&rows, i), indices[i], epoch, first);
        if (partner == i)
            break;
        image_augment(augmenter, kernels, batch_row(&rows, partner), indices[partner], epoch, second);
        if (lambda < 1)
            kernels->mix(first, second, lambda, inputs);
    }
    for (int64_t i = 0; i < count; i++)
        labels[i] = dataset_label(augmenter->data, augmenter->section, indices[i]);
    for (int64_t i = 0; i < count && others; i++)
        others[i] = labels[count - 1 - i];
}

int augmenter_new(Augmenter **out, const DatasetMap *data, const Augmentation *settings, uint64_t seed, Error *error) {
    *out = NULL;
    const DataInfo *info = &data->info;
    if (settings->padding >= info->height + info->width)
        return data_refuse(error, "crop.padding: %lld, but the images of %s have %lld x %lld pixels", (long long)settings->padding,
                           info->name, (long long)info->width, (long long)info->height);
    Augmenter *augmenter = calloc(1, sizeof *augmenter);
    if (!augmenter)
        return error_set_memory(error, "no memory for augmentation");
    *augmenter = (Augmenter){data, *settings, seed, info->height, info->width,  info->channels, NULL,
                             NULL, NULL,      NULL, NULL,         {NULL, NULL}, DATA_TRAIN};
    size_t width = (size_t)info->width, height = (size_t)info->height;
    augmenter->column = malloc(width * sizeof *augmenter->column);
    augmenter->row = malloc(height * sizeof *augmenter->row);
    augmenter->column_share = malloc(width * sizeof(float));
    augmenter->row_share = malloc(height * sizeof(float));
    augmenter->line = malloc((width + 1) * sizeof(float));
    augmenter->stretched[0] = malloc(width * sizeof(float));
    augmenter->stretched[1] = malloc(width * sizeof(float));
    if (!augmenter->column || !augmenter->row || !augmenter->column_share || !augmenter->row_share || !augmenter->line ||
        !augmenter->stretched[0] || !augmenter->stretched[1]) {
        augmenter_free(augmenter);
        return error_set_memory(error, "no memory for augmentation");
    }
    *out = augmenter;
    return 0;
}

void augmenter_set_section(Augmenter *augmenter, DataSection section) {
    augmenter->section = section;
}

void augmenter_free(Augmenter *augmenter) {
    if (!augmenter)
        return;
    free(augmenter->column);
    free(augmenter->row);
    free(augmenter->column_share);
    free(augmenter->row_share);
    free(augmenter->line);
    free(augmenter->stretched[0]);
    free(augmenter->stretched[1]);
    free(augmenter);
}
