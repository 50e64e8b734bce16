/* Whole runs against PyTorch: subset, initial weights, order of examples, schedule, optimizer, label smoothing, points and what they
 * measure. tests/golden/recipe.json holds the runs and their points; scripts/make-golden made it, and this file repeats the generator that
 * drew the data and, for runs whose initial weights are a formula's, the weights. */
#include "../golden/golden.h"
#include "fixture.h"

static const double tolerance = 1e-4; /* relative */
static const char *const losses[] = {"train_loss", "validation_loss", "test_loss"};
static const char *const errors[] = {"train_error", "validation_error", "test_error"};
enum { SETS = 3, RUNS = 10, COUNT_MAX = 256, INPUTS_MAX = 64, PIXEL_ROWS = 4 };

static const char *golden_path;
static json_t *golden;
static char digest[SHA256_HEX_MAX];

/* ---- the data ---- */

static void write_section(const char *images, const char *labels, int64_t count, uint64_t *generator) {
    int64_t inputs = integer(golden, "inputs");
    uint8_t pixels[COUNT_MAX * INPUTS_MAX], classes[COUNT_MAX];
    assert_true(count < COUNT_MAX && inputs <= INPUTS_MAX && inputs % PIXEL_ROWS == 0);
    for (int64_t i = 0; i < count; i++) {
        int64_t label = (int64_t)((draw(generator) + 1) / 2 * number(golden, "classes"));
        classes[i] = (uint8_t)label;
        for (int64_t j = 0; j < inputs; j++)
            pixels[i * inputs + j] = (uint8_t)(110 + 25 * (j / 4 == label) + 60 * draw(generator));
    }
    idx_write_section(images, labels, pixels, classes, (const int[]){(int)count, PIXEL_ROWS, (int)(inputs / PIXEL_ROWS)});
}

static void pack_data(void) {
    const char *parts[] = {scratch_path("a"), scratch_path("b"), scratch_path("c"), scratch_path("d")};
    const char *made = scratch_path("recipe.pack");
    uint64_t generator = (uint64_t)integer(golden, "data_seed");
    DataInfo info;
    Error error = {0};
    write_section(parts[0], parts[1], integer(golden, "train"), &generator);
    write_section(parts[2], parts[3], integer(golden, "test"), &generator);
    float mean = (float)number(golden, "mean"), deviation = (float)number(golden, "deviation");
    assert_int_equal(dataset_pack_idx("recipe", parts, mean, deviation, NULL, made, &info, &error), 0);
    strcpy(digest, info.digest);
    char name[sizeof "data/recipe-.pack" + SHA256_HEX_MAX];
    snprintf(name, sizeof name, "data/recipe-%s.pack", digest);
    assert_int_equal(rename(made, scratch_path(name)), 0);
}

/* ---- the runs ---- */

static Run run_of(const json_t *item) {
    Run run = {
        .model = item_architecture(golden, item),
        .data_name = "recipe",
        .validation = integer(item, "validation"),
        .subset_seed = (uint64_t)integer(item, "subset_seed"),
        .examples = integer(item, "examples"),
        .seed = (uint64_t)integer(item, "seed"),
        .epochs = integer(item, "epochs"),
        .batch = integer(item, "batch"),
        .evaluations = integer(item, "evaluations"),
        .optimizer = item_optimizer(item),
        .schedule = {.warmup = number(item, "warmup"), .decay = number(item, "decay")},
        .label_smoothing = number(item, "label_smoothing"),
    };
    strcpy(run.data_digest, digest);
    while (strcmp(schedule_kind_text(run.schedule.kind), text(item, "schedule")) != 0)
        assert_true(run.schedule.kind++ < SCHEDULE_WSD);
    return run;
}

static void write_weights(const Run *run, const char *path) {
    Trainer *trainer = fixture_trainer(run);
    uint64_t generator = run->seed;
    Error error = {0};
    draw_parameters(trainer_model(trainer), &generator);
    assert_int_equal(trainer_save_weights(trainer, path, &error), 0);
    trainer_free(trainer);
}

static Trainer *run_trainer(const json_t *item, const Run *run) {
    const char *path = scratch_path("formula.safetensors");
    Trainer *trainer;
    Error error = {0};
    TrainerOptions options = {.home = scratch_root, .threads = 1};
    if (!strcmp(text(item, "initial_weights"), "formula")) {
        write_weights(run, path);
        options.init_weights = path;
    }
    if (trainer_new(&trainer, run, &options, &error))
        fail_msg("%s", error.text);
    return trainer;
}

/* The largest relative difference of the losses; wrong examples are counted, so the errors are equal. */
static double points_difference(const json_t *expected, const FixturePoints *points) {
    double worst = 0;
    assert_int_equal(points->count, json_array_size(expected));
    for (size_t i = 0; i < points->count; i++) {
        const json_t *want = json_array_get(expected, i);
        assert_int_equal(points->points[i].step, integer(want, "step"));
        for (size_t j = 0; j < SETS; j++) {
            double loss = number(want, losses[j]);
            assert_true(loss > 0);
            worst = fmax(worst, fabs(point_metric(&points->points[i], losses[j]) - loss) / loss);
            assert_true(fabs(point_metric(&points->points[i], errors[j]) - number(want, errors[j])) < 1e-12);
        }
    }
    return worst;
}

static void test_runs_of_pytorch(void **state) {
    (void)state;
    const json_t *runs = json_object_get(golden, "runs");
    assert_int_equal(json_array_size(runs), RUNS);
    for (size_t i = 0; i < RUNS; i++) {
        const json_t *item = json_array_get(runs, i);
        Run run = run_of(item);
        Trainer *trainer = run_trainer(item, &run);
        FixturePoints points;
        TrainLoop loop = fixture_loop(&points, NULL);
        assert_int_equal(train_run(trainer, &loop, NULL), 0);
        double difference = points_difference(json_object_get(item, "points"), &points);
        print_message("%s %s, %s: relative difference %.1e\n", text(item, "model"), text(item, "optimizer"), text(item, "schedule"),
                      difference);
        assert_true(difference < tolerance);
        trainer_free(trainer);
    }
}

static int setup(void **state) {
    json_error_t error;
    golden = json_load_file(golden_path, 0, &error);
    if (!golden || fixture_setup(state))
        return -1;
    pack_data();
    return 0;
}

static int teardown(void **state) {
    json_decref(golden);
    return scratch_teardown(state);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_runs_of_pytorch)};
    if (argc != 2) {
        fprintf(stderr, "usage: %s tests/golden/recipe.json\n", argv[0]);
        return 2;
    }
    golden_path = argv[1];
    return cmocka_run_group_tests(tests, setup, teardown);
}
