#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "backend.h"
#include "panels.h"
#include "sweepd/base.h"
#include "sweepd/bfloat16.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static float *matrix_make(int64_t size, uint64_t stream) {
    Rng rng;
    float *values = malloc((size_t)size * sizeof *values);
    assert_non_null(values);
    rng_init(&rng, 1, stream);
    for (int64_t i = 0; i < size; i++) {
        values[i] = (float)(2 * rng_uniform(&rng) - 1);
    }
    return values;
}

static Bfloat16 *matrix_round(const float *values, int64_t size) {
    Bfloat16 *rounded = malloc((size_t)size * sizeof *rounded);
    assert_non_null(rounded);
    for (int64_t i = 0; i < size; i++) {
        rounded[i] = bfloat16_from_float(values[i]);
    }
    return rounded;
}

static float element_of(OperandType type, const void *values, int64_t index) {
    return type == OPERAND_FLOAT ? ((const float *)values)[index] : bfloat16_to_float(((const Bfloat16 *)values)[index]);
}

/* Each of the k additions of numbers below 1 rounds once, and a bfloat16 result once more, to 8 bits. */
static void assert_results(const Product *p, const void *fast, const void *naive) {
    float tolerance = 2e-7F * (float)(p->k + 10), share = p->result == OPERAND_FLOAT ? 0 : 0x1p-7F;
    for (int64_t i = 0; i < p->m * p->n; i++) {
        float value = element_of(p->result, fast, i), expected = element_of(p->result, naive, i);
        if (!(fabsf(value - expected) <= tolerance + share * fabsf(expected))) {
            fail_msg("[%lld, %lld, %lld] transposed %d %d, added %d, types %d %d: element %lld is %g, not %g", (long long)p->m,
                     (long long)p->n, (long long)p->k, p->transpose_a, p->transpose_b, p->accumulate, p->operands, p->result, (long long)i,
                     (double)value, (double)expected);
        }
    }
}

/* product: all but its pointers. */
static void assert_product(const MatrixBackend *backend, void *backend_state, Product product) {
    int64_t m = product.m, n = product.n, k = product.k;
    float *a = matrix_make(m * k, 1), *b = matrix_make(k * n, 2), *fast = matrix_make(m * n, 3), *naive = matrix_make(m * n, 3);
    Bfloat16 *rounded_a = matrix_round(a, m * k), *rounded_b = matrix_round(b, k * n);
    product.a = product.operands == OPERAND_FLOAT ? (const void *)a : rounded_a;
    product.b = product.operands == OPERAND_FLOAT ? (const void *)b : rounded_b;
    product.c = fast;
    backend->multiply(backend_state, &product);
    product.c = naive;
    backend_naive.multiply(NULL, &product);
    assert_results(&product, fast, naive);
    free(a);
    free(b);
    free(rounded_a);
    free(rounded_b);
    free(fast);
    free(naive);
}

/* Whole products, and ones past the size at which they are cut into tiles, with remainders at both sides. */
static const int64_t small_shapes[][3] = {{1, 1, 1},       {5, 3, 7},     {64, 10, 16},  {128, 8, 784},
                                          {150, 130, 100}, {70, 69, 601}, {200, 9, 700}, {9, 1000, 150}};

/* Past the blocks of our kernels: of rows and summed words, with a transposed factor that is packed; of columns. */
static const int64_t large_shapes[][3] = {{270, 37, 2054}, {150, 2083, 18}};

/* Where our kernels ask for what they will pack, and where rows of a transposed factor lie whole pages apart. */
static const int64_t awaited_shapes[][3] = {{72, 601, 62}, {1024, 50, 37}};

static void assert_shapes(const MatrixBackend *backend, void *backend_state, const int64_t (*shapes)[3], size_t count) {
    for (size_t i = 0; i < count; i++) {
        for (int flags = 0; flags < 8; flags++) {
            Product product = {.transpose_a = flags & 1, .transpose_b = flags & 2, .accumulate = flags & 4, .operands = backend->operands};
            product.m = shapes[i][0], product.n = shapes[i][1], product.k = shapes[i][2];
            assert_product(backend, backend_state, product);
            product.result = backend->operands;
            if (!product.accumulate) {
                assert_product(backend, backend_state, product);
            }
        }
    }
}

