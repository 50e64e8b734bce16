/* Products in AVX-512 registers. Compiled twice: for floats, and with PANELS_BFLOAT16 for bfloat16 factors.
 *
 * The unit of both is a word of 32 bits: a float, or a pair of bfloat16 numbers that follow each other along the summed dimension, as the
 * processor's dot-product instruction multiplies them. A kernel holds a tile of c, up to 8 rows by 3 vectors of 16 columns, in registers,
 * and for each word of the summed dimension adds (a word of each row of a) times (a vector of words of b). Words of a may lie at any
 * stride; vectors of b must be whole. So b is first packed into panels: 16, 32 or 48 columns wide, one row for each word, padded with
 * zeros. Packing reads b once, while each packed word is used for every row of c.
 *
 * Packing would wait for memory, and multiplying need not. So floats whose panels are copies are packed by the first tile that multiplies
 * them; of other panels, while one is multiplied, the next is asked for.
 *
 * A product larger than the caches is cut into blocks: of words, so that a panel stays near the registers; of rows, so that their part of a
 * stays in the second cache while panels pass; of columns, so that packed panels stay in the third. The tile's part of c is far away then:
 * a kernel asks for it before it multiplies and adds to it when it is done.
 *
 * The order of every sum is that of the summed dimension, block by block, whatever the tile: bits do not depend on where a tile begins. */
#include "panels.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

typedef uint32_t Word __attribute__((may_alias)); /* a float's or two bfloat16 numbers' bits */

enum { LANES = 16, TILE_ROWS = 8, TILE_VECTORS = 3, PANEL_COLUMNS = TILE_VECTORS * LANES, LINE_BYTES = 64 };
enum { BLOCK_WORDS = 1024, BLOCK_COLUMNS = 43 * PANEL_COLUMNS };
static const int64_t cached_words = 1 << 18; /* of a, that blocks of rows need not be cut from */
static const int64_t near_words = 1 << 15;   /* of b, that it is packed from without waiting for them */

typedef struct Tile {
    const Word *a;
    Word *b;
    int64_t a_row, a_word, b_word; /* distances in words */
    int64_t words;
    void *c;
    int64_t c_row;
    bool accumulate, rounded;
    __mmask16 last;     /* columns of the last vector */
    const Word *source; /* what b is packed from by the tile itself, rows of source_row words; NULL: b is packed */
    int64_t source_row;
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
enum { PER_WORD = 2, BLOCK_ROWS = 64 };
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
enum { PER_WORD = 1, BLOCK_ROWS = 128 };
INLINE __m512 add_product(__m512 sum, Word left, __m512i right) {
    return _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_set1_epi32((int)left)), _mm512_castsi512_ps(right), sum);
}
INLINE void vector_store(const Tile *tile, int64_t row, int column, __mmask16 mask, __m512 sum) {
    floats_store((float *)tile->c + row * tile->c_row + column, mask, sum);
}
#endif

/* ---- tiles ---- */

/* Asks for a part of c that the sums will be written to, so that it is there when they are. */
INLINE void vector_prefetch(const Tile *tile, int64_t row, int column) {
    size_t element = tile->rounded ? sizeof(uint16_t) : sizeof(float);
    __builtin_prefetch((const char *)tile->c + (size_t)(row * tile->c_row + column) * element, 1);
}

/* A vector of b, which the first tile of a panel packs if that is a copy: the sums do not wait for what it reads and writes. */
INLINE __m512i vector_pack(const Tile *tile, const Word *source, Word *b, __mmask16 mask) {
    enum { AHEAD = 12 };
    __builtin_prefetch(source + AHEAD * tile->source_row);
    __m512i words = mask == 0xffff ? _mm512_loadu_si512(source) : _mm512_maskz_loadu_epi32(mask, source);
    _mm512_storeu_si512(b, words);
    return words;
}

