/* Products of small matrices in AVX-512 registers. Compiled twice: for floats, and with PANELS_BFLOAT16 for bfloat16 factors.
 *
 * The unit of both is a word of 32 bits: a float, or a pair of bfloat16 numbers that follow each other along the summed dimension, as the
 * processor's dot-product instruction multiplies them. A kernel holds a tile of c, up to 8 rows by 3 vectors of 16 columns, in registers,
 * and for each word of the summed dimension adds (a word of each row of a) times (a vector of words of b). Words of a may lie at any
 * stride; vectors of b must be whole. So b is first packed into panels: 16, 32 or 48 columns wide, one row for each word, padded with
 * zeros. Packing reads b once, while each packed word is used for every row of c.
 *
 * The order of every sum is that of the summed dimension, whatever the tile: bits do not depend on where a tile begins. */
#include "panels.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

typedef uint32_t Word __attribute__((may_alias)); /* a float's or two bfloat16 numbers' bits */

enum { LANES = 16, TILE_ROWS = 8, TILE_VECTORS = 3, PANEL_COLUMNS = TILE_VECTORS * LANES };

typedef struct Tile {
    const Word *a, *b;
    int64_t a_row, a_word, b_word; /* distances in words */
    int64_t words;
    void *c;
    int64_t c_row;
    bool accumulate, rounded;
    __mmask16 last; /* columns of the last vector */
} Tile;

INLINE void floats_store(float *c, __mmask16 mask, __m512 values) {
    if (mask == 0xffff) { /* masked stores are slow on some processors */
        _mm512_storeu_ps(c, values);
    } else {
        _mm512_mask_storeu_ps(c, mask, values);
    }
}

#ifdef PANELS_BFLOAT16
#define PANELS_MULTIPLY panels_multiply_bfloat16
typedef uint16_t Element;
enum { PER_WORD = 2 };
INLINE __m512 add_product(__m512 sum, Word left, __m512i right) {
    return _mm512_dpbf16_ps(sum, (__m512bh)_mm512_set1_epi32((int)left), (__m512bh)right);
}
INLINE void vector_store(const Tile *tile, int64_t row, int column, __mmask16 mask, __m512 sum) {
    if (tile->rounded) {
        uint16_t *c = (uint16_t *)tile->c + row * tile->c_row + column;
        __m256i values = (__m256i)_mm512_cvtneps_pbh(sum);
        if (mask == 0xffff) {
            _mm256_storeu_si256((__m256i *)c, values);
        } else {
            _mm256_mask_storeu_epi16(c, mask, values);
        }
    } else {
        floats_store((float *)tile->c + row * tile->c_row + column, mask, sum);
    }
}
#else
#define PANELS_MULTIPLY panels_multiply_float
typedef Word Element;
enum { PER_WORD = 1 };
INLINE __m512 add_product(__m512 sum, Word left, __m512i right) {
    return _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_set1_epi32((int)left)), _mm512_castsi512_ps(right), sum);
}
INLINE void vector_store(const Tile *tile, int64_t row, int column, __mmask16 mask, __m512 sum) {
    floats_store((float *)tile->c + row * tile->c_row + column, mask, sum);
}
#endif

/* ---- tiles ---- */

INLINE void tile_multiply(const Tile *tile, const int rows, const int vectors) {
    __m512 sums[TILE_ROWS][TILE_VECTORS];
    const Word *a = tile->a, *b = tile->b;
    const int64_t a_row = tile->a_row;
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 3
        for (int j = 0; j < vectors; j++) {
            __mmask16 mask = j + 1 < vectors ? (__mmask16)0xffff : tile->last;
            const float *c = (const float *)tile->c + i * tile->c_row + j * LANES;
            sums[i][j] = tile->accumulate ? _mm512_maskz_loadu_ps(mask, c) : _mm512_setzero_ps();
        }
    }
    for (int64_t l = 0; l < tile->words; l++, a += tile->a_word, b += tile->b_word) {
        __m512i right[TILE_VECTORS];
#pragma GCC unroll 3
        for (int j = 0; j < vectors; j++) {
            right[j] = _mm512_loadu_si512(b + j * LANES);
        }
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
#pragma GCC unroll 3
            for (int j = 0; j < vectors; j++) {
                sums[i][j] = add_product(sums[i][j], a[i * a_row], right[j]);
            }
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 3
        for (int j = 0; j < vectors; j++) {
            vector_store(tile, i, j * LANES, j + 1 < vectors ? (__mmask16)0xffff : tile->last, sums[i][j]);
        }
    }
}

