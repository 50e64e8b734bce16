/* Items of eval, against trainings of their own that do the same another way. */
#include "fixture.h"

static Transfer item(TransferKind kind, const char *name) {
    Transfer transfer = {
        .kind = kind,
        .data_name = "small",
        .classes = FIXTURE_CLASSES,
        .validation = 30,
        .examples = 200,
        .epochs = 3,
        .batch = 32,
        .schedule = {.kind = SCHEDULE_COSINE},
    };
    text_copy(transfer.name, sizeof transfer.name, name);
    strcpy(transfer.data_digest, fixture_digest);
    optimizer_settings_default(OPTIMIZER_SGD, &transfer.optimizer);
    transfer.optimizer.lr = 0.1;
    transfer.body_lr = kind == TRANSFER_FINETUNE ? 0.1 : 0;
    return transfer;
}

static Run run_with(const Transfer *items, size_t count) {
    Run run = fixture_run();
    run.transfer_count = count;
    memcpy(run.transfers, items, count * sizeof *items);
    return run;
}

/* The last point. */
static Point train(const Run *run, Trainer **out) {
    FixturePoints points;
    Error error = {0};
    TrainLoop loop = fixture_loop(&points, NULL);
    *out = fixture_trainer(run);
    if (train_run(*out, &loop, &error))
        fail_msg("%s", error.text);
    return points.points[points.count - 1];
}

static void test_items_are_measured_apart(void **state) {
    (void)state;
    Transfer items[] = {item(TRANSFER_LINEAR, "a"), item(TRANSFER_FINETUNE, "b"), item(TRANSFER_LINEAR, "c")};
    items[2].augmentation.flip = 1;
    Run run = run_with(items, 3), plain = run_with(items, 0);
    Trainer *with, *without;
    Point point = train(&run, &with), own = train(&plain, &without);
    fixture_assert_same_weights(with, without);
    assert_true(point.flops == own.flops && with->flops == run_flops(&run).exact);
    for (size_t i = 0; i < own.metric_count; i++)
        assert_true(point_metric(&point, own.metrics[i].name) == own.metrics[i].value);
    char name[METRIC_NAME_MAX];
    size_t count = 0;
    for (; run_metric(&run, count, name); count++)
        assert_true(isfinite(point_metric(&point, name)));
    assert_int_equal(point.metric_count, count);
    for (size_t i = 0; i < 3; i++) {
        transfer_metric(&run.transfers[i], "flops", name);
        assert_true(point_metric(&point, name) == run_transfer_flops(&run, i).exact);
    }
    trainer_free(with);
    trainer_free(without);
}