INLINE __mmask16 vector_mask(const Tile *tile, const int vector, const int vectors) {
    return vector + 1 < vectors ? (__mmask16)0xffff : tile->last;
}

INLINE void tile_multiply(const Tile *tile, const int rows, const int vectors, const bool packs) {
    __m512 sums[TILE_ROWS][TILE_VECTORS];
    const Word *a = tile->a;
    Word *b = tile->b;
    const int64_t a_row = tile->a_row;
    const Word *source = tile->source;
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 3
        for (int j = 0; j < vectors; j++) {
            vector_prefetch(tile, i, j * LANES);
            sums[i][j] = _mm512_setzero_ps();
        }
    }
    for (int64_t l = 0; l < tile->words; l++, a += tile->a_word, b += tile->b_word) {
        __m512i right[TILE_VECTORS];
#pragma GCC unroll 3
        for (int j = 0; j < vectors; j++) {
            right[j] = packs ? vector_pack(tile, source + j * LANES, b + j * LANES, vector_mask(tile, j, vectors))
                             : _mm512_loadu_si512(b + j * LANES);
        }
        if (packs) {
            source += tile->source_row;
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
            const __mmask16 mask = vector_mask(tile, j, vectors);
            if (tile->accumulate) {
                const float *c = (const float *)tile->c + i * tile->c_row + j * LANES;
                sums[i][j] = _mm512_add_ps(sums[i][j], _mm512_maskz_loadu_ps(mask, c));
            }
            vector_store(tile, i, j * LANES, mask, sums[i][j]);
        }
    }
}

typedef void (*TileKernel)(const Tile *tile);

/* Words of a transposed factor's rows follow each other, which the compiler had better know. */
#define TILE_KERNEL(rows, vectors)                                                                                                         \
    static void tile_##rows##_##vectors(const Tile *tile) {                                                                                \
        tile_multiply(tile, rows, vectors, false);                                                                                         \
    }                                                                                                                                      \
    static void tile_transposed_##rows##_##vectors(const Tile *tile) {                                                                     \
        Tile near = *tile;                                                                                                                 \
        near.a_row = 1;                                                                                                                    \
        tile_multiply(&near, rows, vectors, false);                                                                                        \
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

#ifndef PANELS_BFLOAT16
#define TILE_PACKING(vectors)                                                                                                              \
    static void tile_packing_##vectors(const Tile *tile) {                                                                                 \
        tile_multiply(tile, TILE_ROWS, vectors, true);                                                                                     \
    }
TILE_PACKING(1)
TILE_PACKING(2)
TILE_PACKING(3)
static const TileKernel packing_kernels[TILE_VECTORS] = {tile_packing_1, tile_packing_2, tile_packing_3};
#else
static const TileKernel packing_kernels[TILE_VECTORS]; /* pairs are not a copy of what is there */
#endif

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

/* in: [columns, words] of rows `row` apart; out: [words, width], width >= columns. */
static void pack_transposed(const Word *in, int64_t row, int64_t columns, int64_t words, Word *out, int64_t width) {
    int64_t whole_columns = columns / LANES * LANES, whole_words = words / LANES * LANES;
    for (int64_t j = 0; j < whole_columns; j += LANES) {
        for (int64_t l = 0; l < whole_words; l += LANES) {
            square_transpose(in + j * row + l, row, out + l * width + j, width);
        }
    }
    for (int64_t l = 0; l < words; l++) {
        for (int64_t j = l < whole_words ? whole_columns : 0; j < width; j++) {
            out[l * width + j] = j < columns ? in[j * row + l] : 0;
        }
    }
}

/* The first `lanes` lanes, all of them where there are more. */
static __mmask16 lanes_mask(int64_t lanes) {
    unsigned mask = lanes >= LANES ? 0xffffU : lanes > 0 ? (1U << lanes) - 1 : 0;
    return (__mmask16)mask;
}

