/* A small run on the real data: it learns, and it gives the same bits twice. */
#include "fixture.h"

static int setup(void **state) {
    (void)state;
    strcpy(fixture_home, "/tmp/sweepd-train-XXXXXX");
    return mkdtemp(fixture_home) ? 0 : -1;
}

static void test_small_run(void **state) {
    (void)state;
    if (!file_exists("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz"))
        skip();
    Run run = fixture_run();
    const Dataset *dataset = sweep_dataset_find("fashion-mnist");
    assert_non_null(dataset);
    strcpy(run.data_name, dataset->name);
    strcpy(run.data_digest, dataset->digest);
    run.model.inputs = dataset->inputs;
    run.model.classes = dataset->classes;
    run.validation = 5000;
    run.examples = 500;
    run.epochs = 20;
    run.batch = 128;
    run.optimizer.lr = 0.002;
    FixturePoints first, second;
    Trainer *trainer = fixture_trainer(&run), *other = fixture_trainer(&run);
    TrainLoop loop = fixture_loop(&first, NULL);
    assert_int_equal(train_run(trainer, &loop, NULL), 0);
    loop = fixture_loop(&second, NULL);
    assert_int_equal(train_run(other, &loop, NULL), 0);
    fixture_assert_same_weights(trainer, other);
    assert_int_equal(first.count, second.count);
    for (size_t i = 0; i < first.count; i++)
        fixture_assert_same_point(&first.points[i], &second.points[i]);
    const Point *last = &first.points[first.count - 1];
    assert_true(point_metric(last, "test_error") < 0.5); /* chance: 0.9 */
    assert_true(point_metric(last, "validation_error") < 0.5);
    assert_true(point_metric(last, "train_error") < point_metric(last, "test_error"));
    trainer_free(trainer);
    trainer_free(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_small_run)};
    return cmocka_run_group_tests(tests, setup, fixture_teardown);
}