static void assert_products(BackendKind kind) {
    const MatrixBackend *backend = backend_table(kind);
    void *backend_state = NULL;
    Error error;
    assert_true(backend->open == NULL || backend->open(&backend_state, &error) == 0);
    assert_shapes(backend, backend_state, small_shapes, COUNT(small_shapes));
    if (backend_state != NULL) {
        backend->close(backend_state);
    }
}

/* What begins inside a word is left alone; with an even k nothing does. */
static void multiply_panels(void *panels, const Product *p) {
    int result = p->operands == OPERAND_FLOAT ? panels_multiply_float(panels, p) : panels_multiply_bfloat16(panels, p);
    if (p->operands == OPERAND_FLOAT || p->k % 2 == 0) {
        assert_int_equal(result, p->result > p->operands);
    }
    if (result != 0) {
        backend_naive.multiply(NULL, p);
    }
}

static void test_panels(void **state) {
    (void)state;
    Panels panels = {0};
    for (int type = OPERAND_FLOAT; type <= OPERAND_BFLOAT16; type++) {
        const MatrixBackend backend = {.operands = (OperandType)type, .multiply = multiply_panels};
        if (type == OPERAND_FLOAT ? panels_has_float() : panels_has_bfloat16()) {
            assert_shapes(&backend, &panels, small_shapes, COUNT(small_shapes));
            assert_shapes(&backend, &panels, large_shapes, COUNT(large_shapes));
            assert_shapes(&backend, &panels, awaited_shapes, COUNT(awaited_shapes));
        }
    }
    panels_deinit(&panels);
}

static void test_products(void **state) {
    (void)state;
    for (int threads = 1; threads <= 2; threads++) {
        backend_set_threads(threads);
        for (int kind = BACKEND_OPENBLAS; kind <= BACKEND_ONEDNN_BF16; kind++) {
            if (backend_available((BackendKind)kind)) {
                assert_products((BackendKind)kind);
            }
        }
    }
    backend_set_threads(1);
}

#ifdef HAVE_ONEDNN
/* What machines with AMX run, wherever this runs; and oneDNN's own products where OpenBLAS would make them. */
static void test_packing(void **state) {
    (void)state;
    for (int policy = PACK_ALWAYS; policy <= PACK_NEVER; policy++) {
        backend_onednn_set_packing((PackPolicy)policy);
        assert_products(BACKEND_ONEDNN);
        if (backend_available(BACKEND_ONEDNN_BF16)) {
            assert_products(BACKEND_ONEDNN_BF16);
        }
    }
    backend_onednn_set_packing(PACK_WHERE_IT_GAINS);
}

/* More shapes than a state keeps plans for: the first are made anew. */
static void test_many_shapes(void **state) {
    (void)state;
    void *backend_state;
    Error error;
    backend_onednn_set_packing(PACK_NEVER);
    assert_int_equal(backend_onednn.open(&backend_state, &error), 0);
    backend_onednn_set_packing(PACK_WHERE_IT_GAINS);
    for (int64_t round = 0; round < 2; round++) {
        for (int64_t m = 1; m < 140; m++) {
            assert_product(&backend_onednn, backend_state, (Product){.m = m, .n = 3, .k = 5});
        }
    }
    backend_onednn.close(backend_state);
}
#endif

/* Nearest, ties to even, past the largest to infinity; a NaN stays one, even where all of its mantissa is set. */
static void test_rounding(void **state) {
    (void)state;
    const float values[][2] = {{1, 1}, {-1.00390625F, -1},  {1.01171875F, 1.015625F}, {1.004F, 1.0078125F},
                               {0, 0}, {3.4e38F, INFINITY}, {-INFINITY, -INFINITY},   {1e-40F, 0x1p-133F}};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_true(bfloat16_to_float(bfloat16_from_float(values[i][0])) == values[i][1]);
    }
    uint32_t bits = 0x7fffffff;
    float nan;
    memcpy(&nan, &bits, sizeof nan);
    assert_true(isnan(bfloat16_to_float(bfloat16_from_float(nan))));
    assert_true(isnan(bfloat16_to_float(bfloat16_from_float(-nan))));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products), cmocka_unit_test(test_panels),
#ifdef HAVE_ONEDNN
        cmocka_unit_test(test_packing),  cmocka_unit_test(test_many_shapes),
#endif
        cmocka_unit_test(test_rounding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
