/* What a run starts from: the weights, the subset and the order of examples that its seeds or a file give it. */
#include "fixture.h"

#include "builtin.h"

enum { STEPS_PER_EPOCH = 6, BATCH = 32, EXAMPLES = 200 }; /* of fixture_run */

static Builtin *builtin_of(Trainer *trainer) {
    assert_string_equal(trainer->interface->name, "builtin");
    return (Builtin *)trainer;
}

/* The examples of the next epoch's steps, as they are put into batches. */
static void take_epoch(Trainer *trainer, uint32_t out[STEPS_PER_EPOCH * BATCH]) {
    Error error = {0};
    for (int i = 0; i < STEPS_PER_EPOCH; i++) {
        assert_int_equal(trainer->interface->step(trainer, 1, &error), 0);
        memcpy(out + i * BATCH, builtin_of(trainer)->indices, BATCH * sizeof *out);
    }
}

static int compare_indices(const void *a, const void *b) {
    uint32_t first = *(const uint32_t *)a, second = *(const uint32_t *)b;
    return (first > second) - (first < second);
}

/* The subset as a set; those of an epoch, one each, are among them. */
static void take_subset(Trainer *trainer, uint32_t out[EXAMPLES]) {
    uint32_t epoch[STEPS_PER_EPOCH * BATCH];
    const Split *split = &builtin_of(trainer)->split;
    assert_int_equal(split->train_count, EXAMPLES);
    memcpy(out, split->train, EXAMPLES * sizeof *out);
    qsort(out, EXAMPLES, sizeof *out, compare_indices);
    take_epoch(trainer, epoch);
    qsort(epoch, STEPS_PER_EPOCH * BATCH, sizeof *epoch, compare_indices);
    for (size_t i = 0; i < STEPS_PER_EPOCH * BATCH; i++) {
        assert_true(i == 0 || epoch[i] > epoch[i - 1]);
        assert_non_null(bsearch(&epoch[i], out, EXAMPLES, sizeof *out, compare_indices));
    }
}

static void test_seed_gives_weights(void **state) {
    (void)state;
    Run run = fixture_run();
    Trainer *first = fixture_trainer(&run), *same = fixture_trainer(&run);
    run.seed++;
    Trainer *other = fixture_trainer(&run);
    fixture_assert_same_weights(first, same);
    Model *a = trainer_model(first), *b = trainer_model(other);
    for (size_t i = 0; i < model_tensor_count(a); i++) {
        const Tensor *tensor = model_tensor(a, i), *changed = model_tensor(b, i);
        bool is_norm = strstr(tensor->name, ".ln.") != NULL;
        for (int64_t j = 0; j < tensor->rows * tensor->columns; j++)
            assert_true((tensor->data[j] == changed->data[j]) == is_norm);
    }
    trainer_free(first);
    trainer_free(same);
    trainer_free(other);
}

static void test_seed_and_epoch_give_order(void **state) {
    (void)state;
    uint32_t first[2][STEPS_PER_EPOCH * BATCH], other[2][STEPS_PER_EPOCH * BATCH];
    Run run = fixture_run();
    Trainer *trainer = fixture_trainer(&run);
    take_epoch(trainer, first[0]);
    take_epoch(trainer, first[1]);
    trainer_free(trainer);
    run.seed++;
    trainer = fixture_trainer(&run);
    take_epoch(trainer, other[0]);
    take_epoch(trainer, other[1]);
    trainer_free(trainer);
    assert_memory_not_equal(first[0], first[1], sizeof first[0]);
    assert_memory_not_equal(first[0], other[0], sizeof first[0]);
    assert_memory_not_equal(first[1], other[1], sizeof first[0]);
}

/* The subset follows from its own seed alone. */
static void test_subset_seed_gives_subset(void **state) {
    (void)state;
    uint32_t subset[EXAMPLES], other_seed[EXAMPLES], other_subset[EXAMPLES];
    Run run = fixture_run();
    Trainer *trainer = fixture_trainer(&run);
    take_subset(trainer, subset);
    trainer_free(trainer);
    run.seed++;
    trainer = fixture_trainer(&run);
    take_subset(trainer, other_seed);
    trainer_free(trainer);
    run.subset_seed++;
    trainer = fixture_trainer(&run);
    take_subset(trainer, other_subset);
    trainer_free(trainer);
    assert_memory_equal(subset, other_seed, sizeof subset);
    assert_memory_not_equal(subset, other_subset, sizeof subset);
}

