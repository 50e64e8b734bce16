/* The canonical text of a run and its key are what the store holds for ever: the goldens here were written by hand, and their keys made
 * with `printf %s TEXT | sha256sum`. A change that breaks one of them orphans every result that users have. */
#include "fixture.h"

#define DIGEST "f186e338c90b8f43e25771795cd29324122702abf9a353a3ac8d21ff7f80948d"

static const char golden_lion[] =
    "{\"data\":{\"digest\":\"" DIGEST "\",\"name\":\"fashion-mnist\",\"subset_seed\":0,\"validation\":5000},\"examples\":500,"
    "\"model\":{\"classes\":10,\"depth\":1,\"expansion\":4,\"inputs\":784,\"kind\":\"bmlp\",\"width\":8},\"seed\":0,"
    "\"train\":{\"batch\":128,\"epochs\":20,\"evaluations\":5,\"label_smoothing\":0.1,"
    "\"optimizer\":{\"beta1\":0.9,\"beta2\":0.99,\"lr\":0.002,\"name\":\"lion\",\"weight_decay\":0.1},\"precision\":\"fp32\","
    "\"schedule\":{\"name\":\"cosine\",\"warmup\":0.05}},\"trainer\":{\"kind\":\"builtin\"},\"version\":1}";
static const char golden_lion_key[] = "5d0887d1900d04dbbfc84526ba1936ad2045e470b9cd531c3e86b87d8c8c312c";

static const char golden_sgd[] =
    "{\"data\":{\"digest\":\"" DIGEST "\",\"name\":\"fashion-mnist\",\"subset_seed\":7,\"validation\":0},\"examples\":60000,"
    "\"model\":{\"classes\":10,\"depth\":3,\"form\":\"code\",\"inputs\":784,\"kind\":\"smlp\",\"width\":64},\"seed\":9007199254740993,"
    "\"train\":{\"batch\":256,\"epochs\":2,\"evaluations\":1,\"label_smoothing\":0,"
    "\"optimizer\":{\"lr\":0.1,\"momentum\":0.9,\"name\":\"sgd\",\"weight_decay\":5e-05},\"precision\":\"fp32\","
    "\"schedule\":{\"decay\":0.25,\"name\":\"wsd\",\"warmup\":0}},\"trainer\":{\"kind\":\"builtin\"},\"version\":1}";
static const char golden_sgd_key[] = "a99b19d6a004b0efe9d692150e9eac923621ed7fdc8d288e2354562d256d60ac";

/* Without data, with every key that a simulated run can have. */
static const char golden_simulated[] =
    "{\"data\":{\"digest\":\"\",\"name\":\"\",\"subset_seed\":0,\"validation\":0},\"examples\":500,"
    "\"model\":{\"classes\":10,\"depth\":1,\"expansion\":4,\"inputs\":784,\"kind\":\"bmlp\",\"width\":8},\"seed\":0,"
    "\"train\":{\"batch\":128,\"epochs\":20,\"evaluations\":5,\"label_smoothing\":0.1,"
    "\"optimizer\":{\"beta1\":0.9,\"beta2\":0.99,\"lr\":0.002,\"name\":\"lion\",\"weight_decay\":0.1},\"precision\":\"fp32\","
    "\"schedule\":{\"name\":\"cosine\",\"warmup\":0.05}},"
    "\"trainer\":{\"kind\":\"simulated\",\"law\":{\"A\":406.4,\"B\":410.7,\"E\":1.69,\"alpha\":0.34,\"beta\":0.28},\"noise\":0.02,"
    "\"tuning\":{\"lr\":{\"best\":0.001,\"curvature\":0.05}}},\"version\":1}";
static const char golden_simulated_key[] = "f879a33f2ea9fbe0fe44a511213763ae40f144364a6be9df57e2c16ee3b64c7a";

