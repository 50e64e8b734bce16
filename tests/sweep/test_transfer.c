/* The items of eval: what a file may say, what a run keeps of it, and what it costs. */
#include "fixture.h"

#include "sweepd/record.h"

#define FULL                                                                                                                               \
    "eval:\n"                                                                                                                              \
    "  - {kind: linear, data: fashion-mnist}\n"                                                                                            \
    "  - {kind: finetune, name: few, data: {name: fashion-mnist, validation: 1000}, examples: 500, epochs: 7, batch: 64, head_lr: 0.02, "  \
    "\n"                                                                                                                                   \
    "     body_lr: 0.004, optimizer: {name: adamw, weight_decay: 0.1}, schedule: {name: cosine, warmup: 0.1}, label_smoothing: 0.2,\n"     \
    "     augment: {flip: true, crop: {scale: [0.4, 1], ratio: [1, 1]}}, test: {crops: 10, crop: {padding: 2}, mean: softmax}}\n"

static Run first_run(const char *rest) {
    Sweep *sweep = sweep_good(sweep_text(GRID, TRAIN, rest));
    Run *runs = sweep_all(sweep), run = runs[0];
    free(runs);
    sweep_free(sweep);
    return run;
}

static void defaults_are_the_papers(void **state) {
    (void)state;
    Run run = first_run("eval: [{kind: linear, data: fashion-mnist}, {kind: finetune, data: fashion-mnist}]\n");
    const Transfer *linear = &run.transfers[0], *finetune = &run.transfers[1];
    assert_int_equal(run.transfer_count, 2);
    assert_int_equal(linear->kind, TRANSFER_LINEAR);
    assert_int_equal(linear->optimizer.kind, OPTIMIZER_LION);
    assert_true(linear->optimizer.lr == 1e-5 && linear->optimizer.beta1 == 0.9 && linear->optimizer.beta2 == 0.99);
    assert_true(linear->body_lr == 0);
    assert_int_equal(linear->epochs, 50);
    assert_int_equal(linear->examples, 60000);
    assert_int_equal(linear->classes, 10);
    assert_string_equal(linear->name, "fashion-mnist");
    assert_int_equal(finetune->optimizer.kind, OPTIMIZER_SGD);
    assert_true(finetune->optimizer.lr == 0.01 && finetune->body_lr == 0.001 && finetune->optimizer.momentum == 0.9);
}

static void everything_that_an_item_says_is_kept(void **state) {
    (void)state;
    Run run = first_run(FULL);
    const Transfer *few = &run.transfers[1];
    assert_string_equal(few->name, "few");
    assert_int_equal(few->examples, 500);
    assert_int_equal(few->validation, 1000);
    assert_int_equal(few->epochs, 7);
    assert_int_equal(few->batch, 64);
    assert_int_equal(few->optimizer.kind, OPTIMIZER_ADAMW);
    assert_true(few->optimizer.lr == 0.02 && few->body_lr == 0.004 && few->optimizer.weight_decay == 0.1);
    assert_int_equal(few->schedule.kind, SCHEDULE_COSINE);
    assert_true(few->schedule.warmup == 0.1 && few->label_smoothing == 0.2);
    assert_true(few->test.crops == 10 && few->test.augmentation.padding == 2 && few->test.mean == MEAN_SOFTMAX);
    assert_true(few->augmentation.flip == 1 && few->augmentation.scale[0] == 0.4 && few->augmentation.ratio[1] == 1);
}

static void a_run_without_items_has_the_text_it_had(void **state) {
    (void)state;
    Run plain = first_run(""), with = first_run(FULL);
    Buffer text;
    char one[RUN_KEY_MAX], other[RUN_KEY_MAX];
    Error error = {0};
    buffer_init(&text, RUN_SPEC_MAX);
    assert_int_equal(run_identify(&plain, &text, one, &error), 0);
    assert_null(strstr(text.data, "eval\""));
    assert_int_equal(run_identify(&with, &text, other, &error), 0);
    assert_non_null(strstr(text.data, "\"eval\":[{\"data\":{"));
    assert_string_not_equal(one, other);
    buffer_deinit(&text);
}

