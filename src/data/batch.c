/* A batch: one pass over the bytes, vectors at a time as the processor has them. Subtract, then multiply: no fused operation can replace
 * the two, and every kernel gives the same bits. Rounded, the batch is what rounding the floats would give.
 *
 * Rows lie anywhere in the data, so each kernel asks for a later row while it converts one: a cache line of that row for each line of this,
 * because asking for all of it at once would wait for the lines before the first could be used. */
#include "dataset.h"

#include "sweepd/bfloat16.h"

#include <sys/mman.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

enum { CACHE_LINE = 64, VECTOR = 16, AHEAD = 4 /* rows */ };

/* x: floats, or bfloat16 in the rounded form. */
typedef struct Row {
    const uint8_t *bytes, *later;
    int64_t inputs;
    float centre, scale;
    void *x;
} Row;

typedef void (*RowKernel)(const Row *row);

static inline __attribute__((always_inline)) void row_floats(const Row *row, int64_t first) {
    float *restrict x = row->x;
    for (int64_t i = first; i < row->inputs; i++)
        x[i] = ((float)row->bytes[i] - row->centre) * row->scale;
}

static inline __attribute__((always_inline)) void row_rounded(const Row *row, int64_t first) {
    Bfloat16 *restrict x = row->x;
    for (int64_t i = first; i < row->inputs; i++)
        x[i] = bfloat16_from_result(((float)row->bytes[i] - row->centre) * row->scale);
}

/* Into the second level: the first is full of the rows that are being written, and takes fewer misses at a time. */
static inline __attribute__((always_inline)) void later_prefetch(const uint8_t *bytes) {
    __builtin_prefetch(bytes, 0, 2);
}

static inline void row_prefetch(const Row *row) {
    for (int64_t i = 0; i < row->inputs; i += CACHE_LINE)
        later_prefetch(row->later + i);
}

static void floats_plain(const Row *row) {
    row_prefetch(row);
    row_floats(row, 0);
}

static void rounded_plain(const Row *row) {
    row_prefetch(row);
    row_rounded(row, 0);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void floats_avx2(const Row *row) {
    row_prefetch(row);
    row_floats(row, 0);
}

__attribute__((target("avx2"))) static void rounded_avx2(const Row *row) {
    row_prefetch(row);
    row_rounded(row, 0);
}

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))

/* What a row's loop reads, kept in registers: x is written through a pointer that might point at the row itself. */
typedef struct Conversion {
    const uint8_t *bytes, *later;
    __m512 centre, scale;
} Conversion;

AVX512 static inline Conversion conversion_of(const Row *row) {
    return (Conversion){row->bytes, row->later, _mm512_set1_ps(row->centre), _mm512_set1_ps(row->scale)};
}

/* 16 numbers from the byte i on. */
AVX512 static inline __m512 vector_convert(Conversion c, int64_t i) {
    __m512 value = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(c.bytes + i))));
    return _mm512_mul_ps(_mm512_sub_ps(value, c.centre), c.scale);
}

AVX512 static void floats_avx512(const Row *row) {
    const Conversion c = conversion_of(row);
    const int64_t inputs = row->inputs;
    float *x = row->x;
    int64_t i = 0;
    for (; i + VECTOR <= inputs; i += VECTOR) {
        if (i % CACHE_LINE == 0)
            later_prefetch(c.later + i);
        _mm512_storeu_ps(x + i, vector_convert(c, i));
    }
    row_floats(row, i);
}

/* The processor's rounding differs from bfloat16_from_result in numbers too small to be normal, which (byte - centre) * scale is not. */
__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16"))) static void rounded_avx512(const Row *row) {
    const Conversion c = conversion_of(row);
    const int64_t inputs = row->inputs;
    Bfloat16 *x = row->x;
    int64_t i = 0;
    for (; i + 2 * VECTOR <= inputs; i += 2 * VECTOR) {
        if (i % CACHE_LINE == 0)
            later_prefetch(c.later + i);
        __m512bh pair = _mm512_cvtne2ps_pbh(vector_convert(c, i + VECTOR), vector_convert(c, i));
        _mm512_storeu_si512(x + i, (__m512i)pair);
    }
    if (i + VECTOR <= inputs) {
        later_prefetch(c.later + i);
        _mm256_storeu_si256((__m256i *)(void *)(x + i), (__m256i)_mm512_cvtneps_pbh(vector_convert(c, i)));
        i += VECTOR;
    }
    row_rounded(row, i);
}
#endif