/* lion's run with every kind of augmentation but padding, which excludes scale. */
static const char golden_augmented[] =
    "{\"data\":{\"digest\":\"" DIGEST "\",\"name\":\"fashion-mnist\",\"subset_seed\":0,\"validation\":5000},\"examples\":500,"
    "\"model\":{\"classes\":10,\"depth\":1,\"expansion\":4,\"inputs\":784,\"kind\":\"bmlp\",\"width\":8},\"seed\":0,"
    "\"train\":{\"augment\":{\"crop\":{\"ratio\":[0.75,1.333],\"scale\":[0.08,1]},\"flip\":\"true\",\"mixup\":0.8},"
    "\"batch\":128,\"epochs\":20,\"evaluations\":5,\"label_smoothing\":0.1,"
    "\"optimizer\":{\"beta1\":0.9,\"beta2\":0.99,\"lr\":0.002,\"name\":\"lion\",\"weight_decay\":0.1},\"precision\":\"fp32\","
    "\"schedule\":{\"name\":\"cosine\",\"warmup\":0.05}},\"trainer\":{\"kind\":\"builtin\"},\"version\":1}";
static const char golden_augmented_key[] = "43c20ab234eb612e1d7868a667d36242f1dddeb0a0f4bbcc70f42a9b5d6136ec";

static Run run_lion(void) {
    Run run = {.model = {.kind = MODEL_BMLP, .inputs = 784, .classes = 10, .depth = 1, .width = 8, .expansion = 4},
               .data_name = "fashion-mnist",
               .data_digest = DIGEST,
               .validation = 5000,
               .examples = 500,
               .epochs = 20,
               .batch = 128,
               .evaluations = 5,
               .label_smoothing = 0.1,
               .optimizer = {.kind = OPTIMIZER_LION, .lr = 0.002, .weight_decay = 0.1, .beta1 = 0.9, .beta2 = 0.99},
               .schedule = {.kind = SCHEDULE_COSINE, .warmup = 0.05}};
    return run;
}

static Run run_sgd(void) {
    Run run = {.model = {.kind = MODEL_SMLP, .form = SMLP_CODE, .inputs = 784, .classes = 10, .depth = 3, .width = 64},
               .data_name = "fashion-mnist",
               .data_digest = DIGEST,
               .subset_seed = 7,
               .examples = 60000,
               .seed = 9007199254740993,
               .epochs = 2,
               .batch = 256,
               .evaluations = 1,
               .optimizer = {.kind = OPTIMIZER_SGD, .lr = 0.1, .weight_decay = 5e-5, .momentum = 0.9},
               .schedule = {.kind = SCHEDULE_WSD, .decay = 0.25}};
    return run;
}

static Run run_simulated(void) {
    Run run = run_lion();
    *run.data_name = *run.data_digest = '\0';
    run.validation = 0;
    run.trainer = TRAINER_SIMULATED;
    run.simulation = (Simulation){1.69, 406.4, 0.34, 410.7, 0.28, .noise = 0.02, .best_lr = 1e-3, .curvature = 0.05};
    return run;
}

static void format(const Run *run, Buffer *out) {
    Error error = {0};
    buffer_init(out, RUN_SPEC_MAX);
    assert_int_equal(run_format(run, out, &error), 0);
}

static void check_golden(const Run *run, const char *text, const char *key) {
    Error error = {0};
    char own_key[RUN_KEY_MAX];
    Buffer own;
    format(run, &own);
    assert_string_equal(own.data, text);
    assert_int_equal(run_key(run, own_key, &error), 0);
    assert_string_equal(own_key, key);
    buffer_deinit(&own);
}

static void canonical_text_and_key_are_the_goldens(void **state) {
    (void)state;
    Run augmented = run_lion();
    augmented.augmentation = (Augmentation){.flip = 1, .scale = {0.08, 1}, .ratio = {0.75, 1.333}, .mixup = 0.8};
    check_golden(&augmented, golden_augmented, golden_augmented_key);
    Run lion = run_lion(), sgd = run_sgd(), simulated = run_simulated();
    check_golden(&simulated, golden_simulated, golden_simulated_key);
    check_golden(&lion, golden_lion, golden_lion_key);
    check_golden(&sgd, golden_sgd, golden_sgd_key);
}

static void check_round_trip(const char *text) {
    Run run;
    Error error = {0};
    Buffer again;
    if (run_parse(&run, text, strlen(text), "run.json", &error) != 0)
        fail_msg("%s", error.text);
    format(&run, &again);
    assert_string_equal(again.data, text);
    buffer_deinit(&again);
}

static void canonical_text_reads_back(void **state) {
    (void)state;
    check_round_trip(golden_lion);
    check_round_trip(golden_augmented);
    check_round_trip(golden_sgd);
    check_round_trip(golden_simulated);
}

