#include "fixture.h"

#include <math.h>

#include "sweepd/record.h"

static void names_of_states_and_outcomes_go_both_ways(void **state) {
    (void)state;
    for (int i = 0; i < RUN_STATES; i++) {
        RunState found = RUN_STATES;
        assert_int_equal(run_state_find(run_state_text((RunState)i), &found), 0);
        assert_int_equal(found, i);
    }
    for (int i = 0; i < OUTCOMES; i++) {
        Outcome found = OUTCOMES;
        assert_int_equal(outcome_find(outcome_text((Outcome)i), &found), 0);
        assert_int_equal(found, i);
    }
    RunState run_state;
    Outcome outcome;
    assert_int_equal(run_state_find("finished", &run_state), 1);
    assert_int_equal(outcome_find("", &outcome), 1);
    assert_string_equal(run_state_text(RUN_STATES), "unknown");
    assert_string_equal(outcome_text(OUTCOME_OUT_OF_MEMORY), "out_of_memory");
}

static void only_the_runs_own_faults_count(void **state) {
    (void)state;
    const bool counts[OUTCOMES] = {[OUTCOME_CRASHED] = true, [OUTCOME_TIMEOUT] = true, [OUTCOME_OUT_OF_MEMORY] = true};
    for (int i = 0; i < OUTCOMES; i++)
        assert_int_equal(outcome_counts((Outcome)i), counts[i]);
}

static void metrics_survive_their_json(void **state) {
    (void)state;
    Point point = {0}, back = {0};
    Buffer text;
    Error error = {0};
    buffer_init(&text, 4096);
    assert_true(point_set_metric(&point, "test_error", 0.1));
    assert_true(point_set_metric(&point, "test_loss", NAN));
    assert_true(point_set_metric(&point, "train_loss", 1.0 / 3.0));
    assert_true(point_set_metric(&point, "test_error", 0.25));
    point_format_metrics(&point, &text);
    assert_string_equal(text.data, "{\"test_error\":0.25,\"test_loss\":null,\"train_loss\":0.3333333333333333}");
    assert_int_equal(point_parse_metrics(&back, text.data, text.size, &error), 0);
    assert_int_equal(back.metric_count, 3);
    assert_true(point_metric(&back, "test_error") == 0.25);
    assert_true(isnan(point_metric(&back, "test_loss")));
    assert_true(point_metric(&back, "train_loss") == 1.0 / 3.0);
    assert_true(isnan(point_metric(&back, "validation_loss")));
    buffer_deinit(&text);
}

static void metrics_past_the_limit_are_dropped(void **state) {
    (void)state;
    Point point = {0};
    char name[METRIC_NAME_MAX + 8];
    for (int i = 0; i < POINT_METRICS_MAX; i++) {
        snprintf(name, sizeof name, "metric_%d", i);
        assert_true(point_set_metric(&point, name, i));
    }
    assert_false(point_set_metric(&point, "one_more", 1));
    assert_true(point_set_metric(&point, "metric_3", 33));
    assert_true(point_metric(&point, "metric_3") == 33);
    point.metric_count = 0;
    memset(name, 'a', METRIC_NAME_MAX);
    name[METRIC_NAME_MAX] = '\0';
    assert_false(point_set_metric(&point, name, 1));
}

static void wrong_metrics_are_refused(void **state) {
    (void)state;
    char too_many[16 * POINT_METRICS_MAX] = "{";
    for (int i = 0; i <= POINT_METRICS_MAX; i++)
        snprintf(too_many + strlen(too_many), 16, "%s\"m%d\":1", i ? "," : "", i);
    strcat(too_many, "}");
    const char *const wrong[] = {
        "",
        "{",
        "[]",
        "1",
        "{\"a\":\"1\"}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":{}}",
        "{\"a\":1}x",
        "{\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\":1}",
        too_many,
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        Point point = {0};
        Error error = {0};
        assert_int_equal(point_parse_metrics(&point, wrong[i], strlen(wrong[i]), &error), -1);
        assert_string_not_equal(error.text, "");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_states_and_outcomes_go_both_ways),
        cmocka_unit_test(only_the_runs_own_faults_count),
        cmocka_unit_test(metrics_survive_their_json),
        cmocka_unit_test(metrics_past_the_limit_are_dropped),
        cmocka_unit_test(wrong_metrics_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
