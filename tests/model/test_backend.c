#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "backend.h"
#include "sweepd/base.h"

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

/* Each of the k additions of numbers below 1 rounds once. */
static void assert_product(bool transpose_a, bool transpose_b, bool accumulate, int64_t m, int64_t n, int64_t k) {
    float *a = matrix_make(m * k, 1), *b = matrix_make(k * n, 2), *fast = matrix_make(m * n, 3), *naive = matrix_make(m * n, 3);
    Product product = {transpose_a, transpose_b, accumulate, m, n, k, a, b, fast, OPERAND_FLOAT, OPERAND_FLOAT};
    backend_openblas.multiply(NULL, &product);
    product.c = naive;
    backend_naive.multiply(NULL, &product);
    float tolerance = 2e-7F * (float)(k + 10);
    for (int64_t i = 0; i < m * n; i++) {
        if (!(fabsf(fast[i] - naive[i]) <= tolerance)) {
            fail_msg("[%lld, %lld, %lld] transposed %d %d, added %d: element %lld is %g, not %g", (long long)m, (long long)n, (long long)k,
                     transpose_a, transpose_b, accumulate, (long long)i, (double)fast[i], (double)naive[i]);
        }
    }
    free(a);
    free(b);
    free(fast);
    free(naive);
}

/* Whole products, and ones past the size at which they are cut into tiles, with remainders at both sides. */
static void test_products(void **state) {
    (void)state;
    const int64_t shapes[][3] = {{1, 1, 1},       {5, 3, 7},     {64, 10, 16},  {128, 8, 784},
                                 {150, 130, 100}, {70, 69, 601}, {200, 9, 700}, {9, 1000, 150}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        for (int flags = 0; flags < 8; flags++) {
            assert_product(flags & 1, flags & 2, flags & 4, shapes[i][0], shapes[i][1], shapes[i][2]);
        }
    }
}

static void test_one_thread(void **state) {
    backend_set_threads(1);
    test_products(state);
}

static void test_two_threads(void **state) {
    backend_set_threads(2);
    test_products(state);
    backend_set_threads(1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_thread), cmocka_unit_test(test_two_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
