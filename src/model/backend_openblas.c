/* OpenBLAS, with large products cut to the size of its small-matrix kernels where it has them.
 *
 * On processors with AVX-512, OpenBLAS multiplies up to 100^3 multiply-adds with kernels that neither copy nor pack. Their rate stays that
 * high on tiles of a larger product as long as its matrices stay in the cache: on one core 105 to 115 GFLOP/s where the whole product
 * reaches 75 to 100, for every shape of a model of width 16 to 256. Products with a transposed right factor gain only when their inner side
 * is long. */
#include "backend.h"

#include <cblas.h>
#include <stdio.h>
#include <string.h>

static const int64_t small_product = 1000000; /* multiply-adds that the small kernels take */
static const int64_t cached_floats = 1 << 20; /* of all three matrices, for tiles to pay */
static const int64_t tile_columns = 64, tile_rows_min = 16;
static const int64_t transposed_inner_min = 512;

/* Set with the threads, before any product. */
static bool use_tiles;

typedef struct Tile {
    int64_t rows, columns;
} Tile;

static Tile product_tile(const Product *p) {
    const Tile whole = {p->m, p->n};
    bool fits = p->m * p->n * p->k <= small_product, cached = p->m * p->k + p->k * p->n + p->m * p->n <= cached_floats;
    if (!use_tiles || fits || !cached || (p->transpose_b && p->k < transposed_inner_min)) {
        return whole;
    }
    int64_t columns = p->n < tile_columns ? p->n : tile_columns;
    int64_t rows = small_product / (columns * p->k) / tile_rows_min * tile_rows_min;
    return rows >= tile_rows_min ? (Tile){rows < p->m ? rows : p->m, columns} : whole;
}

/* The part of c that starts at (i, j). */
static void multiply_tile(const Product *p, int64_t i, int64_t j, Tile tile) {
    int64_t lda = p->transpose_a ? p->m : p->k, ldb = p->transpose_b ? p->k : p->n;
    int64_t rows = p->m - i < tile.rows ? p->m - i : tile.rows, columns = p->n - j < tile.columns ? p->n - j : tile.columns;
    const float *a = (const float *)p->a + (p->transpose_a ? i : i * lda), *b = (const float *)p->b + (p->transpose_b ? j * ldb : j);
    float *c = (float *)p->c + i * p->n + j;
    cblas_sgemm(CblasRowMajor, p->transpose_a ? CblasTrans : CblasNoTrans, p->transpose_b ? CblasTrans : CblasNoTrans, (blasint)rows,
                (blasint)columns, (blasint)p->k, 1.0F, a, (blasint)lda, b, (blasint)ldb, p->accumulate ? 1.0F : 0.0F, c, (blasint)p->n);
}

static void multiply_openblas(void *state, const Product *p) {
    (void)state;
    Tile tile = product_tile(p);
    for (int64_t i = 0; i < p->m; i += tile.rows) {
        for (int64_t j = 0; j < p->n; j += tile.columns) {
            multiply_tile(p, i, j, tile);
        }
    }
}

static bool has_small_kernels(void) {
    const char *core = openblas_get_corename();
    return strcmp(core, "SkylakeX") == 0 || strcmp(core, "Cooperlake") == 0 || strcmp(core, "SapphireRapids") == 0;
}

/* The small kernels use one thread, so tiles would leave the others idle. */
static void set_threads_openblas(int threads) {
    openblas_set_num_threads(threads);
    use_tiles = threads == 1 && has_small_kernels();
}

bool backend_openblas_has_small_kernels(void) {
    return use_tiles;
}

static const char *text_openblas(void) {
    static char text[96];
    /* The configuration reads "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ...". */
    char version[32] = "";
    sscanf(openblas_get_config(), "%*s %31s", version);
    snprintf(text, sizeof text, "openblas %s %s", version, openblas_get_corename());
    return text;
}

const MatrixBackend backend_openblas = {
    .name = "openblas", .multiply = multiply_openblas, .set_threads = set_threads_openblas, .text = text_openblas};