/* A word of each of LANES columns of rows `row` apart. */
INLINE __m512i words_load(const Element *in, int64_t row, __mmask16 mask, const bool alone) {
#ifdef PANELS_BFLOAT16
    __m512i low = _mm512_cvtepu16_epi32(mask == 0xffff ? _mm256_loadu_si256((const __m256i *)in) : _mm256_maskz_loadu_epi16(mask, in));
    if (alone) {
        return low;
    }
    in += row;
    __m512i high = _mm512_cvtepu16_epi32(mask == 0xffff ? _mm256_loadu_si256((const __m256i *)in) : _mm256_maskz_loadu_epi16(mask, in));
    return _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
#else
    (void)row, (void)alone;
    return mask == 0xffff ? _mm512_loadu_si512(in) : _mm512_maskz_loadu_epi32(mask, in);
#endif
}

/* One row of it. alone: there are no second elements for the words. */
INLINE void row_pack(const Element *in, int64_t row, int64_t columns, Word *out, int64_t distance, const bool alone) {
    int64_t j = 0;
    for (; j + LANES <= columns; j += LANES, out += distance) {
        _mm512_storeu_si512(out, words_load(in + j, row, 0xffff, alone));
    }
    if (j < columns) {
        _mm512_storeu_si512(out, words_load(in + j, row, lanes_mask(columns - j), alone));
    }
}

/* in: [k, ...] of rows `row` apart, of which `columns` are taken; out: panels of [words, width], LANES columns `distance` words apart. */
static void pack_rows(const Element *in, int64_t row, int64_t columns, int64_t k, Word *out, int64_t width, int64_t distance) {
    int64_t l = 0;
    for (; l + PER_WORD <= k; l += PER_WORD, in += PER_WORD * row, out += width) {
        row_pack(in, row, columns, out, distance, false);
    }
    if (l < k) {
        row_pack(in, row, columns, out, distance, true);
    }
}

/* ---- factors ---- */

/* `length`: the side of c that the factor spans. */
typedef struct Factor {
    const void *elements;
    int64_t length, k;
    bool down; /* stored as [k, length], else as [length, k] */
} Factor;

/* Pairs that are read where they lie begin at whole words. */
static bool factor_is_whole(const Factor *factor) {
    return PER_WORD == 1 || factor->down || (factor->k % 2 == 0 && (uintptr_t)factor->elements % sizeof(Word) == 0);
}

/* A panel of `count` of its length from `first` on, and of `words` words from `word` on. */
static void factor_pack(const Factor *factor, int64_t first, int64_t count, int64_t word, int64_t words, Word *out, int64_t width) {
    if (factor->down) {
        const int64_t k = word * PER_WORD, left = factor->k - k;
        pack_rows((const Element *)factor->elements + k * factor->length + first, factor->length, count,
                  left < words * PER_WORD ? left : words * PER_WORD, out, width, LANES);
    } else {
        const int64_t row = factor->k / PER_WORD;
        pack_transposed((const Word *)factor->elements + first * row + word, row, count, words, out, width);
    }
}

/* ---- products ---- */

/* A part of a product: of its rows, columns and summed words. */
typedef struct Block {
    const Product *product;
    Factor a, b;
    Word *packed_a, *packed_b; /* a: NULL where it is read as it lies; b: all panels, or room for one */
    int64_t row, rows, column, columns, word, words;
} Block;

static int64_t round_up(int64_t value, int64_t unit) {
    return (value + unit - 1) / unit * unit;
}

/* Columns of the panel that begins where `left` are left: a lone last vector would keep the processor waiting for its sums. */
static int64_t panel_width(int64_t left) {
    int64_t vectors = (left + LANES - 1) / LANES;
    return (vectors == 4 ? 2 : vectors < TILE_VECTORS ? vectors : TILE_VECTORS) * LANES;
}