/* Any order, any spacing, defaults left out: the same run. */
static void a_run_by_hand_is_the_same_run(void **state) {
    (void)state;
    static const char text[] = "{ \"version\": 1,\n \"seed\": 0, \"examples\": 500,\n"
                               " \"train\": {\"epochs\": 20, \"batch\": 128, \"label_smoothing\": 1e-1,\n"
                               "  \"schedule\": {\"warmup\": 0.05, \"name\": \"cosine\"},\n"
                               "  \"optimizer\": {\"weight_decay\": 0.1, \"name\": \"lion\", \"lr\": 2e-3}},\n"
                               " \"model\": {\"kind\": \"bmlp\", \"width\": 8, \"depth\": 1, \"inputs\": 784, \"classes\": 10},\n"
                               " \"data\": {\"validation\": 5000, \"name\": \"fashion-mnist\", \"digest\": \"" DIGEST "\"}}\n";
    Run run;
    Error error = {0};
    if (run_parse(&run, text, strlen(text), "run.json", &error) != 0)
        fail_msg("%s", error.text);
    check_golden(&run, golden_lion, golden_lion_key);
}

/* Every setting decides the result, so every setting moves the key. */
static void each_setting_changes_the_key(void **state) {
    (void)state;
    enum { CHANGES = 28 };
    Run runs[CHANGES + 1];
    for (size_t i = 0; i <= CHANGES; i++)
        runs[i] = run_lion();
    size_t n = 1;
    runs[n++].model.depth = 2;
    runs[n++].model.width = 9;
    runs[n++].model.expansion = 3;
    runs[n++].model.inputs = 785;
    runs[n++].model.classes = 11;
    text_copy(runs[n++].data_name, SWEEP_NAME_MAX, "mnist");
    runs[n++].data_digest[0] = 'd';
    runs[n++].validation = 4999;
    runs[n++].subset_seed = 1;
    runs[n++].examples = 501;
    runs[n++].seed = 1;
    runs[n++].epochs = 21;
    runs[n++].batch = 127;
    runs[n++].evaluations = 6;
    runs[n++].optimizer.lr = 0.0020000000000000005;
    runs[n++].optimizer.beta2 = 0.98;
    runs[n++].schedule.kind = SCHEDULE_LINEAR;
    runs[n++].schedule.warmup = 0.06;
    runs[n++].label_smoothing = 0;
    for (size_t i = n; i <= CHANGES; i++)
        runs[i] = run_simulated();
    n++;
    runs[n++].simulation.E = 1.7;
    runs[n++].simulation.A = 406;
    runs[n++].simulation.alpha = 0.35;
    runs[n++].simulation.B = 410;
    runs[n++].simulation.beta = 0.29;
    runs[n++].simulation.noise = 0;
    runs[n++].simulation.best_lr = 2e-3;
    runs[n++].simulation.curvature = 0.06;
    assert_int_equal(n, CHANGES + 1);
    char keys[CHANGES + 1][RUN_KEY_MAX];
    for (size_t i = 0; i <= CHANGES; i++) {
        Error error = {0};
        assert_int_equal(run_key(&runs[i], keys[i], &error), 0);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(keys[i], keys[j]);
    }
}

/* ---- errors ---- */

typedef struct Wrong {
    const char *was, *is; /* replaced in golden_lion */
    const char *message;
} Wrong;

static void replace(const char *text, const char *was, const char *is, char *out, size_t capacity) {
    const char *at = strstr(text, was);
    assert_non_null(at);
    int size = snprintf(out, capacity, "%.*s%s%s", (int)(at - text), text, is, at + strlen(was));
    assert_true(size > 0 && (size_t)size < capacity);
}

static void check_wrongs(const char *golden, const Wrong *wrongs, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char text[2048];
        Run run;
        Error error = {0};
        replace(golden, wrongs[i].was, wrongs[i].is, text, sizeof text);
        assert_int_equal(run_parse(&run, text, strlen(text), "r", &error), SWEEP_INVALID);
        assert_string_equal(error.text, wrongs[i].message);
    }
}