static void a_text_reads_back_as_the_same_run(void **state) {
    (void)state;
    Run run = first_run(FULL), again;
    Buffer text, second;
    Error error = {0};
    buffer_init(&text, RUN_SPEC_MAX);
    buffer_init(&second, RUN_SPEC_MAX);
    assert_int_equal(run_format(&run, &text, &error), 0);
    if (run_parse(&again, text.data, text.size, "spec", &error) != 0)
        fail_msg("%s", error.text);
    assert_int_equal(run_format(&again, &second, &error), 0);
    assert_string_equal(text.data, second.data);
    assert_int_equal(again.transfer_count, 2);
    assert_true(again.transfers[1].body_lr == 0.004 && again.transfers[1].test.mean == MEAN_SOFTMAX);
    assert_true(run_has_metric(&again, "finetune.few.tta.test_top5_error") && !run_has_metric(&again, "tta.test_error"));
    buffer_deinit(&text);
    buffer_deinit(&second);
}

static void the_largest_list_of_items_has_room(void **state) {
    (void)state;
    char rest[4096] = "eval:\n";
    for (int i = 0; i < RUN_TRANSFERS_MAX; i++) {
        char item[512];
        snprintf(
            item, sizeof item,
            "  - {kind: finetune, name: a23456789012345678901234567890%d, data: fashion-mnist, examples: 12345, epochs: 999999,"
            " optimizer: {name: adamw, weight_decay: 0.123456789012, beta1: 0.912345678901, epsilon: 1.23456789012e-08},"
            " head_lr: 0.0123456789012, body_lr: 0.00123456789012, schedule: {name: wsd, warmup: 0.123456789012, decay: 0.234567890123},"
            " augment: {flip: true, crop: {scale: [0.0812345678901, 1], ratio: [0.751234567890, 1.33333333333]}, mixup: 0.8}}\n",
            i);
        strcat(rest, item);
    }
    Run run = first_run(rest);
    Buffer text;
    Error error = {0};
    buffer_init(&text, RUN_SPEC_MAX);
    assert_int_equal(run_format(&run, &text, &error), 0);
    buffer_deinit(&text);
}

static void check_refused(const char *rest, const char *message) {
    Sweep *sweep = NULL;
    Error error = {0};
    const char *text = sweep_text(GRID, TRAIN, rest);
    assert_int_equal(sweep_parse(&sweep, text, strlen(text), "f", &error), SWEEP_INVALID);
    assert_null(sweep);
    if (!strstr(error.text, message))
        fail_msg("expected \"%s\" in: %s", message, error.text);
}

