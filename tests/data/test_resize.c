/* Resizing against sums over areas in double precision, point by point. */
#include "fixture.h"

#include "../../src/data/image.h"

#include <math.h>

/* The weight of source pixel j in result i of an axis. */
static double weight(int i, int j, int from, int to) {
    double scale = (double)from / to;
    if (scale >= 1)
        return fmax(0, fmin((i + 1) * scale, j + 1) - fmax(i * scale, j)) / scale;
    double centre = fmin(fmax((i + 0.5) * scale - 0.5, 0), from - 1);
    return fmax(0, 1 - fabs(centre - j));
}

static void check(int height, int width, int channels, int to_height, int to_width) {
    Rng rng;
    size_t size = (size_t)(height * width * channels), to_size = (size_t)(to_height * to_width * channels);
    uint8_t *in = malloc(size), *out = malloc(to_size);
    rng_init(&rng, (uint64_t)(height * 1000 + width), 1);
    for (size_t i = 0; i < size; i++)
        in[i] = (uint8_t)rng_below(&rng, 256);
    Pixels pixels = {in, height, width, channels, (int64_t)width * channels, channels, 1};
    Resizer *resizer = resizer_new(to_height, to_width);
    assert_non_null(resizer);
    assert_int_equal(resizer_run(resizer, &pixels, out), 0);
    for (int c = 0; c < channels; c++)
        for (int y = 0; y < to_height; y++)
            for (int x = 0; x < to_width; x++) {
                double sum = 0;
                for (int j = 0; j < height; j++)
                    for (int k = 0; k < width; k++)
                        sum += weight(y, j, height, to_height) * weight(x, k, width, to_width) * in[(j * width + k) * channels + c];
                assert_true(fabs(out[(c * to_height + y) * to_width + x] - sum) < 0.501);
            }
    resizer_free(resizer);
    free(in);
    free(out);
}

static void test_sizes(void **state) {
    (void)state;
    check(7, 7, 1, 7, 7);
    check(12, 9, 3, 4, 3);
    check(13, 29, 3, 5, 8);
    check(5, 4, 3, 11, 9);
    check(3, 20, 1, 8, 8);
    check(1, 1, 3, 4, 4);
    check(50, 1, 1, 3, 3);
}

/* One resizer for images of many sizes, and pixels that do not lie row by row. */
static void test_strides(void **state) {
    (void)state;
    static const uint8_t columns[] = {1, 2, 3, 4, 5, 6}; /* 2 rows, 3 columns, column by column */
    Pixels pixels = {columns, 2, 3, 1, 1, 2, 0};
    uint8_t out[6], expected[] = {1, 3, 5, 2, 4, 6};
    Resizer *resizer = resizer_new(2, 3);
    assert_non_null(resizer);
    assert_int_equal(resizer_run(resizer, &pixels, out), 0);
    assert_memory_equal(out, expected, 6);
    uint8_t large[40 * 60];
    memset(large, 200, sizeof large);
    Pixels other = {large, 40, 60, 1, 60, 1, 0};
    assert_int_equal(resizer_run(resizer, &other, out), 0);
    for (int i = 0; i < 6; i++)
        assert_int_equal(out[i], 200);
    assert_int_equal(resizer_run(resizer, &pixels, out), 0);
    assert_memory_equal(out, expected, 6);
    resizer_free(resizer);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sizes), cmocka_unit_test(test_strides)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