static void wrong_runs_are_refused_with_their_field(void **state) {
    (void)state;
    static const Wrong wrongs[] = {
        {"\"depth\":1", "\"depth\":0", "r: model.depth: found 0; expected an integer from 1 to 1000"},
        {"\"depth\":1", "\"depth\":1.5", "r: model.depth: found 1.5; expected an integer from 1 to 1000"},
        {"\"depth\":1", "\"depth\":\"1\"", "r: model.depth: found \"1\"; expected an integer from 1 to 1000"},
        {"\"depth\":1", "\"depth\":null", "r: model.depth: found null; expected an integer from 1 to 1000"},
        {"\"depth\":1,", "", "r: model.depth: missing"},
        {"\"depth\":1", "\"dept\":1",
         "r: model.dept: unknown key; expected one of inputs, classes, kind, name, expansion, form, dropout, depth, width"},
        {"\"depth\":1", "\"de\\u0007pt\":1",
         "r: model.de?pt: unknown key; expected one of inputs, classes, kind, name, expansion, form, dropout, depth, width"},
        {"\"bmlp\"", "\"cnn\"", "r: model.kind: found \"cnn\"; expected one of bmlp, smlp"},
        {"\"bmlp\"", "\"smlp\"", "r: model.expansion: smlp has no expansion; expected one of kind, form, dropout"},
        {"\"beta1\":0.9", "\"momentum\":0.9",
         "r: train.optimizer.momentum: lion has no momentum; expected one of name, lr, weight_decay, beta1, beta2"},
        {"\"beta1\":0.9", "\"beta1\":1", "r: train.optimizer.beta1: found 1; expected a number of at least 0 and below 1"},
        {"\"lr\":0.002", "\"lr\":0", "r: train.optimizer.lr: found 0; expected a number above 0 and at most 1000"},
        {"\"lr\":0.002", "\"lr\":{}", "r: train.optimizer.lr: found an object; expected a number above 0 and at most 1000"},
        {"\"lr\":0.002", "\"lr\":{\"value\":1}", "r: train.optimizer.lr: found an object; expected a number above 0 and at most 1000"},
        {"\"warmup\":0.05", "\"warmup\":2", "r: train.schedule.warmup: found 2; expected a number from 0 to 1"},
        {"\"warmup\":0.05", "\"decay\":0.05", "r: train.schedule.decay: cosine has no decay; expected one of name, warmup"},
        {"\"seed\":0", "\"seed\":-1", "r: seed: found -1; expected an integer from 0 to 9223372036854775807"},
        {"\"model\":{", "\"model\":[],\"models\":{", "r: model: found an array; expected an object"},
        {"\"version\":1", "\"version\":2", "r: version: found 2; expected 1"},
        {",\"version\":1", "", "r: version: missing"},
        {DIGEST, "CA3", "r: data.digest: found \"CA3\"; expected 64 lower-case hexadecimal digits"},
        {DIGEST, "", "r: data: found a name or a digest alone; expected both, or both empty"},
        {"fashion-mnist", "../mnist",
         "r: data.name: found \"../mnist\"; expected a name of at most 63 letters, digits, '-', '_' and '.', the first a letter or digit"},
        {"\"examples\":500", "\"examples\":55001", "r: 55001 examples are more than fashion-mnist's 60000 less 5000 for validation"},
        {"{\"data\"", "{\"seed\":1,\"data\"", "r:1:257: duplicate object key near '\"seed\"'"},
        {"{\"data\"", "{,\"data\"", "r:1:2: string or '}' expected near ','"},
    };
    check_wrongs(golden_lion, wrongs, sizeof wrongs / sizeof *wrongs);
}

static void wrong_simulations_are_refused(void **state) {
    (void)state;
    static const Wrong wrongs[] = {
        {"\"E\":1.69,", "", "r: trainer.law.E: missing"},
        {"\"E\":1.69", "\"E\":-1", "r: trainer.law.E: found -1; expected a number from 0 to 1000000"},
        {"\"E\":1.69", "\"C\":1.69", "r: trainer.law.C: unknown key; expected one of E, A, alpha, B, beta"},
        {"\"kind\":\"simulated\",", "", "r: trainer.law.E: builtin has no law; expected one of kind"},
        {"\"best\":0.001,", "", "r: trainer.tuning.lr has best or curvature alone; expected both, or neither"},
        {"\"best\":0.001", "\"best\":0", "r: trainer.tuning.lr.best: found 0; expected a number above 0 and at most 1000"},
        {"\"law\":{", "\"law\":1,\"laws\":{", "r: trainer.law: found 1; expected an object"},
    };
    check_wrongs(golden_simulated, wrongs, sizeof wrongs / sizeof *wrongs);
}

