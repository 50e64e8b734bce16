/* A small run on the real data: it learns, it gives the same bits twice, and its figures are those computed in the plainest way. */
#include "fixture.h"

enum { SAMPLE = 1000 };

static double named_metric(const Point *point, const char *section, const char *measure) {
    char name[METRIC_NAME_MAX];
    snprintf(name, sizeof name, "%s_%s", section, measure);
    return point_metric(point, name);
}

/* The share of wrong answers, and the mean loss, over examples taken 100 at a time. */
static void assert_metrics(Trainer *trainer, DatasetMap *data, DataSection section, const uint32_t *indices, int64_t count,
                           const Point *point, const char *name) {
    enum { PART = 100, INPUTS = 784, CLASSES = 10 };
    static float x[PART * INPUTS];
    uint16_t labels[PART];
    double loss = 0;
    int64_t errors = 0, top_errors = 0;
    for (int64_t start = 0; start < count; start += PART) {
        batch_gather(data, section, indices + start, PART, x, labels);
        const float *logits = model_forward(trainer_model(trainer), x, PART);
        for (int i = 0; i < PART; i++, logits += CLASSES) {
            double sum = 0;
            int best = 0, likelier = 0;
            for (int c = 0; c < CLASSES; c++) {
                sum += exp((double)logits[c]);
                best = logits[c] > logits[best] ? c : best;
                likelier += logits[c] > logits[labels[i]];
            }
            loss += log(sum) - (double)logits[labels[i]];
            errors += best != labels[i];
            top_errors += likelier >= 5;
        }
    }
    /* Another batch size may round two nearly equal logits the other way. */
    assert_true(fabs(named_metric(point, name, "error") - (double)errors / (double)count) < 2.5 / (double)count);
    assert_true(fabs(named_metric(point, name, "top5_error") - (double)top_errors / (double)count) < 2.5 / (double)count);
    assert_true(fabs(named_metric(point, name, "loss") - loss / (double)count) < 1e-5);
}

/* last: the point is the run's last one. */
static void assert_evaluation(Trainer *trainer, const Point *point, bool last) {
    const Run *run = &trainer->run;
    DatasetMap *data;
    Split split;
    Error error;
    uint32_t test[10000];
    for (uint32_t i = 0; i < 10000; i++)
        test[i] = i;
    assert_int_equal(dataset_open(&data, scratch_root, run->data_name, run->data_digest, &error), 0);
    assert_int_equal(split_make(&split, data, run->validation, run->examples, run->subset_seed, &error), 0);
    assert_metrics(trainer, data, DATA_TRAIN, split.train, split.train_count, point, "train");
    assert_metrics(trainer, data, DATA_TRAIN, split.validation, last ? split.validation_count : SAMPLE, point, "validation");
    if (last)
        assert_metrics(trainer, data, DATA_TEST, test, 10000, point, "test");
    split_deinit(&split);
    dataset_free(data);
}

static Run fashion_run(void) {
    Run run = fixture_run();
    const Dataset *dataset = sweep_dataset_find("fashion-mnist");
    assert_non_null(dataset);
    strcpy(run.data_name, dataset->name);
    strcpy(run.data_digest, dataset->digest);
    run.model.inputs = dataset->inputs;
    run.model.classes = dataset->classes;
    run.validation = 5000;
    run.examples = 600;
    run.epochs = 20;
    run.batch = 128;
    run.optimizer.lr = 0.002;
    return run;
}

static void test_small_run(void **state) {
    (void)state;
    if (!file_exists("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz"))
        skip();
    const Run run = fashion_run();
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
    assert_evaluation(trainer, last, true);
    trainer_free(trainer);
    trainer_free(other);
}

/* Before its end a run is measured on a sample, whose error is that of the whole set but for the chance of drawing it. */
static void test_on_the_way(void **state) {
    (void)state;
    if (!file_exists("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz"))
        skip();
    const Run run = fashion_run();
    Trainer *trainer = fixture_trainer(&run);
    Point on_the_way, last;
    assert_int_equal(trainer->interface->step(trainer, trainer->steps - 1, NULL), 0);
    assert_int_equal(trainer->interface->evaluate(trainer, &on_the_way, NULL), 0);
    assert_evaluation(trainer, &on_the_way, false);
    assert_int_equal(trainer->interface->step(trainer, 1, NULL), 0); /* at the end of a cosine, where a step moves nothing */
    assert_int_equal(trainer->interface->evaluate(trainer, &last, NULL), 0);
    double sampled = point_metric(&on_the_way, "test_error"), whole = point_metric(&last, "test_error");
    double deviation = sqrt(whole * (1 - whole) / SAMPLE);
    assert_true(fabs(sampled * SAMPLE - round(sampled * SAMPLE)) < 1e-9);
    assert_true(fabs(sampled - whole) < 5 * deviation);
    trainer_free(trainer);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_small_run), cmocka_unit_test(test_on_the_way)};
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
