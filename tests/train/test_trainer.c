#include "fixture.h"

static void assert_refused(const Run *run, const char *init_weights, const char *part) {
    Trainer *trainer;
    Error error = {0};
    TrainerOptions options = {.home = scratch_root, .threads = 1, .init_weights = init_weights};
    assert_int_equal(trainer_new(&trainer, run, &options, &error), TRAIN_REFUSED);
    assert_null(trainer);
    if (!strstr(error.text, part))
        fail_msg("\"%s\" does not say \"%s\"", error.text, part);
}

static void test_refusals(void **state) {
    (void)state;
    Run run = fixture_run();
    run.examples = 251;
    assert_refused(&run, NULL, "examples: 251; small has 1 to 250");
    run = fixture_run();
    run.model.inputs = 13;
    assert_refused(&run, NULL, "the model has 13 inputs and 3 classes, but small has 12 and 3");
    run = fixture_run();
    strcpy(run.data_name, "other");
    assert_refused(&run, NULL, "no data set is known as \"other\"");
    run = fixture_run();
    *run.data_digest = '\0';
    assert_refused(&run, NULL, "it can be planned, not trained");
    run = fixture_run();
    assert_refused(&run, scratch_path("missing"), "No such file");
}

/* By path a run is trained as by name, and on no other data than those that it was made of. */
static void test_data_by_path(void **state) {
    (void)state;
    Run run = fixture_run(), named = fixture_run();
    char place[PATH_TEXT_MAX];
    snprintf(place, sizeof place, "%s/data/small-%s.pack", scratch_root, fixture_digest);
    text_copy(run.data_pack, sizeof run.data_pack, scratch_path("elsewhere"));
    assert_int_equal(link(place, run.data_pack), 0);
    Trainer *trainers[2];
    Point last[2];
    for (int i = 0; i < 2; i++) {
        FixturePoints points;
        TrainLoop loop = fixture_loop(&points, NULL);
        trainers[i] = fixture_trainer(i ? &run : &named);
        assert_int_equal(train_run(trainers[i], &loop, NULL), 0);
        last[i] = points.points[points.count - 1];
    }
    fixture_assert_same_point(&last[0], &last[1]);
    fixture_assert_same_weights(trainers[0], trainers[1]);
    trainer_free(trainers[0]);
    trainer_free(trainers[1]);
    run.data_digest[0] = run.data_digest[0] == 'a' ? 'b' : 'a';
    assert_refused(&run, NULL, "elsewhere is not the data that is asked for: it is small, digest ");
    assert_int_equal(unlink(run.data_pack), 0);
    assert_refused(&run, NULL, "elsewhere: No such file");
}

/* The matrix products that were called are those that arch counts, to the last flop; so for both models. */
static void test_flops(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        Run run = fixture_run();
        if (kind) {
            run.model.kind = MODEL_SMLP;
            run.model.form = kind == 1 ? SMLP_TEXT : SMLP_CODE;
            run.model.expansion = 0;
            run.model.depth = 2;
        }
        Trainer *trainer = fixture_trainer(&run);
        FixturePoints points;
        TrainLoop loop = fixture_loop(&points, NULL);
        assert_int_equal(train_run(trainer, &loop, NULL), 0);
        Training training = run_training(&run);
        Flops planned = run_flops(&run);
        uint64_t steps = (uint64_t)arch_steps(&training);
        assert_int_equal(steps, 24);
        assert_int_equal(trainer->step, 24);
        assert_true((double)model_gemm_flops(trainer_model(trainer)) == planned.gemm);
        assert_int_equal(model_gemm_flops(trainer_model(trainer)), steps * arch_step_gemm_flops(&run.model, run.batch));
        assert_true(trainer->flops == planned.exact);
        assert_true(trainer->flops == (double)(steps * arch_step_flops(&run.model, run.batch, optimizer_flops(run.optimizer.kind))));
        uint64_t evaluated = points.count * (200 + 50 + FIXTURE_TEST);
        assert_int_equal(model_gemm_flops_forward_only(trainer_model(trainer)), arch_forward_gemm_flops(&run.model, (int64_t)evaluated));
        trainer_free(trainer);
    }
}

static void test_batch_is_cut_to_the_examples(void **state) {
    (void)state;
    Run run = fixture_run();
    run.examples = 20;
    run.batch = 128;
    Trainer *trainer = fixture_trainer(&run);
    FixturePoints points;
    TrainLoop loop = fixture_loop(&points, NULL);
    assert_int_equal(trainer->steps, 4);
    assert_int_equal(train_run(trainer, &loop, NULL), 0);
    assert_true(points.points[points.count - 1].examples == 80);
    assert_true(trainer->flops == run_flops(&run).exact);
    trainer_free(trainer);
}