/* Weights that are no numbers are the file's fault: they are refused, not trained until they "diverge". */
static void test_weights_that_are_not_finite(void **state) {
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    const char *path = scratch_path("bad.safetensors");
    Run run = fixture_run();
    Trainer *source = fixture_trainer(&run), *target = fixture_trainer(&run), *fresh = fixture_trainer(&run), *none;
    TrainerOptions options = {.home = scratch_root, .threads = 1, .init_weights = path};
    Model *model = trainer_model(source);
    model_parameters(model)[0] += 1;
    for (size_t i = 0; i < model_tensor_count(model) * 3; i++) {
        const Tensor *tensor = model_tensor(model, i / 3);
        int64_t last = tensor->rows * tensor->columns - 1;
        float good = tensor->data[last];
        Error error = {0};
        char expected[ERROR_TEXT_MAX];
        tensor->data[last] = bad[i % 3];
        assert_int_equal(trainer_save_weights(source, path, &error), 0);
        tensor->data[last] = good;
        snprintf(expected, sizeof expected, ": the tensor %s: value %lld is not finite", tensor->name, (long long)last);
        assert_int_equal(weights_load(trainer_model(target), path, true, &error), TRAIN_REFUSED);
        assert_non_null(strstr(error.text, ": byte "));
        assert_non_null(strstr(error.text, expected));
        assert_int_equal(trainer_new(&none, &run, &options, &error), TRAIN_REFUSED);
        assert_null(none);
    }
    fixture_assert_same_weights(target, fresh);
    trainer_free(source);
    trainer_free(target);
    trainer_free(fresh);
}

/* ---- the weights that a run names ---- */

/* A file of the weights that a run of other seed and other classes would start with. */
static void name_weights(Run *run, int64_t classes) {
    Error error = {0};
    char path[PATH_TEXT_MAX];
    Model *model;
    Architecture arch = run->model;
    arch.classes = classes;
    text_copy(path, sizeof path, scratch_path("init.safetensors"));
    remove(path);
    assert_int_equal(model_new(&model, &arch, 1, BACKEND_OPENBLAS, &error), 0);
    model_init_weights(model, 99);
    SafetensorsEntry entries[64];
    assert_true(model_tensor_count(model) <= 64);
    for (size_t i = 0; i < model_tensor_count(model); i++) {
        const Tensor *tensor = model_tensor(model, i);
        bool is_line = tensor->is_vector || i % 2 == 1;
        entries[i] = (SafetensorsEntry){
            tensor->name, is_line ? 1 : 2, {is_line ? tensor->columns : tensor->rows, is_line ? 1 : tensor->columns}, tensor->data};
    }
    assert_int_equal(safetensors_write(path, entries, model_tensor_count(model), NULL, 0, &error), 0);
    model_free(model);
    text_copy(run->init.path, sizeof run->init.path, path);
    assert_int_equal(digest_file(DIGEST_SHA256, path, run->init.digest, &error), 0);
}

/* The tensors from `first` to before `last` are those that `seed` gives. */
static void assert_drawn(Trainer *trainer, uint64_t seed, size_t first, size_t last) {
    Model *model = trainer_model(trainer), *drawn;
    Error error = {0};
    assert_int_equal(model_new(&drawn, model_architecture(model), 1, BACKEND_OPENBLAS, &error), 0);
    model_init_weights(drawn, seed);
    for (size_t i = first; i < last; i++) {
        const Tensor *tensor = model_tensor(model, i);
        assert_memory_equal(tensor->data, model_tensor(drawn, i)->data, (size_t)(tensor->rows * tensor->columns) * sizeof(float));
    }
    model_free(drawn);
}

static void assert_run_refused(const Run *run, const char *weights, const char *part) {
    TrainerOptions options = {.home = scratch_root, .threads = 1, .init_weights = weights};
    Trainer *trainer;
    Error error = {0};
    assert_int_equal(trainer_new(&trainer, run, &options, &error), TRAIN_REFUSED);
    assert_null(trainer);
    if (!strstr(error.text, part))
        fail_msg("\"%s\" does not say \"%s\"", error.text, part);
}

