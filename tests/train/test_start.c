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
    const char *path = fixture_path("bad.safetensors");
    Run run = fixture_run();
    Trainer *source = fixture_trainer(&run), *target = fixture_trainer(&run), *fresh = fixture_trainer(&run), *none;
    TrainerOptions options = {.home = fixture_home, .threads = 1, .init_weights = path};
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
        snprintf(expected, sizeof expected, "%s: the tensor %s: value %lld is not finite", path, tensor->name, (long long)last);
        assert_int_equal(weights_load(trainer_model(target), path, true, &error), TRAIN_REFUSED);
        assert_string_equal(error.text, expected);
        assert_int_equal(trainer_new(&none, &run, &options, &error), TRAIN_REFUSED);
        assert_null(none);
    }
    fixture_assert_same_weights(target, fresh);
    trainer_free(source);
    trainer_free(target);
    trainer_free(fresh);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_gives_weights),
        cmocka_unit_test(test_seed_and_epoch_give_order),
        cmocka_unit_test(test_subset_seed_gives_subset),
        cmocka_unit_test(test_weights_that_are_not_finite),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