/* Whether a panel's first tile packs it. */
static bool packs_in_tiles(const Block *block) {
    return PER_WORD == 1 && block->b.down && block->rows >= TILE_ROWS;
}

/* What will be packed next, on its way to the second cache: before each tile a share of it is asked for, and comes while the tile
 * multiplies. Rows follow each other, row_bytes apart; of each, row_lines lines of the cache are wanted. */
typedef struct Ahead {
    const char *row;
    int64_t rows, row_bytes, row_lines;
    int64_t line, share; /* of the row, the next one; for each tile */
} Ahead;

static void ahead_ask(Ahead *ahead) {
    for (int64_t i = 0; i < ahead->share && ahead->rows > 0; i++) {
        __builtin_prefetch(ahead->row + ahead->line * LINE_BYTES, 0, 2);
        if (++ahead->line == ahead->row_lines) {
            ahead->line = 0;
            ahead->row += ahead->row_bytes;
            ahead->rows--;
        }
    }
}

/* The panel of b that begins at the column `first`. Nothing where it is packed already, by a tile, or by few blocks of rows. */
static Ahead panel_ahead(const Block *block, int64_t first) {
    const Factor *b = &block->b;
    const int64_t columns = count_at_most(PANEL_COLUMNS, block->column + block->columns - first), element = sizeof(Element);
    const int64_t k = block->word * PER_WORD, elements = count_at_most(block->words * PER_WORD, b->k - k);
    const int64_t row_bytes = (b->down ? b->length : b->k) * element;
    if (columns <= 0 || packs_in_tiles(block) || block->rows < block->product->m || b->length * block->words < near_words) {
        return (Ahead){.share = 0};
    }
    Ahead ahead = {.row = b->elements, .rows = b->down ? elements : columns, .row_bytes = row_bytes};
    ahead.row += b->down ? k * row_bytes + first * element : first * row_bytes + k * element;
    ahead.row_lines = round_up((b->down ? columns : elements) * element, LINE_BYTES) / LINE_BYTES;
    ahead.share = ahead.rows * ahead.row_lines * TILE_ROWS / block->rows + 1;
    return ahead;
}

/* The tile's panel times `rows` rows of a. Leaves the tile behind them. */
static void rows_multiply(Tile *tile, int64_t rows, int64_t width, size_t c_row_bytes, Ahead *ahead) {
    while (rows > 0) {
        int log_rows = 3;
        while ((1 << log_rows) > rows) {
            log_rows--;
        }
        ahead_ask(ahead);
        const int64_t vector = width / LANES - 1;
        const TileKernel kernel = tile->source != NULL ? packing_kernels[vector] : kernels[tile->a_row == 1][log_rows][vector];
        kernel(tile);
        tile->source = NULL;
        tile->a += tile->a_row << log_rows;
        tile->c = (char *)tile->c + (c_row_bytes << log_rows);
        rows -= 1 << log_rows;
    }
}

/* The tile's panel times the block's rows. tile: all but a and c. */
static void panel_multiply(const Block *block, Tile *tile, int64_t column, int64_t width) {
    const Product *p = block->product;
    const size_t element = tile->rounded ? sizeof(uint16_t) : sizeof(float), c_row_bytes = (size_t)p->n * element;
    Ahead ahead = panel_ahead(block, column + width);
    tile->c = (char *)p->c + (size_t)(block->row * p->n + column) * element;
    if (block->packed_a == NULL) {
        tile->a_row = p->transpose_a ? 1 : p->k / PER_WORD;
        tile->a_word = p->transpose_a ? p->m : 1;
        tile->a = (const Word *)p->a + block->row * tile->a_row + block->word * tile->a_word;
        rows_multiply(tile, block->rows, width, c_row_bytes, &ahead);
        return;
    }
    tile->a_row = 1;
    tile->a_word = LANES;
    for (int64_t i = 0; i < block->rows; i += LANES) {
        tile->a = block->packed_a + i * block->words;
        rows_multiply(tile, count_at_most(LANES, block->rows - i), width, c_row_bytes, &ahead);
    }
}

