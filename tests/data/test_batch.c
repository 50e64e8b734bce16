#include "fixture.h"

#include "sweepd/bfloat16.h"

#include <math.h>

static void test_gather(void **state) {
    (void)state;
    uint8_t labels[40];
    for (int i = 0; i < 40; i++)
        labels[i] = (uint8_t)(i % 3);
    DatasetMap *data;
    Error error = {0};
    assert_int_equal(dataset_map(&data, fixture_pack("batch.pack", labels, 40, 5), true, &error), 0);
    static const uint32_t indices[] = {39, 0, 17, 17, 4};
    float x[5 * 6];
    uint16_t y[5];
    batch_gather(data, DATA_TRAIN, indices, 5, x, y);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(y[i], indices[i] % 3);
        for (int j = 0; j < 6; j++) {
            double byte = (7 * indices[i] + (unsigned)j) % 256;
            assert_true(fabs(x[i * 6 + j] - (byte / 255 - 0.5) / 0.25) < 1e-6);
        }
    }
    batch_gather(data, DATA_TEST, indices + 4, 1, x, y);
    assert_int_equal(y[0], 1);
    assert_true(fabs(x[0] - (28.0 / 255 - 0.5) / 0.25) < 1e-6);
    dataset_free(data);
}

/* Rows of whole vectors and of remainders, every byte: floats bit for bit as the formula has them, and the rounded form as rounding these
 * gives it. */
static void test_kernels(void **state) {
    (void)state;
    enum { ROWS = 8, INPUTS_MAX = 150 };
    static const uint32_t indices[] = {7, 0, 3, 3, 1, 6};
    const float centre = 71.4F, scale = 1.0F / 89.25F;
    uint8_t rows[ROWS * INPUTS_MAX];
    float x[ROWS * INPUTS_MAX];
    uint16_t rounded[ROWS * INPUTS_MAX];
    for (int i = 0; i < ROWS * INPUTS_MAX; i++)
        rows[i] = (uint8_t)(i * 7);
    for (int inputs = 1; inputs <= INPUTS_MAX; inputs++) {
        rows_gather(rows, inputs, indices, 6, centre, scale, x);
        rows_gather_rounded(rows, inputs, indices, 6, centre, scale, rounded);
        for (int i = 0; i < 6 * inputs; i++) {
            float difference = (float)rows[(int)indices[i / inputs] * inputs + i % inputs] - centre;
            assert_true(x[i] == difference * scale);
            assert_int_equal(rounded[i], bfloat16_from_float(x[i]));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gather), cmocka_unit_test(test_kernels)};
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