static void what_is_no_run_at_all_is_refused(void **state) {
    (void)state;
    static char large[16 * RUN_SPEC_MAX + 1];
    memset(large, ' ', sizeof large);
    static const char *const texts[] = {"", "[]", "1", "null", "{}", "[[[[[[[[", "{\"version\":1}", "\xff"};
    Run run;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        Error error = {0};
        assert_int_equal(run_parse(&run, texts[i], strlen(texts[i]), "r", &error), SWEEP_INVALID);
        assert_memory_equal(error.text, "r:", 2);
    }
    Error error = {0};
    assert_int_equal(run_parse(&run, large, sizeof large, "r", &error), SWEEP_INVALID);
    assert_string_equal(error.text, "r: found 131073 bytes; expected at most 131072");
}

/* Every text that is one byte away from a run is a run or an error, and so is every prefix. */
static void check_mutations(const char *whole) {
    static const char bytes[] = {'\0', '"', '{', '}', '[', ',', ':', '0', '9', '-', 'e', '\\', '\n', (char)0xff};
    size_t size = strlen(whole);
    char *text = malloc(size);
    assert_non_null(text);
    size_t good = 0, bad = 0;
    for (size_t i = 0; i < size; i++) {
        for (size_t j = 0; j < sizeof bytes; j++) {
            Run run;
            Error error = {0};
            memcpy(text, whole, size);
            text[i] = bytes[j];
            int result = run_parse(&run, text, size, "r", &error);
            assert_true(result == 0 || result == SWEEP_INVALID);
            *(result == 0 ? &good : &bad) += 1;
            assert_int_equal(result == 0, error.text[0] == '\0');
        }
        Run run;
        Error error = {0};
        assert_int_equal(run_parse(&run, whole, i, "r", &error), SWEEP_INVALID);
    }
    assert_true(good > 0 && bad > good);
    free(text);
}

static void mutated_runs_never_break_the_parser(void **state) {
    (void)state;
    Run run = run_lion();
    Buffer text;
    check_mutations(golden_lion);
    run.model.dropout = 0.5;
    run.init_head = HEAD_FRESH;
    run.init = (RunFile){"/w", DIGEST};
    run.test = (TestSettings){.crops = 3, .augmentation = {.padding = 2, .flip = 1}, .mean = MEAN_SOFTMAX, .real = {"/r", DIGEST}};
    format(&run, &text);
    check_round_trip(text.data);
    check_mutations(text.data);
    buffer_deinit(&text);
}

/* ---- settings by name ---- */

/* Values that an object of the text holds, at any depth, and items of `eval`. */
static size_t count_values(const char *text) {
    size_t count = 0;
    bool quoted = false;
    for (const char *at = text; *at; at++) {
        quoted ^= *at == '"';
        count += !quoted && *at == ':' && at[1] != '{' && !(at[1] == '[' && at[2] == '{');
    }
    return count;
}

static bool find_setting(const Run *run, const char *wanted, Buffer *value) {
    char name[SETTING_NAME_MAX];
    for (size_t i = 0; buffer_clear(value), run_setting(run, i, name, value); i++)
        if (!strcmp(name, wanted))
            return true;
    return false;
}

/* Every value of the canonical text but its version has a name, no two the same, and what the text leaves out may have one too. */
static void check_settings(const Run *run) {
    char names[128][SETTING_NAME_MAX];
    size_t count = 0;
    Buffer text, value;
    format(run, &text);
    buffer_init(&value, RUN_SPEC_MAX);
    for (; run_setting(run, count, names[count], &value); count++) {
        assert_true(value.size > 0 && !value.failed);
        buffer_clear(&value);
        for (size_t i = 0; i < count; i++)
            assert_string_not_equal(names[i], names[count]);
    }
    assert_in_range(count, count_values(text.data) - 1, count_values(text.data) + 12 + 20 * run->transfer_count);
    buffer_deinit(&value);
    buffer_deinit(&text);
}

