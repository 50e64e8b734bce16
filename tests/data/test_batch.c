#include "fixture.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gather)};
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
