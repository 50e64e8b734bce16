#include "sweepd/base.h"

#include <math.h>
#include <setjmp.h>

#include <cmocka.h>

/* The generator's own recurrence from a state of 1, 2, 3, 4, worked out from its published definition. */
static void test_first_outputs_from_a_known_state(void **state) {
    (void)state;
    Rng rng = {{1, 2, 3, 4}};
    static const uint64_t expected[] = {11520, 0, 1509978240, 1215971899390074240};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_true(rng_next(&rng) == expected[i]);
}

static void test_streams_differ_and_repeat(void **state) {
    (void)state;
    Rng a, b, c;
    rng_init(&a, 1, 0);
    rng_init(&b, 1, 1);
    rng_init(&c, 1, 0);
    int equal = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t first = rng_next(&a);
        equal += first == rng_next(&b);
        assert_true(first == rng_next(&c));
    }
    assert_int_equal(equal, 0);
}

static void test_below_is_uniform(void **state) {
    (void)state;
    Rng rng;
    rng_init(&rng, 3, 0);
    int counts[7] = {0};
    for (int i = 0; i < 70000; i++)
        counts[rng_below(&rng, 7)]++;
    double chi = 0;
    for (int i = 0; i < 7; i++)
        chi += pow(counts[i] - 10000.0, 2) / 10000;
    assert_true(chi < 22.5); /* 99.9 % of a chi-square with 6 degrees of freedom */
    assert_int_equal(rng_below(&rng, 1), 0);
}

static void test_normal_moments(void **state) {
    (void)state;
    Rng rng;
    rng_init(&rng, 5, 0);
    double sum = 0, squares = 0;
    const int count = 200000;
    for (int i = 0; i < count; i++) {
        double value = rng_normal(&rng);
        sum += value;
        squares += value * value;
    }
    assert_true(fabs(sum / count) < 0.01);
    assert_true(fabs(squares / count - 1) < 0.02);
}

static void test_shuffle_is_a_permutation(void **state) {
    (void)state;
    uint32_t items[1000];
    unsigned char seen[1000] = {0};
    Rng rng;
    rng_init(&rng, 9, 0);
    for (uint32_t i = 0; i < 1000; i++)
        items[i] = i;
    rng_shuffle(&rng, items, 1000);
    int fixed = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        assert_false(seen[items[i]]);
        seen[items[i]] = 1;
        fixed += items[i] == i;
    }
    assert_true(fixed < 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_outputs_from_a_known_state),
        cmocka_unit_test(test_streams_differ_and_repeat),
        cmocka_unit_test(test_below_is_uniform),
        cmocka_unit_test(test_normal_moments),
        cmocka_unit_test(test_shuffle_is_a_permutation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
