/* A sweep of 100,000 runs: planned, submitted and looked at in full. How long each takes is printed, and is for scripts/bench-scale to
 * judge. */
#include "harness.h"

#include <stdio.h>
#include <string.h>

enum { LARGE_RUNS = 100000 };

static json_t *timed(const char *what, const char *argument) {
    Output output = site_run("sweepctl", what, argument, "--json", NULL);
    if (output.code)
        fail_msg("%s: exit code %d\n%s", what, output.code, output.err);
    printf("%s of %d runs: %.2f s\n", what, LARGE_RUNS, output.seconds);
    json_t *tree = json_loads(output.out, 0, NULL);
    assert_non_null(tree);
    output_free(&output);
    return tree;
}

static void test_large_sweep(void **state) {
    (void)state;
    const char *file = getenv("SWEEPD_LARGE");
    assert_non_null(file);
    json_t *plan = timed("plan", file);
    assert_int_equal(json_integer_value(json_object_get(plan, "runs")), LARGE_RUNS);
    assert_int_equal(json_array_size(json_object_get(plan, "models")), 50);
    site_start_daemon("0", NULL);
    json_t *submit = timed("submit", file);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(submit, "submitted"), "added")), LARGE_RUNS);
    json_t *again = timed("submit", file);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(again, "submitted"), "added")), 0);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(again, "submitted"), "shared")), LARGE_RUNS);
    json_t *status = timed("status", "large"), *sweep = json_object_get(status, "sweep");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(sweep, "by_state"), "pending")), LARGE_RUNS);
    double planned = json_number_value(json_object_get(json_object_get(plan, "flops"), "exact"));
    double kept = json_number_value(json_object_get(sweep, "planned_flops"));
    assert_true(planned > 0 && kept > planned * (1 - 1e-9) && kept < planned * (1 + 1e-9));
    json_decref(plan);
    json_decref(submit);
    json_decref(again);
    json_decref(status);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_large_sweep, site_set_up, site_tear_down)};
    return cmocka_run_group_tests_name("large", tests, NULL, NULL);
}