static void test_only_the_last_point_has_them(void **state) {
    (void)state;
    Transfer items[] = {item(TRANSFER_LINEAR, "a")};
    Run run = run_with(items, 1);
    FixturePoints points;
    Error error = {0};
    TrainLoop loop = fixture_loop(&points, NULL);
    Trainer *trainer = fixture_trainer(&run);
    assert_int_equal(train_run(trainer, &loop, &error), 0);
    assert_int_equal(points.count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(isnan(point_metric(&points.points[i], "linear.a.test_error")) == (i < 2));
    trainer_free(trainer);
}

/* Of each test image its own class, or all classes. */
static void write_labels(RunFile *out, bool all) {
    DatasetMap *data;
    Buffer text;
    Error error = {0};
    assert_int_equal(dataset_open(&data, scratch_root, "small", fixture_digest, &error), 0);
    buffer_init(&text, 1 << 20);
    float *x = malloc((size_t)dataset_info(data)->inputs * sizeof *x);
    for (uint32_t i = 0; i < dataset_info(data)->test_count; i++) {
        uint16_t label;
        batch_gather(data, DATA_TEST, &i, 1, x, &label);
        buffer_printf(&text, "%s[%d", i ? "," : "[", all ? 0 : label);
        for (int class = 1; all && class < FIXTURE_CLASSES; class ++)
            buffer_printf(&text, ",%d", class);
        buffer_append_text(&text, "]");
    }
    buffer_append_text(&text, "]");
    text_copy(out->path, sizeof out->path, scratch_path("labels"));
    scratch_write(out->path, text.data, text.size);
    assert_int_equal(digest_file(DIGEST_SHA256, out->path, out->digest, &error), 0);
    free(x);
    buffer_deinit(&text);
    dataset_free(data);
}

static void test_an_item_has_labels_of_its_own(void **state) {
    (void)state;
    Transfer items[] = {item(TRANSFER_LINEAR, "a")};
    items[0].test.crops = 2;
    items[0].test.augmentation.flip = 1;
    for (int all = 0; all < 2; all++) {
        Trainer *trainer;
        write_labels(&items[0].test.real, all);
        Run run = run_with(items, 1);
        Point point = train(&run, &trainer);
        double error = point_metric(&point, "linear.a.test_error"), crops = point_metric(&point, "linear.a.tta.test_error");
        assert_true(error > 0);
        assert_true(point_metric(&point, "linear.a.real.test_error") == (all ? 0 : error));
        assert_true(point_metric(&point, "linear.a.tta.real.test_error") == (all ? 0 : crops));
        assert_true(isnan(point_metric(&point, "real.test_error")));
        trainer_free(trainer);
    }
    Trainer *trainer;
    Error error = {0};
    TrainerOptions options = {.home = scratch_root, .threads = 1};
    Run run = run_with(items, 1);
    scratch_write(items[0].test.real.path, "[[0]]", 5);
    assert_int_equal(trainer_new(&trainer, &run, &options, &error), TRAIN_REFUSED);
    assert_non_null(strstr(error.text, "eval[0].test.real: "));
}

/* One rate for all: a run that starts from the same body under a fresh head, in the same order, comes to the same bits. */
static void test_finetuning_is_a_run_from_these_weights(void **state) {
    (void)state;
    Transfer items[] = {item(TRANSFER_FINETUNE, "b")};
    Run run = run_with(items, 1), own;
    Trainer *trainer, *fresh, *again;
    Point point = train(&run, &trainer);
    run_transfer(&run, 0, &own);
    fresh = fixture_trainer(&own);
    Model *from = trainer_model(trainer), *head = trainer_model(fresh);
    for (size_t i = model_tensor_count(from) - 2; i < model_tensor_count(from); i++) {
        const Tensor *to = model_tensor(from, i);
        memcpy(to->data, model_tensor(head, i)->data, (size_t)(to->rows * to->columns) * sizeof(float));
    }
    const char *path = scratch_path("start.safetensors");
    Error error = {0};
    assert_int_equal(trainer_save_weights(trainer, path, &error), 0);
    TrainerOptions options = {.home = scratch_root, .threads = 1, .init_weights = path};
    assert_int_equal(trainer_new(&again, &own, &options, &error), 0);
    FixturePoints points;
    TrainLoop loop = fixture_loop(&points, NULL);
    assert_int_equal(train_run(again, &loop, &error), 0);
    for (size_t i = 0; i < points.points[0].metric_count; i++) {
        char name[METRIC_NAME_MAX];
        transfer_metric(&run.transfers[0], points.points[0].metrics[i].name, name);
        assert_true(point_metric(&point, name) == points.points[0].metrics[i].value);
    }
    trainer_free(trainer);
    trainer_free(fresh);
    trainer_free(again);
}

static void assert_near(const Point *point, const char *one, const char *other, double tolerance) {
    double a = point_metric(point, one), b = point_metric(point, other);
    if (!(fabs(a - b) <= tolerance))
        fail_msg("%s is %.9g, %s %.9g", one, a, other, b);
}

/* Features that are kept; a crop that changes nothing, for which every batch is looked at anew; a body that hardly moves. */
static void test_three_ways_to_a_linear_probe(void **state) {
    (void)state;
    static const Precision precisions[] = {PRECISION_FP32, PRECISION_AUTO};
    for (size_t i = 0; i < 2; i++) {
        Transfer items[] = {item(TRANSFER_LINEAR, "kept"), item(TRANSFER_LINEAR, "anew"), item(TRANSFER_FINETUNE, "still")};
        memcpy(items[1].augmentation.scale, (double[]){1, 1}, sizeof items[1].augmentation.scale);
        memcpy(items[1].augmentation.ratio, (double[]){3.0 / 4, 3.0 / 4}, sizeof items[1].augmentation.ratio);
        items[2].body_lr = 1e-12;
        Run run = run_with(items, 3);
        run.precision = precisions[i];
        assert_true(run_transfer_keeps_features(&run, 0) && !run_transfer_keeps_features(&run, 1));
        Trainer *trainer;
        Point point = train(&run, &trainer);
        double tolerance = i == 0 ? 1e-5 : 2e-2;
        assert_near(&point, "linear.kept.test_loss", "linear.anew.test_loss", tolerance);
        assert_near(&point, "linear.kept.test_loss", "finetune.still.test_loss", tolerance);
        assert_near(&point, "linear.kept.train_loss", "finetune.still.train_loss", tolerance);
        trainer_free(trainer);
    }
}

/* ---- stopped and resumed ---- */

static int looks_left;

static bool stop_after_looks(void *context) {
    (void)context;
    return looks_left-- <= 0;
}

/* A new trainer each time, which sees `looks` looks at should_stop; how often it took. */
static Point train_in_pieces(const Run *run, const char *path, int looks, int *attempts) {
    FixturePoints points;
    Error error = {0};
    TrainLoop loop = fixture_loop(&points, path);
    loop.should_stop = stop_after_looks;
    checkpoint_remove(path);
    double eval_flops = 0;
    int result = TRAIN_STOPPED;
    for (*attempts = 0; result == TRAIN_STOPPED; ++*attempts) {
        Trainer *trainer = fixture_trainer(run);
        points.count = 0;
        looks_left = looks;
        if (*attempts > 0 && trainer->interface->load(trainer, path, &error))
            fail_msg("%s", error.text);
        assert_true(trainer->eval_flops >= eval_flops && trainer->eval_flops <= run_eval_flops(run)); /* what is done stays done */
        eval_flops = trainer->eval_flops;
        result = train_run(trainer, &loop, &error);
        trainer_free(trainer);
        assert_true(*attempts < 1000);
    }
    if (result)
        fail_msg("%s", error.text);
    assert_true(eval_flops > 0);
    return points.points[points.count - 1];
}

static Run run_to_interrupt(void) {
    Transfer items[] = {item(TRANSFER_LINEAR, "a"), item(TRANSFER_FINETUNE, "b"), item(TRANSFER_LINEAR, "c")};
    items[0].optimizer.momentum = 0.5;
    items[1].body_lr = 0.02;
    items[2].augmentation = (Augmentation){.flip = 1, .mixup = 0.8};
    items[2].label_smoothing = 0.1;
    return run_with(items, 3);
}

static void test_resumed_equals_uninterrupted(void **state) {
    (void)state;
    for (int precision = 0; precision < 2; precision++) {
        const char *path = scratch_path("checkpoint.safetensors");
        Run run = run_to_interrupt();
        run.precision = precision ? PRECISION_AUTO : PRECISION_FP32;
        Trainer *trainer;
        Point whole = train(&run, &trainer);
        for (int looks = 2; looks < 5; looks++) { /* a chunk of features and one of steps, at least */
            int attempts;
            Point parts = train_in_pieces(&run, path, looks, &attempts);
            assert_true(attempts > 12 / looks); /* the four trainings were stopped on the way */
            fixture_assert_same_point(&whole, &parts);
        }
        trainer_free(trainer);
        assert_true(file_exists(path) && file_exists(scratch_path("checkpoint.safetensors.eval0")));
        checkpoint_remove(path);
        assert_false(file_exists(path) || file_exists(scratch_path("checkpoint.safetensors.eval0")) ||
                     file_exists(scratch_path("checkpoint.safetensors.eval1")) ||
                     file_exists(scratch_path("checkpoint.safetensors.eval2")));
    }
}

/* Stopped at once after its own training, and with the item's checkpoint damaged: the run's is not touched, and the item begins anew. */
static void test_the_runs_own_training_is_never_lost(void **state) {
    (void)state;
    const char *path = scratch_path("lost.safetensors"), *own = scratch_path("lost.safetensors.eval0");
    Run run = run_to_interrupt();
    Trainer *trainer;
    Point whole = train(&run, &trainer);
    FixturePoints points;
    Error error = {0};
    TrainLoop loop = fixture_loop(&points, path);
    Trainer *stopped = fixture_trainer(&run);
    while (stopped->step < stopped->steps)
        assert_int_equal(stopped->interface->step(stopped, 1, &error), 0);
    points.step = stopped->step;
    points.stop_at = stopped->step;
    assert_int_equal(train_run(stopped, &loop, &error), TRAIN_STOPPED);
    assert_int_equal(points.count, 0);
    assert_true(file_exists(path) && file_exists(own));
    trainer_free(stopped);
    scratch_write(own, "rubbish", 7);
    Trainer *resumed = fixture_trainer(&run);
    assert_int_equal(resumed->interface->load(resumed, path, &error), 0);
    assert_int_equal(resumed->step, resumed->steps);
    points.stop_at = -1;
    assert_int_equal(train_run(resumed, &loop, &error), 0);
    fixture_assert_same_point(&whole, &points.points[0]);
    trainer_free(trainer);
    trainer_free(resumed);
    checkpoint_remove(path);
}

/* ---- what goes wrong ---- */

static void test_a_head_that_diverges_is_a_result(void **state) {
    (void)state;
    Transfer items[] = {item(TRANSFER_FINETUNE, "wild"), item(TRANSFER_LINEAR, "tame")};
    items[0].optimizer.lr = items[0].body_lr = 1000;
    Run run = run_with(items, 2);
    Trainer *trainer;
    Point point = train(&run, &trainer);
    assert_true(isnan(point_metric(&point, "finetune.wild.test_error")));
    assert_true(isfinite(point_metric(&point, "linear.tame.test_error")));
    assert_true(point_metric(&point, "finetune.wild.flops") > 0);
    trainer_free(trainer);
}

static void test_missing_data_are_noticed_before_training(void **state) {
    (void)state;
    Transfer items[] = {item(TRANSFER_LINEAR, "a")};
    strcpy(items[0].data_name, "absent");
    Run run = run_with(items, 1);
    Trainer *trainer;
    Error error = {0};
    TrainerOptions options = {.home = scratch_root, .threads = 1};
    assert_int_equal(trainer_new(&trainer, &run, &options, &error), TRAIN_REFUSED);
    assert_non_null(strstr(error.text, "absent"));
    *run.transfers[0].data_digest = '\0';
    assert_int_equal(trainer_new(&trainer, &run, &options, &error), TRAIN_REFUSED);
    assert_non_null(strstr(error.text, "planned, not trained"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items_are_measured_apart),
        cmocka_unit_test(test_only_the_last_point_has_them),
        cmocka_unit_test(test_an_item_has_labels_of_its_own),
        cmocka_unit_test(test_finetuning_is_a_run_from_these_weights),
        cmocka_unit_test(test_three_ways_to_a_linear_probe),
        cmocka_unit_test(test_resumed_equals_uninterrupted),
        cmocka_unit_test(test_the_runs_own_training_is_never_lost),
        cmocka_unit_test(test_a_head_that_diverges_is_a_result),
        cmocka_unit_test(test_missing_data_are_noticed_before_training),
    };
    return cmocka_run_group_tests(tests, fixture_setup, scratch_teardown);
}