/* The first rows' block packs b: all of it where there are more rows, else each panel where the last one lay, which is still in cache. */
static void block_multiply(const Block *block) {
    const Product *p = block->product;
    const bool keeps = block->rows < p->m, packs = block->row == 0, in_tiles = packs_in_tiles(block);
    Tile tile = {.b = block->packed_b, .words = block->words, .c_row = p->n, .accumulate = p->accumulate || block->word > 0};
    tile.rounded = p->result == OPERAND_BFLOAT16;
    tile.source_row = p->n;
    for (int64_t j = 0, width; j < block->columns; j += width, tile.b += keeps ? width * block->words : 0) {
        width = panel_width(block->columns - j);
        const int64_t column = block->column + j, columns = count_at_most(width, block->columns - j);
        tile.source = packs && in_tiles ? (const Word *)p->b + block->word * p->n + column : NULL;
        if (packs && !in_tiles) {
            factor_pack(&block->b, column, columns, block->word, block->words, tile.b, width);
        }
        tile.b_word = width;
        tile.last = lanes_mask(columns - (width - LANES));
        panel_multiply(block, &tile, column, width);
    }
}

/* For the block's columns and words, all rows. */
static void rows_cut(Block block, int64_t rows) {
    const Product *p = block.product;
    for (block.row = 0; block.row < block.a.length; block.row += rows) {
        block.rows = count_at_most(rows, block.a.length - block.row);
        if (block.packed_a != NULL) {
            const int64_t k = block.word * PER_WORD;
            pack_rows((const Element *)block.a.elements + k * p->m + block.row, p->m, block.rows,
                      count_at_most(p->k - k, block.words * PER_WORD), block.packed_a, LANES, LANES * block.words);
        }
        block_multiply(&block);
    }
}

/* Words of a transposed factor's column lie a row apart, which the cache bears as long as all of it fits, and not by whole pages, which
 * share a few places of it. Pairs have to be made. */
static bool packs_a(const Product *p) {
    enum { PAGE_WORDS = 1024 };
    return p->transpose_a && (PER_WORD == 2 || p->m * p->k > cached_words || p->m % PAGE_WORDS == 0);
}

int PANELS_MULTIPLY(Panels *panels, const Product *p) {
    Block block = {.product = p, .a = {p->a, p->m, p->k, p->transpose_a}, .b = {p->b, p->n, p->k, !p->transpose_b}};
    if (!factor_is_whole(&block.a) || !factor_is_whole(&block.b) || p->result > p->operands) {
        return 1;
    }
    const int64_t all_words = (p->k + PER_WORD - 1) / PER_WORD;
    const int64_t words = p->result == OPERAND_FLOAT ? count_at_most(all_words, BLOCK_WORDS) : all_words; /* sums are rounded once */
    const int64_t a_words = p->m * all_words * (packs_a(p) ? 2 : 1), columns = count_at_most(p->n, BLOCK_COLUMNS);
    const int64_t rows = a_words > cached_words ? count_at_most(p->m, BLOCK_ROWS) : p->m;
    const int64_t b_width = rows < p->m ? round_up(columns, LANES) : PANEL_COLUMNS, a_width = packs_a(p) ? round_up(rows, LANES) : 0;
    block.packed_b = panels_room(panels, (size_t)(words * (b_width + a_width)));
    if (block.packed_b == NULL) {
        return 1;
    }
    block.packed_a = a_width > 0 ? block.packed_b + words * b_width : NULL;
    for (block.column = 0; block.column < p->n; block.column += columns) {
        block.columns = count_at_most(columns, p->n - block.column);
        for (block.word = 0; block.word < all_words; block.word += words) {
            block.words = count_at_most(words, all_words - block.word);
            rows_cut(block, rows);
        }
    }
    return 0;
}