static void what_cannot_be_is_refused_at_its_place(void **state) {
    (void)state;
    const char *const cases[][2] = {
        {"eval: []\n", "f:13:7: eval: found a list; expected a list of 1 to 4 maps"},
        {"eval: {kind: linear}\n", "expected a list of 1 to 4 maps"},
        {"eval: [{data: fashion-mnist}]\n", "eval[0]: kind is missing"},
        {"eval: [{kind: linear}]\n", "eval[0]: data is missing"},
        {"eval: [{kind: probe, data: fashion-mnist}]\n", "eval[0].kind: found \"probe\"; expected one of linear, finetune"},
        {"eval: [{kind: linear, data: cifar1000}]\n", "eval[0].data: found \"cifar1000\"; expected a data set that is known"},
        {"eval: [{kind: linear, data: fashion-mnist, evaluations: 3}]\n", "eval[0].evaluations: unknown key"},
        {"eval: [{kind: linear, data: fashion-mnist, epoch: 3}]\n", "did you mean \"epochs\"?"},
        {"eval: [{kind: linear, data: fashion-mnist, head_lr: 1}]\n", "linear has one rate, that of the head; expected optimizer.lr"},
        {"eval: [{kind: finetune, data: fashion-mnist, optimizer: {name: sgd, lr: 1}}]\n", "finetune has two rates"},
        {"eval: [{kind: finetune, data: fashion-mnist, optimizer: {name: lion}}]\n", "head_lr or body_lr is missing"},
        {"eval: [{kind: linear, data: fashion-mnist, optimizer: {name: sgd}}]\n", "optimizer.lr is missing"},
        {"eval: [{kind: linear, data: fashion-mnist, optimizer: {momentum: .5}}]\n", "lion has no momentum"},
        {"eval: [{kind: linear, data: fashion-mnist, epochs: [1, 2]}]\n", "eval[0].epochs: found a list; expected an integer"},
        {"eval: [{kind: linear, data: fashion-mnist, examples: 60001}]\n", "expected at most 60000"},
        {"eval: [{kind: linear, data: fashion-mnist}, {kind: linear, data: fashion-mnist}]\n", "eval[1]: found two items of kind linear"},
        {"eval: [{kind: linear, data: {inputs: 784, classes: 5, examples: 9}}]\n", "eval[0]: name is missing"},
        {"eval: [{kind: linear, name: a, data: {inputs: 3072, classes: 5, examples: 9}}]\n",
         "eval[0].data: found examples of 3072 values, where the model is trained on 28 x 28 images of 1 channel; expected data of the same"
         " shape: pack them anew with 'sweepctl data pack SOURCE NAME --size 28 --grey', and give that name here"},
        {"eval: [{kind: linear, data: cifar10}]\n", "pack them anew with 'sweepctl data fetch cifar10', then 'sweepctl data pack cifar10 "
                                                    "cifar10-28 --size 28 --grey', and give that name here"},
        {"eval: [{kind: linear, name: a23456789012345678901234567890123, data: fashion-mnist}]\n", "a name of at most 31 characters"},
        {"eval: [{kind: linear, name: a.tta, data: fashion-mnist}]\n",
         "eval[0].name: found the name a.tta; expected one that does not end"},
        {"eval: [{kind: linear, data: fashion-mnist}]\ntrainer: {kind: simulated, law: {E: 1, A: 1, alpha: 1, B: 1, beta: 1}}\n",
         "found eval beside a simulated trainer"},
        {"eval: [{kind: linear, data: fashion-mnist}]\nfit: {metric: linear.cifar100.test_error}\n",
         "fit.metric: found \"linear.cifar100.test_error\"; expected one of test_error, test_loss, test_top5_error, "
         "train_error, train_loss, train_top5_error, linear.fashion-mnist.test_error, linear.fashion-mnist.test_loss, "
         "linear.fashion-mnist.test_top5_error, linear.fashion-mnist.train_error, linear.fashion-mnist.train_loss, "
         "linear.fashion-mnist.train_top5_error, linear.fashion-mnist.flops"},
        {"eval: [{kind: linear, data: fashion-mnist, test: {crops: 2, crop: {padding: 70}}}]\n",
         "eval[0].test.crop.padding: found 70; expected less than 56: the images have 28 x 28 pixels"},
        {"eval: [{kind: linear, data: fashion-mnist, augment: {crop: {padding: 56}}}]\n",
         "eval[0].augment.crop.padding: found 56; expected"},
        {"test: {crops: 2, crop: {padding: 70}}\n", "f:13:34: test.crop.padding: found 70; expected less than 56"},
        {"include: [{depth: 1, width: 8, examples: 100, augment: {crop: {padding: 90}}}]\n",
         "include[0].augment.crop.padding: found 90; expected less than 56"},
        {"eval: [{kind: linear, data: fashion-mnist}]\ntune: {label_smoothing: [0, 0.1]}\nfit: {metric: linear.fashion-mnist.test_error}\n",
         "tune: linear.fashion-mnist.validation_error chooses among tuned settings, but eval[0].data.validation is 0; expected examples "
         "for"},
        {"eval: [{kind: linear, data: fashion-mnist}]\nfit: {metric: linear.fashion-mnist.validation_error}\n",
         "fit.metric: found \"linear.fashion-mnist.validation_error\", but eval[0].data.validation is 0; expected a metric of train or "
         "test"},
        {"fit: {metric: linear.cifar100.test_error}\n", "found \"linear.cifar100.test_error\"; expected one of test_error"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_refused(cases[i][0], cases[i][1]);
}

/* A model of colour images reads grey ones as three equal channels. */
static void grey_data_are_to_be_packed_in_colour(void **state) {
    (void)state;
    static const char text[] = "version: 1\nname: test\ndata: {name: cifar10}\nmodel: {kind: bmlp}\ngrid:\n" GRID "train:\n" TRAIN
                               "eval: [{kind: linear, data: fashion-mnist}]\n";
    Sweep *sweep;
    Error error = {0};
    assert_int_equal(sweep_parse(&sweep, text, strlen(text), "f", &error), SWEEP_INVALID);
    assert_non_null(strstr(error.text, "'sweepctl data pack SOURCE fashion-mnist-32 --size 32 --colour'"));
}

static void a_fit_may_take_an_items_metric(void **state) {
    (void)state;
    Sweep *sweep = sweep_good(sweep_text(GRID, TRAIN, FULL "fit: {metric: finetune.few.test_loss}\n"));
    assert_string_equal(sweep_fit_settings(sweep)->metric, "finetune.few.test_loss");
    assert_string_equal(sweep_fit_settings(sweep)->select, "finetune.few.validation_loss");
    Run *runs = sweep_all(sweep);
    assert_true(run_has_metric(&runs[0], "finetune.few.validation_error"));
    assert_true(run_has_metric(&runs[0], "linear.fashion-mnist.flops"));
    assert_false(run_has_metric(&runs[0], "linear.fashion-mnist.validation_error"));
    free(runs);
    sweep_free(sweep);
}

static void items_of_sizes_can_be_planned_only(void **state) {
    (void)state;
    Sweep *sweep = sweep_good(sweep_text(GRID, TRAIN, "eval: [{kind: linear, name: a, data: {inputs: 784, classes: 5, examples: 900}}]\n"));
    assert_true(sweep_is_plan_only(sweep));
    assert_int_equal(sweep_transfer(sweep, 0)->examples, 900);
    sweep_free(sweep);
}

/* 2-16 MLP of expansion 4 on 784 inputs, by hand: a step of the head of 10 on 128 rows is two products of 2 x 128 x 16 x 10. */
static void flops_are_counted_apart(void **state) {
    (void)state;
    Run run = first_run("eval: [{kind: linear, data: fashion-mnist, examples: 1000, epochs: 3}, {kind: finetune, data: fashion-mnist, "
                        "examples: 1000, epochs: 3}]\n"),
        own, plain = first_run("");
    assert_true(run_flops(&run).exact == run_flops(&plain).exact);
    Flops linear = run_transfer_flops(&run, 0), finetune = run_transfer_flops(&run, 1);
    run_transfer(&run, 1, &own);
    assert_true(finetune.exact == run_flops(&own).exact && finetune.paper == run_flops(&own).paper);
    double width = (double)run.model.width, macs = 784 * width + (double)run.model.depth * 8 * width * width, steps = 21;
    assert_true(linear.gemm == steps * 2 * 2 * 128 * width * 10 + 1000 * 2 * macs);
    assert_true(linear.exact > linear.gemm && linear.exact < 1.2 * linear.gemm + steps * 128 * 500);
    assert_true(linear.nd6 == 6 * 3000 * (width * 10 + 10) + 2.0 * 1000 * ((double)run_params(&run) - width * 10 - 10));
    assert_true(linear.paper == 3 * 3000 * width * 10 + 1000 * (macs + 5 * (double)run.model.depth * width));
    assert_true(linear.exact < finetune.exact);
}

static void augmented_images_are_looked_at_in_every_epoch(void **state) {
    (void)state;
    Run plain = first_run("eval: [{kind: linear, data: fashion-mnist, epochs: 10}]\n"),
        flipped = first_run("eval: [{kind: linear, data: fashion-mnist, epochs: 10, augment: {flip: true}}]\n");
    assert_true(run_transfer_keeps_features(&plain, 0));
    assert_false(run_transfer_keeps_features(&flipped, 0));
    assert_true(run_transfer_flops(&flipped, 0).gemm > 5 * run_transfer_flops(&plain, 0).gemm);
}

static void memory_has_room_for_the_largest_item(void **state) {
    (void)state;
    Run plain = first_run(""), with = first_run("eval: [{kind: finetune, data: fashion-mnist, batch: 4096}]\n"), own;
    run_transfer(&with, 0, &own);
    assert_true(run_tensor_bytes(&with) == run_tensor_bytes(&plain) + run_tensor_bytes(&own));
    Run averaged = first_run("test: {crops: 5, flip: true}\n"); /* the sums of a batch's outputs, in double precision */
    double outputs = (double)averaged.batch * (double)averaged.model.classes * sizeof(double);
    assert_true(run_tensor_bytes(&averaged) == run_tensor_bytes(&plain) + outputs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_papers),
        cmocka_unit_test(everything_that_an_item_says_is_kept),
        cmocka_unit_test(a_run_without_items_has_the_text_it_had),
        cmocka_unit_test(a_text_reads_back_as_the_same_run),
        cmocka_unit_test(the_largest_list_of_items_has_room),
        cmocka_unit_test(what_cannot_be_is_refused_at_its_place),
        cmocka_unit_test(grey_data_are_to_be_packed_in_colour),
        cmocka_unit_test(a_fit_may_take_an_items_metric),
        cmocka_unit_test(items_of_sizes_can_be_planned_only),
        cmocka_unit_test(flops_are_counted_apart),
        cmocka_unit_test(augmented_images_are_looked_at_in_every_epoch),
        cmocka_unit_test(memory_has_room_for_the_largest_item),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
