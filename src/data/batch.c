/* A batch: one pass over the bytes, eight at a time where the processor has AVX2. Subtract, then multiply: no fused operation can
 * replace the two, so every kernel gives the same bits. */
#include "dataset.h"

#include <sys/mman.h>

enum { CACHE_LINE = 64, AHEAD = 4 /* rows */ };

typedef void (*RowKernel)(const uint8_t *restrict bytes, float *restrict x, int64_t inputs, float centre, float scale);

static inline __attribute__((always_inline)) void row_any(const uint8_t *restrict bytes, float *restrict x, int64_t inputs, float centre,
                                                          float scale) {
    for (int64_t i = 0; i < inputs; i++)
        x[i] = ((float)bytes[i] - centre) * scale;
}

static void row_plain(const uint8_t *restrict bytes, float *restrict x, int64_t inputs, float centre, float scale) {
    row_any(bytes, x, inputs, centre, scale);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void row_avx2(const uint8_t *restrict bytes, float *restrict x, int64_t inputs, float centre,
                                                     float scale) {
    row_any(bytes, x, inputs, centre, scale);
}
#endif

/* Rows lie anywhere in the data: without this, the first bytes of each are waited for. */
static void row_prefetch(const uint8_t *bytes, int64_t inputs) {
    for (int64_t i = 0; i < inputs; i += CACHE_LINE)
        __builtin_prefetch(bytes + i);
}

static RowKernel row_kernel(void) {
#ifdef __x86_64__
    if (machine_vector_level() >= VECTOR_AVX2)
        return row_avx2;
#endif
    return row_plain;
}

void rows_gather(const uint8_t *rows, int64_t inputs, const uint32_t *indices, int64_t count, float centre, float scale, float *x) {
    RowKernel row = row_kernel();
    for (int64_t i = 0; i < count; i++) {
        if (i + AHEAD < count)
            row_prefetch(rows + (int64_t)indices[i + AHEAD] * inputs, inputs);
        row(rows + (int64_t)indices[i] * inputs, x + i * inputs, inputs, centre, scale);
    }
}

static void planes_gather(const DatasetMap *data, const uint8_t *rows, const uint32_t *indices, int64_t count, float *x) {
    RowKernel row = row_kernel();
    int64_t inputs = data->info.inputs, plane = data->info.height * data->info.width;
    for (int64_t i = 0; i < count; i++) {
        if (i + AHEAD < count)
            row_prefetch(rows + (int64_t)indices[i + AHEAD] * inputs, inputs);
        for (int64_t c = 0; c < data->info.channels; c++)
            row(rows + (int64_t)indices[i] * inputs + c * plane, x + i * inputs + c * plane, plane, data->centre[c], data->scale[c]);
    }
}

void batch_gather(const DatasetMap *data, DataSection section, const uint32_t *indices, int64_t count, float *x, uint16_t *labels) {
    planes_gather(data, data->images[section], indices, count, x);
    for (int64_t i = 0; i < count; i++)
        labels[i] = dataset_label(data, section, indices[i]);
}

void batch_expect(const DatasetMap *data, DataSection section, const uint32_t *indices, int64_t count) {
    if (!data->exceeds_memory)
        return;
    for (int64_t i = 0; i < count; i++) {
        uintptr_t start = (uintptr_t)(data->images[section] + (int64_t)indices[i] * data->info.inputs), page = start % PACK_PAGE;
        madvise((void *)(start - page), (size_t)data->info.inputs + page, MADV_WILLNEED); /* a hint: its failure costs time alone */
    }
}