typedef void (*TileKernel)(const Tile *tile);

/* Words of a transposed factor's rows follow each other, which the compiler had better know. */
#define TILE_KERNEL(rows, vectors)                                                                                                         \
    static void tile_##rows##_##vectors(const Tile *tile) {                                                                                \
        tile_multiply(tile, rows, vectors);                                                                                                \
    }                                                                                                                                      \
    static void tile_transposed_##rows##_##vectors(const Tile *tile) {                                                                     \
        Tile near = *tile;                                                                                                                 \
        near.a_row = 1;                                                                                                                    \
        tile_multiply(&near, rows, vectors);                                                                                               \
    }
TILE_KERNEL(8, 1)
TILE_KERNEL(8, 2)
TILE_KERNEL(8, 3)
TILE_KERNEL(4, 1)
TILE_KERNEL(4, 2)
TILE_KERNEL(4, 3)
TILE_KERNEL(2, 1)
TILE_KERNEL(2, 2)
TILE_KERNEL(2, 3)
TILE_KERNEL(1, 1)
TILE_KERNEL(1, 2)
TILE_KERNEL(1, 3)

/* By log2 of the rows and by vectors. */
static const TileKernel kernels[2][4][TILE_VECTORS] = {
    {{tile_1_1, tile_1_2, tile_1_3}, {tile_2_1, tile_2_2, tile_2_3}, {tile_4_1, tile_4_2, tile_4_3}, {tile_8_1, tile_8_2, tile_8_3}},
    {{tile_transposed_1_1, tile_transposed_1_2, tile_transposed_1_3},
     {tile_transposed_2_1, tile_transposed_2_2, tile_transposed_2_3},
     {tile_transposed_4_1, tile_transposed_4_2, tile_transposed_4_3},
     {tile_transposed_8_1, tile_transposed_8_2, tile_transposed_8_3}},
};

/* ---- packing ---- */

/* 16 by 16 words. */
INLINE void square_transpose(const Word *in, int64_t in_row, Word *out, int64_t out_row) {
    __m512i r[LANES], t[LANES];
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++) {
        r[i] = _mm512_loadu_si512(in + i * in_row);
    }
#pragma GCC unroll 8
    for (int i = 0; i < LANES; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < LANES; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        __m512i low = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88), high = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        __m512i low2 = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88), high2 = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
        _mm512_storeu_si512(out + i * out_row, _mm512_shuffle_i32x4(low, low2, 0x88));
        _mm512_storeu_si512(out + (i + 4) * out_row, _mm512_shuffle_i32x4(high, high2, 0x88));
        _mm512_storeu_si512(out + (i + 8) * out_row, _mm512_shuffle_i32x4(low, low2, 0xdd));
        _mm512_storeu_si512(out + (i + 12) * out_row, _mm512_shuffle_i32x4(high, high2, 0xdd));
    }
}

/* in: [columns, words]; out: [words, width], width >= columns. */
static void pack_transposed(const Word *in, int64_t columns, int64_t words, Word *out, int64_t width) {
    int64_t whole_columns = columns / LANES * LANES, whole_words = words / LANES * LANES;
    for (int64_t j = 0; j < whole_columns; j += LANES) {
        for (int64_t l = 0; l < whole_words; l += LANES) {
            square_transpose(in + j * words + l, words, out + l * width + j, width);
        }
    }
    for (int64_t l = 0; l < words; l++) {
        for (int64_t j = l < whole_words ? whole_columns : 0; j < width; j++) {
            out[l * width + j] = j < columns ? in[j * words + l] : 0;
        }
    }
}

/* The first `lanes` lanes, all of them where there are more. */
static __mmask16 lanes_mask(int64_t lanes) {
    unsigned mask = lanes >= LANES ? 0xffffU : lanes > 0 ? (1U << lanes) - 1 : 0;
    return (__mmask16)mask;
}