static void test_named_weights(void **state) {
    (void)state;
    Run run = fixture_run();
    name_weights(&run, run.model.classes);
    Trainer *trainer = fixture_trainer(&run);
    size_t count = model_tensor_count(trainer_model(trainer));
    assert_drawn(trainer, 99, 0, count);
    trainer_free(trainer);
    run.init_head = HEAD_FRESH;
    trainer = fixture_trainer(&run);
    assert_drawn(trainer, 99, 0, count - 2);
    assert_drawn(trainer, run.seed, count - 2, count);
    trainer_free(trainer);
    assert_run_refused(&run, run.init.path, "no other weights can be given");
}

/* Of a model with other classes the body alone can be taken. */
static void test_weights_of_other_classes(void **state) {
    (void)state;
    Run run = fixture_run();
    name_weights(&run, 17);
    assert_run_refused(&run, NULL, "head.weight");
    run.init_head = HEAD_FRESH;
    Trainer *trainer = fixture_trainer(&run);
    size_t count = model_tensor_count(trainer_model(trainer));
    assert_drawn(trainer, 99, 0, count - 2);
    assert_drawn(trainer, run.seed, count - 2, count);
    trainer_free(trainer);
    run.model.width = 16;
    assert_run_refused(&run, NULL, "in.weight");
    run = fixture_run();
    name_weights(&run, run.model.classes);
    run.model.depth = 2;
    assert_run_refused(&run, NULL, "blocks.1.");
    run.model.depth = 1;
    run.model.kind = MODEL_SMLP;
    run.model.expansion = 0;
    assert_run_refused(&run, NULL, "blocks.0.");
}

static void test_weights_that_changed(void **state) {
    (void)state;
    Run run = fixture_run();
    size_t size;
    name_weights(&run, run.model.classes);
    uint8_t *bytes = scratch_read(run.init.path, &size);
    bytes[size - 1] ^= 1;
    scratch_write(run.init.path, bytes, size);
    assert_run_refused(&run, NULL, "the run starts from");
    scratch_write(run.init.path, bytes, size - 4);
    assert_run_refused(&run, NULL, "the run starts from");
    bytes[size - 1] ^= 1;
    scratch_write(run.init.path, bytes, size);
    trainer_free(fixture_trainer(&run));
    assert_int_equal(remove(run.init.path), 0);
    assert_run_refused(&run, NULL, "No such file");
    free(bytes);
}

/* A checkpoint is a file of weights, too; a truncated one is refused for its bytes where the digest is that of what is there. */
static void test_checkpoint_as_weights(void **state) {
    (void)state;
    Run run = fixture_run(), next = run;
    Error error = {0};
    const char *path = scratch_path("start.checkpoint");
    Trainer *trainer = fixture_trainer(&run);
    assert_int_equal(trainer->interface->step(trainer, 5, &error), 0);
    assert_int_equal(trainer->interface->save(trainer, path, &error), 0);
    text_copy(next.init.path, sizeof next.init.path, path);
    assert_int_equal(digest_file(DIGEST_SHA256, path, next.init.digest, &error), 0);
    Trainer *from = fixture_trainer(&next);
    fixture_assert_same_weights(trainer, from);
    assert_int_equal(from->step, 0);
    trainer_free(trainer);
    trainer_free(from);
    assert_int_equal(truncate(next.init.path, 700), 0);
    assert_int_equal(digest_file(DIGEST_SHA256, next.init.path, next.init.digest, &error), 0);
    assert_run_refused(&next, NULL, "byte ");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_gives_weights),
        cmocka_unit_test(test_seed_and_epoch_give_order),
        cmocka_unit_test(test_subset_seed_gives_subset),
        cmocka_unit_test(test_weights_that_are_not_finite),
        cmocka_unit_test(test_named_weights),
        cmocka_unit_test(test_weights_of_other_classes),
        cmocka_unit_test(test_weights_that_changed),
        cmocka_unit_test(test_checkpoint_as_weights),
    };
    return cmocka_run_group_tests(tests, fixture_setup, scratch_teardown);
}
