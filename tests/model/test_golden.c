/* Trainings of 50 steps against PyTorch's losses, for each model and optimizer. tests/golden/training.json holds the losses and says what
 * made them; this file repeats the generator of scripts/make-golden, which drew the weights and the batches. */
#include "../golden/golden.h"

enum { INPUTS_MAX = 64, BATCH_MAX = 32, BATCHES_MAX = 8 };
static const double tolerance = 1e-4;
/* With operands of 8 bits a way through a steep landscape soon parts from PyTorch's; on the whole it goes down as fast. */
static const double tolerance_bfloat16 = 0.02;

static const char *golden_path;

typedef struct Batches {
    float x[BATCHES_MAX][BATCH_MAX * INPUTS_MAX];
    uint16_t labels[BATCHES_MAX][BATCH_MAX];
} Batches;

static void draw_batches(const json_t *document, Batches *out, uint64_t *generator) {
    int64_t batch = integer(document, "batch"), inputs = integer(document, "inputs"), classes = integer(document, "classes");
    assert_true(batch <= BATCH_MAX && inputs <= INPUTS_MAX && integer(document, "batches") <= BATCHES_MAX);
    for (int64_t i = 0; i < integer(document, "batches"); i++) {
        for (int64_t j = 0; j < batch * inputs; j++) {
            out->x[i][j] = (float)(2 * draw(generator));
        }
        for (int64_t j = 0; j < batch; j++) {
            out->labels[i][j] = (uint16_t)((draw(generator) + 1) / 2 * (double)classes);
        }
    }
}

typedef struct Differences {
    double worst, mean; /* of a case's losses and ours, relative: the largest; of their means over all steps */
} Differences;

static Differences case_differences(const json_t *document, const json_t *item, BackendKind backend) {
    static Batches batches;
    Error error;
    Model *model;
    Optimizer *optimizer;
    Architecture arch = item_architecture(document, item);
    OptimizerSettings settings = item_optimizer(item);
    uint64_t generator = (uint64_t)integer(item, "seed");
    int64_t batch = integer(document, "batch"), steps = integer(document, "steps"), count = integer(document, "batches");
    const json_t *losses = json_object_get(item, "losses");
    double worst = 0, sum = 0, expected_sum = 0;

    assert_true(settings.weight_decay > 0);
    assert_int_equal(model_new(&model, &arch, batch, backend, &error), 0);
    assert_int_equal(optimizer_new(&optimizer, &settings, model_parameter_count(model), &error), 0);
    draw_parameters(model, &generator);
    draw_batches(document, &batches, &generator);
    assert_int_equal(json_array_size(losses), steps);
    for (int64_t step = 0; step < steps; step++) {
        double expected = json_real_value(json_array_get(losses, (size_t)step));
        float loss = model_train_step(model, batches.x[step % count], batches.labels[step % count], batch,
                                      (float)number(document, "label_smoothing"));
        optimizer_step(optimizer, model_parameters(model), model_gradients(model), settings.lr);
        assert_true(expected > 0 && isfinite(loss));
        worst = fmax(worst, fabs((double)loss - expected) / expected);
        sum += (double)loss;
        expected_sum += expected;
    }
    optimizer_free(optimizer);
    model_free(model);
    return (Differences){worst, fabs(sum - expected_sum) / expected_sum};
}

static void test_losses_of_pytorch(void **state) {
    json_t *document = *state;
    const json_t *cases = json_object_get(document, "cases");
    assert_int_equal(json_array_size(cases), 9);
    assert_int_equal(integer(document, "steps"), 50);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *item = json_array_get(cases, i);
        for (int backend = BACKEND_OPENBLAS; backend <= BACKEND_ONEDNN_BF16; backend++) {
            if (!backend_available((BackendKind)backend)) {
                continue;
            }
            Differences differences = case_differences(document, item, (BackendKind)backend);
            print_message("%s %s %s, %s: relative difference %.1e, of the means %.1e\n", text(item, "model"), text(item, "form"),
                          text(item, "optimizer"), backend_text((BackendKind)backend), differences.worst, differences.mean);
            if (backend == BACKEND_ONEDNN_BF16) {
                assert_true(differences.mean < tolerance_bfloat16);
            } else {
                assert_true(differences.worst < tolerance);
            }
        }
    }
}

static int open_golden(void **state) {
    json_error_t error;
    *state = json_load_file(golden_path, 0, &error);
    return *state == NULL;
}

static int close_golden(void **state) {
    json_decref(*state);
    return 0;
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_losses_of_pytorch)};
    if (argc != 2) {
        fprintf(stderr, "usage: %s tests/golden/training.json\n", argv[0]);
        return 2;
    }
    golden_path = argv[1];
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