#ifdef PANELS_BFLOAT16
/* in: [k, ...] of rows `row` apart, of which `columns` are taken; out: [words, width], each word the k-th and k+1-st of a column. */
static void pack_rows(const Element *in, int64_t row, int64_t columns, int64_t k, Word *out, int64_t width) {
    for (int64_t l = 0; l < k; l += 2, out += width) {
        const Element *first = in + l * row;
        for (int64_t j = 0; j < width; j += LANES) {
            __mmask16 mask = lanes_mask(columns - j);
            __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, first + j));
            __m512i high = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(l + 1 < k ? mask : (__mmask16)0, first + row + j));
            _mm512_storeu_si512(out + j, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
        }
    }
}
#else
static void pack_rows(const Element *in, int64_t row, int64_t columns, int64_t k, Word *out, int64_t width) {
    for (int64_t l = 0; l < k; l++, in += row, out += width) {
        for (int64_t j = 0; j < width; j += LANES) {
            __mmask16 mask = lanes_mask(columns - j);
            _mm512_storeu_si512(out + j, _mm512_maskz_loadu_epi32(mask, in + j));
        }
    }
}
#endif

/* ---- products ---- */

static int64_t round_up(int64_t value, int64_t unit) {
    return (value + unit - 1) / unit * unit;
}

/* Columns of the panel that begins where `left` are left: a lone last vector would keep the processor waiting for its sums. */
static int64_t panel_width(int64_t left) {
    int64_t vectors = (left + LANES - 1) / LANES;
    return (vectors == 4 ? 2 : vectors < TILE_VECTORS ? vectors : TILE_VECTORS) * LANES;
}

static void panel_multiply(const Product *p, Tile tile, int64_t width, int64_t columns) {
    const int vectors = (int)(width / LANES);
    const size_t element = tile.rounded ? sizeof(uint16_t) : sizeof(float);
    const Word *a = tile.a;
    char *c = tile.c;
    tile.last = (__mmask16)((1U << (columns - (vectors - 1) * LANES)) - 1);
    for (int64_t i = 0; i < p->m;) {
        int rows = 3;
        while ((1 << rows) > p->m - i) {
            rows--;
        }
        tile.a = a + i * tile.a_row;
        tile.c = c + (size_t)(i * p->n) * element;
        kernels[tile.a_row == 1][rows][vectors - 1](&tile);
        i += 1 << rows;
    }
}

/* Pairs that are read where they lie begin at whole words. */
static bool is_taken(const Product *p) {
    bool a_is_pairs = PER_WORD == 1 || p->transpose_a || (p->k % 2 == 0 && (uintptr_t)p->a % sizeof(Word) == 0);
    bool b_is_pairs = PER_WORD == 1 || !p->transpose_b || (p->k % 2 == 0 && (uintptr_t)p->b % sizeof(Word) == 0);
    return a_is_pairs && b_is_pairs && p->result <= p->operands;
}

/* The panel of columns from j on. */
static void panel_pack(const Product *p, int64_t j, int64_t columns, int64_t words, Word *out, int64_t width) {
    if (p->transpose_b) {
        pack_transposed((const Word *)p->b + j * words, columns, words, out, width);
    } else {
        pack_rows((const Element *)p->b + j, p->n, columns, p->k, out, width);
    }
}

int PANELS_MULTIPLY(Panels *panels, const Product *p) {
    if (!is_taken(p)) {
        return 1;
    }
    const int64_t words = (p->k + PER_WORD - 1) / PER_WORD;
    const bool packs_a = PER_WORD == 2 && p->transpose_a;
    const int64_t a_width = round_up(p->m, LANES);
    Word *room = panels_room(panels, (size_t)(words * (PANEL_COLUMNS + (packs_a ? a_width : 0))));
    if (room == NULL) {
        return 1;
    }
    Tile tile = {.words = words, .c_row = p->n, .accumulate = p->accumulate, .rounded = p->result == OPERAND_BFLOAT16};
    tile.a = p->a;
    tile.a_row = p->transpose_a ? 1 : words;
    tile.a_word = p->transpose_a ? p->m : 1;
    if (packs_a) {
        pack_rows(p->a, p->m, p->m, p->k, room + words * PANEL_COLUMNS, a_width);
        tile.a = room + words * PANEL_COLUMNS;
        tile.a_word = a_width;
    }
    int64_t width;
    for (int64_t j = 0; j < p->n; j += width) {
        width = panel_width(p->n - j);
        int64_t columns = p->n - j < width ? p->n - j : width;
        tile.b = room;
        tile.b_word = width;
        tile.c = (char *)p->c + (size_t)j * (tile.rounded ? sizeof(uint16_t) : sizeof(float));
        panel_pack(p, j, columns, words, room, width);
        panel_multiply(p, tile, width, columns);
    }
    return 0;
}
