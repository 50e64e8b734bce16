#include "fixture.h"

#include "saved.h"

/* One step after another, with a look at should_stop before each: the loop's own chunks depend on the machine's speed. */
static int (*real_step)(Trainer *trainer, int64_t limit, Error *error);

static int single_step(Trainer *trainer, int64_t limit, Error *error) {
    (void)limit;
    return real_step(trainer, 1, error);
}

static void step_singly(Trainer *trainer, TrainerInterface *copy) {
    *copy = *trainer->interface;
    real_step = copy->step;
    copy->step = single_step;
}

/* Trains `run` with a stop at each of the steps and a new trainer after each; *out is the last one. */
static void train_with_stops(const Run *run, const int64_t *stops, size_t count, const char *path, FixturePoints *points, Trainer **out) {
    Error error = {0};
    TrainLoop loop = fixture_loop(points, path);
    double seconds = 0; /* of the steps so far, over all trainers */
    for (size_t i = 0; i <= count; i++) {
        Trainer *trainer = fixture_trainer(run);
        TrainerInterface stepwise;
        const TrainerInterface *own = trainer->interface;
        if (i > 0 && trainer->interface->load(trainer, path, &error))
            fail_msg("%s", error.text);
        step_singly(trainer, &stepwise);
        points->step = trainer->step;
        points->stop_at = i < count ? stops[i] : -1;
        assert_true(trainer->seconds == seconds);
        int result = 0;
        while (!result && trainer->step < trainer->steps) {
            trainer->interface = &stepwise;
            result = train_run(trainer, &loop, &error);
            trainer->interface = own;
        }
        assert_int_equal(result, i < count ? TRAIN_STOPPED : 0);
        assert_true(trainer->seconds >= seconds);
        seconds = trainer->seconds;
        if (i == count) {
            assert_true(seconds > 0);
            *out = trainer;
            return;
        }
        assert_int_equal(trainer->step, stops[i]);
        assert_true(file_exists(path));
        trainer_free(trainer);
    }
}

static void assert_resume_is_exact(const Run *run) {
    static const int64_t stops[] = {0, 1, 5, 6, 7, 13, 23};
    const char *path = scratch_path("checkpoint.safetensors");
    FixturePoints whole, parts;
    TrainLoop loop = fixture_loop(&whole, NULL);
    Trainer *trainer = fixture_trainer(run), *resumed;
    Error error = {0};
    assert_int_equal(train_run(trainer, &loop, &error), 0);
    train_with_stops(run, stops, sizeof stops / sizeof *stops, path, &parts, &resumed);
    fixture_assert_same_weights(trainer, resumed);
    assert_int_equal(whole.count, parts.count);
    for (size_t i = 0; i < whole.count; i++)
        fixture_assert_same_point(&whole.points[i], &parts.points[i]);
    assert_true(trainer->flops == resumed->flops);
    trainer_free(trainer);
    trainer_free(resumed);
}

static void test_resumed_equals_uninterrupted(void **state) {
    (void)state;
    for (OptimizerKind kind = OPTIMIZER_LION; kind <= OPTIMIZER_SGD; kind++) {
        Run run = fixture_run();
        optimizer_settings_default(kind, &run.optimizer);
        run.optimizer.lr = 0.01;
        run.optimizer.weight_decay = 0.1;
        if (kind == OPTIMIZER_SGD)
            run.optimizer.momentum = 0.9;
        assert_resume_is_exact(&run);
    }
    Run run = fixture_run();
    run.model.kind = MODEL_SMLP;
    run.model.expansion = 0;
    assert_resume_is_exact(&run);
    run = fixture_run();
    run.precision = PRECISION_AUTO;
    assert_resume_is_exact(&run);
}

/* What is dropped follows from the step, not from how many steps this process has taken. */
static void test_dropping(void **state) {
    (void)state;
    Run run = fixture_run(), plain = run;
    run.model.dropout = 0.3;
    assert_resume_is_exact(&run);
    Trainer *dropping = fixture_trainer(&run), *other = fixture_trainer(&plain);
    Error error = {0};
    assert_int_equal(dropping->interface->step(dropping, dropping->steps, &error), 0);
    assert_int_equal(other->interface->step(other, other->steps, &error), 0);
    size_t size = model_parameter_count(trainer_model(other)) * sizeof(float);
    assert_memory_not_equal(model_parameters(trainer_model(dropping)), model_parameters(trainer_model(other)), size);
    trainer_free(dropping);
    trainer_free(other);
    run.precision = PRECISION_AUTO;
    assert_resume_is_exact(&run);
}

static void make_checkpoint(const Run *run, const char *path) {
    Trainer *trainer = fixture_trainer(run);
    Error error = {0};
    assert_int_equal(trainer->interface->step(trainer, 10, &error), 0);
    assert_int_equal(trainer->step, 10);
    assert_int_equal(trainer->interface->save(trainer, path, &error), 0);
    trainer_free(trainer);
}

static void assert_refuses(Trainer *trainer, const char *path, const char *part) {
    Error error = {0};
    assert_int_equal(trainer->interface->load(trainer, path, &error), TRAIN_REFUSED);
    if (!strstr(error.text, part))
        fail_msg("\"%s\" does not say \"%s\"", error.text, part);
}

