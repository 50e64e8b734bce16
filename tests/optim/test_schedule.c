#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sweepd/optim.h"

static void assert_factor(const ScheduleSettings *settings, int64_t step, int64_t steps, double expected) {
    assert_true(fabs(schedule_factor(settings, step, steps) - expected) < 1e-15);
}

static void test_constant(void **state) {
    (void)state;
    ScheduleSettings settings = {SCHEDULE_CONSTANT, 0, 0};
    assert_factor(&settings, 0, 10, 1);
    assert_factor(&settings, 9, 10, 1);
}

static void test_linear(void **state) {
    (void)state;
    ScheduleSettings settings = {SCHEDULE_LINEAR, 0, 0};
    assert_factor(&settings, 0, 8, 1);
    assert_factor(&settings, 2, 8, 0.75);
    assert_factor(&settings, 7, 8, 0.125);
}

static void test_cosine(void **state) {
    (void)state;
    ScheduleSettings settings = {SCHEDULE_COSINE, 0, 0};
    assert_factor(&settings, 0, 12, 1);
    assert_factor(&settings, 2, 12, (1 + sqrt(3) / 2) / 2);
    assert_factor(&settings, 4, 12, 0.75);
    assert_factor(&settings, 6, 12, 0.5);
    assert_factor(&settings, 8, 12, 0.25);
}

static void test_warmup_stable_decay(void **state) {
    (void)state;
    ScheduleSettings settings = {SCHEDULE_WSD, 0.2, 0.25};
    /* 20 steps: 4 of warm-up, 5 of decay from step 15 on. */
    assert_factor(&settings, 0, 20, 0.25);
    assert_factor(&settings, 2, 20, 0.75);
    assert_factor(&settings, 3, 20, 1);
    assert_factor(&settings, 15, 20, 1);
    assert_factor(&settings, 16, 20, 0.8);
    assert_factor(&settings, 19, 20, 0.2);
    settings.decay = 1;
    assert_factor(&settings, 10, 20, 0.5);
}

/* Both factors act at once, and the warm-up's length rounds half to even: 2.5 steps are 2, 3.5 are 4, 0.1 is 1. */
static void test_warmup(void **state) {
    (void)state;
    ScheduleSettings settings = {SCHEDULE_LINEAR, 0.25, 0};
    assert_factor(&settings, 0, 10, 0.5);
    assert_factor(&settings, 1, 10, 0.9);
    assert_factor(&settings, 0, 14, 0.25);
    assert_factor(&settings, 2, 14, 0.75 * (1 - 2.0 / 14));
    settings.warmup = 0.01;
    assert_factor(&settings, 0, 10, 1);
    settings.warmup = 1;
    assert_factor(&settings, 4, 10, 0.5 * 0.6);
}

static void test_names(void **state) {
    (void)state;
    static const char *const names[] = {"constant", "linear", "cosine", "wsd"};
    for (int kind = SCHEDULE_CONSTANT; kind <= SCHEDULE_WSD; kind++)
        assert_string_equal(schedule_kind_text((ScheduleKind)kind), names[kind]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constant), cmocka_unit_test(test_linear),
        cmocka_unit_test(test_cosine),   cmocka_unit_test(test_warmup_stable_decay),
        cmocka_unit_test(test_warmup),   cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