static RowKernel row_kernel(bool rounded) {
#ifdef __x86_64__
    if (machine_vector_level() >= VECTOR_AVX512 && (!rounded || __builtin_cpu_supports("avx512bf16")))
        return rounded ? rounded_avx512 : floats_avx512;
    if (machine_vector_level() >= VECTOR_AVX2)
        return rounded ? rounded_avx2 : floats_avx2;
#endif
    return rounded ? rounded_plain : floats_plain;
}

/* The channels of an image, one behind the other. */
typedef struct Planes {
    int64_t count, size;
    const float *centre, *scale; /* [count] */
} Planes;

static void rows_convert(const BatchRows *rows, int64_t count, const Planes *planes, char *x, size_t number, RowKernel kernel) {
    int64_t inputs = rows->inputs;
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *bytes = batch_row(rows, i), *later = batch_row(rows, i + AHEAD < count ? i + AHEAD : count - 1);
        for (int64_t c = 0; c < planes->count; c++) {
            int64_t at = c * planes->size;
            Row row = {bytes + at, later + at, planes->size, planes->centre[c], planes->scale[c], x + (size_t)(i * inputs + at) * number};
            kernel(&row);
        }
    }
}

void rows_gather(const uint8_t *rows, int64_t inputs, const uint32_t *indices, int64_t count, float centre, float scale, float *x) {
    const Planes planes = {1, inputs, &centre, &scale};
    const BatchRows all = {NULL, rows, inputs, indices};
    rows_convert(&all, count, &planes, (char *)x, sizeof *x, row_kernel(false));
}

void rows_gather_rounded(const uint8_t *rows, int64_t inputs, const uint32_t *indices, int64_t count, float centre, float scale,
                         uint16_t *x) {
    const Planes planes = {1, inputs, &centre, &scale};
    const BatchRows all = {NULL, rows, inputs, indices};
    rows_convert(&all, count, &planes, (char *)x, sizeof *x, row_kernel(true));
}

static Planes planes_of(const DatasetMap *data) {
    return (Planes){data->info.channels, data->info.height * data->info.width, data->centre, data->scale};
}

BatchRows batch_rows(const DatasetMap *data, DataSection section, const uint32_t *indices, int64_t count) {
    const uint8_t *const *staged = data->reader ? row_reader_take(data->reader, section, indices, count) : NULL;
    return (BatchRows){staged, data->images[section], data->info.inputs, indices};
}

static void labels_gather(const DatasetMap *data, DataSection section, const uint32_t *indices, int64_t count, uint16_t *labels) {
    for (int64_t i = 0; i < count; i++)
        labels[i] = dataset_label(data, section, indices[i]);
}

void batch_gather(const DatasetMap *data, DataSection section, const uint32_t *indices, int64_t count, float *x, uint16_t *labels) {
    const Planes planes = planes_of(data);
    const BatchRows rows = batch_rows(data, section, indices, count);
    rows_convert(&rows, count, &planes, (char *)x, sizeof *x, row_kernel(false));
    labels_gather(data, section, indices, count, labels);
}

void batch_gather_rounded(const DatasetMap *data, DataSection section, const uint32_t *indices, int64_t count, uint16_t *x,
                          uint16_t *labels) {
    const Planes planes = planes_of(data);
    const BatchRows rows = batch_rows(data, section, indices, count);
    rows_convert(&rows, count, &planes, (char *)x, sizeof *x, row_kernel(true));
    labels_gather(data, section, indices, count, labels);
}

void batch_expect(const DatasetMap *data, DataSection section, const uint32_t *indices, int64_t count) {
    if (!data->exceeds_memory || (data->reader && row_reader_ask(data->reader, section, indices, count)))
        return;
    for (int64_t i = 0; i < count; i++) {
        uintptr_t start = (uintptr_t)(data->images[section] + (int64_t)indices[i] * data->info.inputs), page = start % PACK_PAGE;
        madvise((void *)(start - page), (size_t)data->info.inputs + page, MADV_WILLNEED); /* a hint: its failure costs time alone */
    }
}