static void test_other_runs_checkpoint(void **state) {
    (void)state;
    const char *path = scratch_path("other.safetensors");
    Run run = fixture_run();
    make_checkpoint(&run, path);
    run.optimizer.lr = 0.004;
    Trainer *trainer = fixture_trainer(&run);
    assert_refuses(trainer, path, "the checkpoint of another run");
    assert_refuses(trainer, scratch_path("none"), "No such file");
    Error error = {0};
    assert_int_equal(trainer_save_weights(trainer, path, &error), 0);
    assert_refuses(trainer, path, "not a checkpoint of this version");
    trainer_free(trainer);
}

/* A changed bit anywhere in the tensors, and a cut anywhere, is noticed, and the trainer stays as it was. */
static void test_damaged_checkpoint(void **state) {
    (void)state;
    const char *path = scratch_path("damaged.safetensors");
    Run run = fixture_run();
    make_checkpoint(&run, path);
    size_t size;
    uint8_t *bytes = scratch_read(path, &size);
    Trainer *trainer = fixture_trainer(&run), *fresh = fixture_trainer(&run);
    size_t data = 8 + (size_t)(bytes[0] | bytes[1] << 8 | bytes[2] << 16);
    assert_int_equal(size - data, 2 * sizeof(float) * model_parameter_count(trainer_model(trainer)));
    for (size_t at = data; at < size; at += 97) {
        bytes[at] ^= 0x10;
        scratch_write(path, bytes, size);
        assert_refuses(trainer, path, "damaged");
        bytes[at] ^= 0x10;
        scratch_write(path, bytes, at);
        assert_refuses(trainer, path, "byte ");
    }
    fixture_assert_same_weights(trainer, fresh);
    assert_int_equal(trainer->step, 0);
    scratch_write(path, bytes, size);
    Error error = {0};
    assert_int_equal(trainer->interface->load(trainer, path, &error), 0);
    assert_int_equal(trainer->step, 10);
    free(bytes);
    trainer_free(trainer);
    trainer_free(fresh);
}

/* The header says where the run stands: none of it may change either. */
static void test_damaged_header(void **state) {
    (void)state;
    const char *path = scratch_path("header.safetensors");
    Run run = fixture_run();
    make_checkpoint(&run, path);
    size_t size;
    uint8_t *bytes = scratch_read(path, &size);
    size_t data = 8 + (size_t)(bytes[0] | bytes[1] << 8);
    Trainer *trainer = fixture_trainer(&run);
    fixture_assert_protected(trainer, path, 0, data);
    uint8_t *step = memmem(bytes + 8, data - 8, "\"step\":\"10\"", 11), *format = memmem(bytes + 8, data - 8, "sweepd-checkpoint-2", 19);
    assert_non_null(step);
    assert_non_null(format);
    step[8] = '2'; /* 20 */
    scratch_write(path, bytes, size);
    assert_refuses(trainer, path, "damaged: its metadata and tensors do not have the digest");
    format[18] = '1';
    scratch_write(path, bytes, size);
    assert_refuses(trainer, path, "not a checkpoint of this version, sweepd-checkpoint-2");
    free(bytes);
    trainer_free(trainer);
}

static void test_numbers_are_whole(void **state) {
    (void)state;
    const char *const names[] = {"step"};
    const struct {
        const char *text;
        bool whole, number;
    } cases[] = {{"7", true, true},
                 {"10", true, true},
                 {"11", false, false},
                 {"7.5", false, true},
                 {"7.0", false, true},
                 {"-1", false, false},
                 {"", false, false},
                 {"7x", false, false},
                 {" 7", false, false},
                 {"0x7", false, false},
                 {"nan", false, false},
                 {"1e1", false, true},
                 {"99999999999999999999", false, false}};
    const char *path = scratch_path("numbers");
    SavedForm form = {.format = "f", .run = "r", .names = names, .count = 1};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Safetensors *file;
        Error error = {0};
        int64_t whole;
        double number;
        assert_int_equal(saved_write(&form, &cases[i].text, NULL, 0, path, &error), 0);
        assert_int_equal(saved_open(&file, &form, path, &error), 0);
        if (saved_whole(file, "step", 10, &whole) != cases[i].whole || saved_number(file, "step", 10, &number) != cases[i].number)
            fail_msg("\"%s\"", cases[i].text);
        safetensors_free(file);
    }
}

static void test_a_file_that_cannot_be_read_is_not_damaged(void **state) {
    (void)state;
    const char *path = scratch_path("unread.safetensors");
    Run run = fixture_run();
    make_checkpoint(&run, path);
    Trainer *trainer = fixture_trainer(&run);
    fixture_assert_unreadable(trainer, path);
    assert_int_equal(trainer->step, 10);
    trainer_free(trainer);
}

static void test_augmented(void **state) {
    (void)state;
    Run run = fixture_run();
    run.augmentation = (Augmentation){.flip = 1, .padding = 1, .mixup = 0.8};
    assert_resume_is_exact(&run);
    run.augmentation = (Augmentation){.flip = 1, .scale = {0.2, 1}, .ratio = {0.75, 1.333}};
    assert_resume_is_exact(&run);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_augmented),
        cmocka_unit_test(test_dropping),
        cmocka_unit_test(test_resumed_equals_uninterrupted),
        cmocka_unit_test(test_other_runs_checkpoint),
        cmocka_unit_test(test_damaged_checkpoint),
        cmocka_unit_test(test_damaged_header),
        cmocka_unit_test(test_numbers_are_whole),
        cmocka_unit_test(test_a_file_that_cannot_be_read_is_not_damaged),
    };
    return cmocka_run_group_tests(tests, fixture_setup, scratch_teardown);
}
