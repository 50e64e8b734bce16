/* Which setting of a cell enters the fit. */
#include "known_law.h"

static void expect(const FitCandidate *candidates, size_t count, const bool *expected) {
    bool keep[32];
    assert_in_range(count, 0, 32);
    memset(keep, 1, sizeof keep);
    assert_int_equal(fit_tune_select(candidates, count, keep, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        if (keep[i] != expected[i]) {
            fail_msg("candidate %zu: %s", i, keep[i] ? "kept" : "left out");
        }
    }
}

/* The mean over seeds decides, not the best seed; cells decide by themselves; the order of the runs does not matter. */
static void test_lowest_mean(void **state) {
    (void)state;
    const FitCandidate candidates[] = {{7, 0, 0.10}, {7, 1, 0.25}, {7, 0, 0.50}, {7, 1, 0.26},  {-3, 0, 0.4},
                                       {-3, 1, 0.5}, {-3, 0, 0.4}, {-3, 1, 0.5}, {7, 2, 0.255}, {7, 2, 0.256}};
    expect(candidates, 10, (bool[]){false, true, false, true, true, false, true, false, false, false});
}

static void test_unfinished_settings_are_out(void **state) {
    (void)state;
    /* Not finished, infinite, and with a seed less than the others. */
    const FitCandidate candidates[] = {{1, 0, 0.1}, {1, 0, NAN}, {1, 1, INFINITY}, {1, 1, 0.1}, {1, 2, 0.05}, {1, 3, 0.6}, {1, 3, 0.7}};
    expect(candidates, 7, (bool[]){false, false, false, false, false, true, true});
    expect((FitCandidate[]){{1, 0, -INFINITY}, {1, 1, 3}}, 2, (bool[]){false, true});
}

static void test_cells_without_a_setting(void **state) {
    (void)state;
    const FitCandidate candidates[] = {{1, 0, NAN}, {1, 1, INFINITY}, {2, 1, 0.5}};
    expect(candidates, 3, (bool[]){false, false, true});
    expect(NULL, 0, NULL);
}

/* Settings that are equal: the first is chosen, whatever the order of the runs. */
static void test_ties(void **state) {
    (void)state;
    expect((FitCandidate[]){{1, 5, 0.5}, {1, 2, 0.5}, {1, 3, 0.5}}, 3, (bool[]){false, true, false});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lowest_mean),
        cmocka_unit_test(test_unfinished_settings_are_out),
        cmocka_unit_test(test_cells_without_a_setting),
        cmocka_unit_test(test_ties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
