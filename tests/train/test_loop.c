#include "fixture.h"

static const char *const metrics[] = {"train_loss", "train_error", "validation_loss", "validation_error", "test_loss", "test_error"};

static void test_points(void **state) {
    (void)state;
    Run run = fixture_run();
    Trainer *trainer = fixture_trainer(&run);
    FixturePoints points;
    TrainLoop loop = fixture_loop(&points, NULL);
    assert_int_equal(train_run(trainer, &loop, NULL), 0);
    int64_t steps[8];
    size_t count = run_evaluation_steps(&run, steps, 8);
    assert_int_equal(count, 3);
    assert_int_equal(points.count, count);
    for (size_t i = 0; i < count; i++) {
        const Point *point = &points.points[i];
        assert_int_equal(point->step, steps[i]);
        assert_true(point->examples == 32.0 * (double)steps[i]);
        assert_true(point->flops == (double)steps[i] * trainer->flops / 24);
        assert_true(point->seconds <= trainer->seconds);
        assert_int_equal(point->metric_count, 6);
        for (size_t j = 0; j < 6; j++)
            assert_true(isfinite(point_metric(point, metrics[j])));
    }
    assert_true(point_metric(&points.points[2], "train_loss") < point_metric(&points.points[0], "train_loss"));
    assert_true(points.looks > 0);

    /* At its end: the last point once more. */
    FixturePoints again;
    loop = fixture_loop(&again, NULL);
    assert_int_equal(train_run(trainer, &loop, NULL), 0);
    assert_int_equal(again.count, 1);
    fixture_assert_same_point(&again.points[0], &points.points[2]);
    trainer_free(trainer);
}

static void test_no_validation(void **state) {
    (void)state;
    Run run = fixture_run();
    run.validation = 0;
    Trainer *trainer = fixture_trainer(&run);
    Point point;
    assert_int_equal(trainer->interface->evaluate(trainer, &point, NULL), 0);
    assert_int_equal(point.metric_count, 4);
    assert_true(isnan(point_metric(&point, "validation_error")));
    trainer_free(trainer);
}

/* The measured figures, computed from the logits in the plainest way. */
static void test_evaluation(void **state) {
    (void)state;
    Run run = fixture_run();
    Trainer *trainer = fixture_trainer(&run);
    Point point;
    Error error = {0};
    assert_int_equal(trainer->interface->step(trainer, 12, &error), 0);
    assert_int_equal(trainer->interface->evaluate(trainer, &point, &error), 0);
    DatasetMap *data;
    assert_int_equal(dataset_open(&data, scratch_root, "small", fixture_digest, &error), 0);
    double loss = 0;
    int errors = 0;
    for (uint32_t i = 0; i < FIXTURE_TEST; i++) {
        float x[FIXTURE_INPUTS];
        uint16_t label;
        batch_gather(data, DATA_TEST, &i, 1, x, &label);
        const float *logits = model_forward(trainer_model(trainer), x, 1);
        double sum = 0;
        int best = 0;
        for (int c = 0; c < FIXTURE_CLASSES; c++) {
            sum += exp((double)logits[c]);
            best = logits[c] > logits[best] ? c : best;
        }
        loss += log(sum) - (double)logits[label];
        errors += best != label;
    }
    assert_true(fabs(point_metric(&point, "test_loss") - loss / FIXTURE_TEST) < 1e-5);
    assert_true(point_metric(&point, "test_error") == (double)errors / FIXTURE_TEST);
    dataset_free(data);
    trainer_free(trainer);
}

static void test_divergence(void **state) {
    (void)state;
    Run run = fixture_run();
    run.optimizer.lr = 1e30;
    run.evaluations = 1; /* only the loss of a step can tell before the end */
    run.schedule.warmup = 0;
    Trainer *trainer = fixture_trainer(&run);
    FixturePoints points;
    const char *path = scratch_path("diverged.safetensors");
    TrainLoop loop = fixture_loop(&points, path);
    assert_int_equal(train_run(trainer, &loop, NULL), TRAIN_DIVERGED);
    assert_true(trainer->step < trainer->steps);
    const Point *last = &points.points[points.count - 1];
    assert_int_equal(last->step, trainer->step);
    for (size_t j = 0; j < 6; j++)
        assert_true(isnan(point_metric(last, metrics[j])));
    assert_int_equal(last->metric_count, 6);
    assert_false(file_exists(path));
    trainer_free(trainer);
}

static int refuse_point(void *context, const Point *point, Error *error) {
    (void)context;
    (void)point;
    return error_set(error, "the journal is full");
}

static void test_point_that_is_not_taken(void **state) {
    (void)state;
    Run run = fixture_run();
    Trainer *trainer = fixture_trainer(&run);
    FixturePoints points;
    TrainLoop loop = fixture_loop(&points, NULL);
    Error error = {0};
    loop.on_point = refuse_point;
    assert_int_equal(train_run(trainer, &loop, &error), -1);
    assert_string_equal(error.text, "the journal is full");
    assert_true(trainer->step < trainer->steps);
    trainer_free(trainer);
}

static void test_checkpoints_along_the_way(void **state) {
    (void)state;
    Run run = fixture_run();
    Trainer *trainer = fixture_trainer(&run);
    FixturePoints points;
    const char *path = scratch_path("often.safetensors");
    TrainLoop loop = fixture_loop(&points, path);
    Error error = {0};
    loop.checkpoint_seconds = 0;
    assert_int_equal(train_run(trainer, &loop, &error), 0);
    Trainer *other = fixture_trainer(&run);
    assert_int_equal(other->interface->load(other, path, &error), 0);
    assert_true(other->step > 0 && other->step < 24);
    assert_int_equal(train_run(other, &loop, &error), 0);
    fixture_assert_same_weights(trainer, other);
    trainer_free(other);

    /* A checkpoint that cannot be written is an error, not a silence. */
    loop.checkpoint_path = scratch_path("no/such/directory");
    points.stop_at = 0;
    trainer->step = 0;
    assert_int_equal(train_run(trainer, &loop, &error), TRAIN_UNSAVED);
    assert_non_null(strstr(error.text, "no/such/directory"));
    trainer_free(trainer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_points),     cmocka_unit_test(test_no_validation),           cmocka_unit_test(test_evaluation),
        cmocka_unit_test(test_divergence), cmocka_unit_test(test_point_that_is_not_taken), cmocka_unit_test(test_checkpoints_along_the_way),
    };
    return cmocka_run_group_tests(tests, fixture_setup, scratch_teardown);
}