static void every_setting_has_a_name_of_its_own(void **state) {
    (void)state;
    Run lion = run_lion(), sgd = run_sgd(), simulated = run_simulated();
    check_settings(&lion);
    check_settings(&sgd);
    check_settings(&simulated);
    lion.augmentation = (Augmentation){.flip = 1, .padding = 4, .mixup = 0.8};
    lion.init = (RunFile){"/w", DIGEST};
    lion.test = (TestSettings){.crops = 3, .augmentation = {.scale = {0.5, 1}, .ratio = {1, 1}}, .real = {"/r", DIGEST}};
    lion.transfer_count = 1;
    lion.transfers[0] = (Transfer){.kind = TRANSFER_FINETUNE,
                                   .name = "c100",
                                   .data_name = "cifar-100",
                                   .data_digest = DIGEST,
                                   .classes = 100,
                                   .examples = 500,
                                   .epochs = 7,
                                   .batch = 8,
                                   .optimizer = {.kind = OPTIMIZER_SGD, .lr = 0.01},
                                   .augmentation = {.padding = 3}};
    check_settings(&lion);
    static const char *const values[][2] = {{"padding", "4"},
                                            {"flip", "\"true\""},
                                            {"test.flip", "\"false\""},
                                            {"test.scale", "[0.5,1]"},
                                            {"optimizer", "\"lion\""},
                                            {"model", "\"bmlp\""},
                                            {"dropout", "0"},
                                            {"init", "\"/w\""},
                                            {"finetune.c100.padding", "3"},
                                            {"finetune.c100.epochs", "7"}};
    Buffer value;
    buffer_init(&value, RUN_SPEC_MAX);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        if (!find_setting(&lion, values[i][0], &value))
            fail_msg("%s", values[i][0]);
        assert_string_equal(value.data, values[i][1]);
    }
    assert_false(find_setting(&lion, "momentum", &value));
    buffer_deinit(&value);
}

/* ---- what a run derives ---- */

static void evaluations_are_log_spaced_from_the_first_epoch_to_the_end(void **state) {
    (void)state;
    Run run = run_lion();
    int64_t steps[16];
    /* 500 examples in batches of 128: 3 steps an epoch, 60 in all; 3 x 20^(i/4) = 3, 6.34, 13.4, 28.4, 60. */
    const int64_t expected[] = {3, 6, 13, 28, 60};
    assert_int_equal(run_evaluation_steps(&run, steps, 16), 5);
    assert_memory_equal(steps, expected, sizeof expected);

    run.evaluations = 1;
    assert_int_equal(run_evaluation_steps(&run, steps, 16), 1);
    assert_int_equal(steps[0], 60);

    run.evaluations = 1000; /* at most the capacity, the last still at the end */
    assert_int_equal(run_evaluation_steps(&run, steps, 7), 7);
    assert_int_equal(steps[0], 3);
    assert_int_equal(steps[6], 60);

    run.epochs = 1; /* one epoch: all points fall on its end */
    assert_int_equal(run_evaluation_steps(&run, steps, 16), 1);
    assert_int_equal(steps[0], 3);
}

static void flops_are_those_of_arch(void **state) {
    (void)state;
    Run run = run_lion();
    Training training = run_training(&run);
    assert_int_equal(training.examples, 500);
    assert_int_equal(training.epochs, 20);
    assert_int_equal(training.batch, 128);
    assert_int_equal(training.optimizer, optimizer_flops(OPTIMIZER_LION));
    Flops flops = run_flops(&run);
    assert_true(flops.exact == 60.0 * (double)arch_step_flops(&run.model, 128, training.optimizer));
    assert_true(flops.gemm == 60.0 * (double)arch_step_gemm_flops(&run.model, 128));
    assert_true(flops.nd6 == 6.0 * (double)arch_params_total(&run.model) * 500 * 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_text_and_key_are_the_goldens),
        cmocka_unit_test(canonical_text_reads_back),
        cmocka_unit_test(every_setting_has_a_name_of_its_own),
        cmocka_unit_test(a_run_by_hand_is_the_same_run),
        cmocka_unit_test(each_setting_changes_the_key),
        cmocka_unit_test(wrong_runs_are_refused_with_their_field),
        cmocka_unit_test(wrong_simulations_are_refused),
        cmocka_unit_test(what_is_no_run_at_all_is_refused),
        cmocka_unit_test(mutated_runs_never_break_the_parser),
        cmocka_unit_test(evaluations_are_log_spaced_from_the_first_epoch_to_the_end),
        cmocka_unit_test(flops_are_those_of_arch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