static void test_weights_round_trip(void **state) {
    (void)state;
    const char *path = scratch_path("weights.safetensors");
    Run run = fixture_run();
    Trainer *trainer = fixture_trainer(&run), *other;
    FixturePoints points;
    TrainLoop loop = fixture_loop(&points, NULL);
    Error error = {0};
    assert_int_equal(train_run(trainer, &loop, &error), 0);
    assert_int_equal(trainer_save_weights(trainer, path, &error), 0);
    TrainerOptions options = {.home = scratch_root, .threads = 1, .init_weights = path};
    run.seed = 99;
    assert_int_equal(trainer_new(&other, &run, &options, &error), 0);
    fixture_assert_same_weights(trainer, other);
    assert_int_equal(other->step, 0);
    trainer_free(other);
    trainer_free(trainer);

    Safetensors *file;
    assert_int_equal(safetensors_open(&file, path, &error), 0);
    const SafetensorsEntry *entry = safetensors_find(file, "blocks.0.expand.weight");
    assert_non_null(entry);
    assert_true(entry->dimensions == 2 && entry->shape[0] == 32 && entry->shape[1] == 8);
    entry = safetensors_find(file, "blocks.0.ln.bias");
    assert_non_null(entry);
    assert_true(entry->dimensions == 1 && entry->shape[0] == 8);
    assert_int_equal(safetensors_count(file), 10);
    safetensors_free(file);

    run.model.width = 9;
    assert_refused(&run, path, "the tensor in.weight is 8 x 12 in 2 dimensions; this model's is 9 x 12 in 2");
    run.model.width = 8;
    run.model.depth = 2;
    assert_refused(&run, path, "the tensor blocks.1.ln.weight is missing");
    run.model.depth = 1;
    run.model.kind = MODEL_SMLP;
    run.model.expansion = 0;
    assert_refused(&run, path, "this model has no tensor blocks.0.expand.weight");
}

/* bf16 trains where the processor has it and is refused elsewhere; auto trains everywhere. The environment says what was used. */
static void test_precision(void **state) {
    (void)state;
    Run run = fixture_run();
    BackendKind fastest;
    assert_int_equal(backend_choose(BACKEND_AUTO, &fastest, NULL), 0);
    run.precision = PRECISION_AUTO;
    Trainer *trainer = fixture_trainer(&run);
    assert_string_equal(trainer->environment.backend, backend_text(fastest));
    trainer_free(trainer);
    run.precision = PRECISION_BF16;
    if (!backend_available(BACKEND_ONEDNN_BF16)) {
        assert_refused(&run, NULL, "precision bf16 needs ");
        return;
    }
    trainer = fixture_trainer(&run);
    assert_string_equal(trainer->environment.backend, backend_text(BACKEND_ONEDNN_BF16));
    trainer_free(trainer);
}

/* From the same weights on the same batches, bf16 comes to nearly the losses of fp32. */
static void test_bf16_trains_alike(void **state) {
    (void)state;
    double losses[2];
    for (int i = 0; i < 2; i++) {
        Run run = fixture_run();
        FixturePoints points;
        TrainLoop loop = fixture_loop(&points, NULL);
        run.precision = i ? PRECISION_AUTO : PRECISION_FP32;
        Trainer *trainer = fixture_trainer(&run);
        assert_int_equal(train_run(trainer, &loop, NULL), 0);
        assert_string_equal(points.points[points.count - 1].metrics[0].name, "train_loss");
        losses[i] = points.points[points.count - 1].metrics[0].value;
        trainer_free(trainer);
    }
    assert_true(losses[0] > 0);
    if (!(losses[1] > 0.95 * losses[0] && losses[1] < 1.05 * losses[0]))
        fail_msg("the training loss comes to %g, in fp32 to %g", losses[1], losses[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_data_by_path),
        cmocka_unit_test(test_flops),
        cmocka_unit_test(test_batch_is_cut_to_the_examples),
        cmocka_unit_test(test_weights_round_trip),
        cmocka_unit_test(test_precision),
        cmocka_unit_test(test_bf16_trains_alike),
    };
    return cmocka_run_group_tests(tests, fixture_setup, scratch_teardown);
}
