/* The simulated trainer: its losses are the law's, its noise is the key's, and it costs nothing that grows with the run. */
#include "fixture.h"

static const char *const metrics[] = {"train_loss", "train_error", "validation_loss", "validation_error", "test_loss", "test_error"};

/* 784 inputs, 10 classes, 20 epochs of 500 examples in batches of 128: 3 steps an epoch, 60 in all. No data. */
static Run simulated_run(void) {
    Run run = {
        .model = {.kind = MODEL_BMLP, .inputs = 784, .classes = 10, .depth = 1, .width = 8, .expansion = 4},
        .examples = 500,
        .epochs = 20,
        .batch = 128,
        .evaluations = 5,
        .trainer = TRAINER_SIMULATED,
        .simulation = {.E = 1.69, .A = 406.4, .alpha = 0.34, .B = 410.7, .beta = 0.28},
    };
    optimizer_settings_default(OPTIMIZER_LION, &run.optimizer);
    run.optimizer.lr = 0.003;
    return run;
}

static FixturePoints simulate(const Run *run, int result) {
    Trainer *trainer;
    Error error = {0};
    FixturePoints points;
    TrainerOptions options = {.home = "/nonexistent", .threads = 1};
    if (trainer_new(&trainer, run, &options, &error))
        fail_msg("%s", error.text);
    TrainLoop loop = fixture_loop(&points, "/nonexistent/checkpoint");
    assert_int_equal(train_run(trainer, &loop, &error), result);
    if (result == 0)
        assert_true(trainer->step == trainer->steps && trainer->flops == run_flops(run).exact);
    assert_true(trainer->seconds == 0);
    assert_string_equal(trainer->environment.backend, "simulated");
    assert_null(trainer_model(trainer));
    trainer_free(trainer);
    return points;
}

static double last_loss(const Run *run) {
    FixturePoints points = simulate(run, 0);
    return point_metric(&points.points[points.count - 1], "test_loss");
}

/* Worked out by hand: B_1-Wi_8 has 784*8+8 + 2*8 + 8*32+32 + 32*8+8 + 8*10+10 = 6938 parameters. */
static double law(double params, double examples) {
    return 1.69 + 406.4 * pow(params, -0.34) + 410.7 * pow(examples, -0.28);
}

static void test_every_metric_is_the_law(void **state) {
    (void)state;
    static const int64_t steps[] = {3, 6, 13, 28, 60};
    Run run = simulated_run();
    FixturePoints points = simulate(&run, 0);
    assert_int_equal(points.count, 5);
    for (size_t i = 0; i < points.count; i++) {
        const Point *point = &points.points[i];
        double expected = law(6938, 500.0 * (double)steps[i] / 60);
        assert_int_equal(point->step, steps[i]);
        assert_true(point->examples == 128.0 * (double)steps[i]);
        assert_true(point->flops == run_flops(&run).exact / 60 * (double)steps[i]);
        assert_true(point->seconds == 0);
        assert_int_equal(point->metric_count, 6);
        for (size_t j = 0; j < 6; j++)
            assert_true(fabs(point_metric(point, metrics[j]) / expected - 1) < 1e-14);
    }
}

/* ln of the noise's factor, over many runs: independent standard normal numbers times `noise`, of seeds and of settings alike. */
static void test_noise_is_normal_and_the_runs_own(void **state) {
    (void)state;
    enum { RUNS = 2000 };
    double sum = 0, squares = 0, products = 0, previous = 0;
    for (int i = 0; i < RUNS; i++) {
        Run run = simulated_run();
        run.simulation.noise = 0.1;
        run.seed = (uint64_t)(i / 2);
        run.optimizer.lr = i % 2 ? 0.003 : 0.001;
        double z = log(last_loss(&run) / law(6938, 500)) / 0.1;
        sum += z;
        squares += z * z;
        products += z * previous;
        previous = z;
        assert_true(last_loss(&run) == last_loss(&run));
    }
    /* Five standard deviations of each mean. */
    assert_true(fabs(sum / RUNS) < 5 / sqrt(RUNS));
    assert_true(fabs(squares / RUNS - 1) < 5 * sqrt(2.0 / RUNS));
    assert_true(fabs(products / RUNS) < 5 / sqrt(RUNS));
}

static void test_tuning_costs_what_it_says(void **state) {
    (void)state;
    Run run = simulated_run();
    run.simulation.best_lr = 0.003;
    run.simulation.curvature = 0.05;
    assert_true(fabs(last_loss(&run) / law(6938, 500) - 1) < 1e-14);
    run.optimizer.lr = 0.003 * exp(2);
    assert_true(fabs(last_loss(&run) / law(6938, 500) / exp(0.05 * 4) - 1) < 1e-14);
    run.optimizer.lr = 0.003 * exp(-2);
    assert_true(fabs(last_loss(&run) / law(6938, 500) / exp(0.05 * 4) - 1) < 1e-14);
}

static void test_a_loss_that_is_no_number_diverges(void **state) {
    (void)state;
    Run run = simulated_run();
    run.simulation.best_lr = 1e-9;
    run.simulation.curvature = 100;
    FixturePoints points = simulate(&run, TRAIN_DIVERGED);
    assert_int_equal(points.count, 1);
    assert_true(isnan(point_metric(&points.points[0], "test_loss")));
}

/* Whatever its size: 1e12 examples of 1e8 values through 1000 blocks of 65536, 1e6 epochs. */
static void test_the_largest_run_costs_no_more(void **state) {
    (void)state;
    Run run = simulated_run();
    run.model.width = 65536;
    run.model.depth = 1000;
    run.examples = 1000000000000;
    run.epochs = 1000000;
    run.batch = 1;
    FixturePoints points = simulate(&run, 0);
    assert_int_equal(points.count, 5);
    assert_true(points.looks < 200);
    double params = (double)arch_params_total(&run.model);
    assert_true(fabs(point_metric(&points.points[4], "test_error") / law(params, 1e12) - 1) < 1e-14);
}

static void test_refusals(void **state) {
    (void)state;
    Run run = simulated_run();
    Trainer *trainer;
    Error error = {0};
    TrainerOptions options = {.home = "/nonexistent", .threads = 1, .init_weights = "w.safetensors"};
    assert_int_equal(trainer_new(&trainer, &run, &options, &error), TRAIN_REFUSED);
    assert_null(trainer);
    assert_string_equal(error.text, "w.safetensors: a simulated run has no weights");
    run.batch = 0;
    options.init_weights = NULL;
    assert_int_equal(trainer_new(&trainer, &run, &options, &error), TRAIN_REFUSED);
    run.batch = 128;
    assert_int_equal(trainer_new(&trainer, &run, &options, &error), 0);
    assert_int_equal(trainer->interface->load(trainer, "c.safetensors", &error), TRAIN_REFUSED);
    assert_int_equal(trainer_save_weights(trainer, "w.safetensors", &error), -1);
    assert_string_equal(error.text, "w.safetensors: the trainer simulated has no weights to write");
    trainer_free(trainer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_metric_is_the_law),       cmocka_unit_test(test_noise_is_normal_and_the_runs_own),
        cmocka_unit_test(test_tuning_costs_what_it_says),     cmocka_unit_test(test_a_loss_that_is_no_number_diverges),
        cmocka_unit_test(test_the_largest_run_costs_no_more), cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
