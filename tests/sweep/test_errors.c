/* Every way to be wrong, and what is said about it: a place, a key, what was found, what is allowed. */
#include "fixture.h"

typedef struct Wrong {
    const char *was, *is; /* replaced in the base text; "" appends */
    const char *message;
} Wrong;

static const char base[] = "version: 1\n"
                           "name: test\n"
                           "data: {name: fashion-mnist, validation: 5000}\n"
                           "model: {kind: bmlp, expansion: 4}\n"
                           "grid:\n"
                           "  depth: [1, 2]\n"
                           "  width: [8, 16]\n"
                           "  examples: {from: 500, to: 55000, points: 8}\n"
                           "train:\n"
                           "  epochs: 20\n"
                           "  batch: 128\n"
                           "  optimizer: {name: lion, lr: {value: 2e-3, base_width: 32, power: -1}}\n"
                           "  schedule: {name: cosine, warmup: 0.05}\n"
                           "fit: {metric: test_error, methods: [parametric]}\n";

static void replace(const char *was, const char *is, char *out, size_t capacity) {
    const char *at = *was ? strstr(base, was) : base + strlen(base);
    assert_non_null(at);
    int size = snprintf(out, capacity, "%.*s%s%s", (int)(at - base), base, is, at + strlen(was));
    assert_true(size > 0 && (size_t)size < capacity);
}

static void check_all(const Wrong *wrongs, size_t count) {
    Sweep *sweep = NULL;
    Error error = {0};
    assert_int_equal(sweep_parse(&sweep, base, strlen(base), "f", &error), 0);
    sweep_free(sweep);
    for (size_t i = 0; i < count; i++) {
        char text[4096];
        replace(wrongs[i].was, wrongs[i].is, text, sizeof text);
        error.text[0] = '\0';
        sweep = (Sweep *)text;
        assert_int_equal(sweep_parse(&sweep, text, strlen(text), "f", &error), SWEEP_INVALID);
        assert_string_equal(error.text, wrongs[i].message);
        assert_null(sweep);
    }
}

#define CHECK(wrongs) check_all(wrongs, sizeof(wrongs) / sizeof *(wrongs))

static void wrong_values(void **state) {
    (void)state;
    static const Wrong wrongs[] = {
        {"version: 1", "version: 2", "f:1:10: version: found \"2\"; expected 1"},
        {"version: 1", "version:", "f:1:9: version: found nothing; expected 1"},
        {"[1, 2]", "[1, x]", "f:6:14: grid.depth[1]: found \"x\"; expected an integer from 1 to 1000"},
        {"[1, 2]", "[1, 1001]", "f:6:14: grid.depth[1]: found \"1001\"; expected an integer from 1 to 1000"},
        {"[1, 2]", "[1, 1.5]", "f:6:14: grid.depth[1]: found \"1.5\"; expected an integer from 1 to 1000"},
        {"[1, 2]", "[1, '2']", "f:6:14: grid.depth[1]: found the quoted text \"2\"; expected an integer from 1 to 1000"},
        {"[1, 2]", "[1, [2]]", "f:6:14: grid.depth[1]: found a list; expected an integer from 1 to 1000"},
        {"[1, 2]", "[1, 1]", "f:6:14: grid.depth[1]: found a value that is in the list already; expected each once"},
        {"[1, 2]", "[1, 1e0]", "f:6:14: grid.depth[1]: found a value that is in the list already; expected each once"},
        {"[1, 2]", "[]", "f:6:10: grid.depth: found a list of 0 values; expected 1 to 10000"},
        {"[1, 2]", "deep", "f:6:10: grid.depth: found \"deep\"; expected an integer from 1 to 1000, a list of them, or {from, to, points}"},
        {"[1, 2]", "", "f:6:9: grid.depth: found nothing; expected an integer from 1 to 1000, a list of them, or {from, to, points}"},
        {"[1, 2]", "\"a\\nb\\e[31m\\u0085c\"",
         "f:6:10: grid.depth: found the quoted text \"a?b?[31m?c\"; expected an integer from 1 to 1000, a list of them, or {from, to, "
         "points}"},
        {"kind: bmlp", "kind: cnn", "f:4:15: model.kind: found \"cnn\"; expected one of bmlp, smlp"},
        {"kind: bmlp", "kind: [bmlp]", "f:4:15: model.kind: found a list; expected one of bmlp, smlp"},
        {"warmup: 0.05", "warmup: 1.05", "f:13:36: train.schedule.warmup: found \"1.05\"; expected a number from 0 to 1"},
        {"warmup: 0.05", "warmup: .nan", "f:13:36: train.schedule.warmup: found \".nan\"; expected a number from 0 to 1"},
        {"name: test", "name: a/b",
         "f:2:7: name: found \"a/b\"; expected a name of at most 63 letters, digits, '-', '_' and '.', the first a letter or digit"},
        {"epochs: 20", "epochs: [20, 40]",
         "f:10:11: train.epochs: found a list; expected an integer from 1 to 1000000; a list goes under grid"},
        {"batch: 128", "batch: 128\n  precision: fp16", "f:12:14: train.precision: found \"fp16\"; expected one of fp32, bf16, auto"},
        {"batch: 128", "batch: 128\n  augment: {flip: yes}", "f:12:19: train.augment.flip: found \"yes\"; expected one of false, true"},
        {"batch: 128", "batch: 128\n  augment: {crop: {scale: 0.5}}",
         "f:12:27: train.augment.crop.scale: found \"0.5\"; expected a list of two numbers, from and to, each from 1e-06 to 1"},
        {"batch: 128", "batch: 128\n  augment: {crop: {scale: [1, 0.5]}}",
         "f:12:27: train.augment.crop.scale: found 1, then 0.5; expected the smaller number first: from, then to"},
        {"batch: 128", "batch: 128\n  augment: {crop: {scale: [2, 0.5]}}",
         "f:12:27: train.augment.crop.scale: found a list; expected a list of two numbers, from and to, each from 1e-06 to 1"},
        {"batch: 128", "batch: 128\n  augment: {crop: {scale: [0, 0.5]}}",
         "f:12:27: train.augment.crop.scale: found a list; expected a list of two numbers, from and to, each from 1e-06 to 1"},
        {"batch: 128", "batch: 128\n  augment: {crop: {scale: [0.1, 0.5], padding: 4}}",
         "f:9:1: train: train.augment.crop has padding and scale; expected one of them"},
        {"batch: 128", "batch: 128\n  augment: {crop: {ratio: [1, 2]}}",
         "f:9:1: train: train.augment.crop has ratio, but no scale; expected both"},
        {"batch: 128", "batch: 128\n  label_smoothing: 1",
         "f:12:20: train.label_smoothing: found \"1\"; expected a number of at least 0 and below 1"},
        {"model: {", "test: {crops: 3}\nmodel: {",
         "f:4:1: test: test.crops is 3, but there is neither crop nor flip: each would be the image itself"},
        {"model: {", "model: 7 #{", "f:4:8: model: found \"7\"; expected a map of keys"},
    };
    CHECK(wrongs);
}

static void wrong_keys(void **state) {
    (void)state;
    static const Wrong wrongs[] = {
        {"expansion: 4", "expansoin: 4",
         "f:4:21: model.expansoin: unknown key; did you mean \"expansion\"? Expected one of kind, name, expansion, form, dropout"},
        {"expansion: 4", "heads: 4", "f:4:21: model.heads: unknown key; expected one of kind, name, expansion, form, dropout"},
        {"name: test", "nmae: test",
         "f:2:1: nmae: unknown key; did you mean \"name\"? Expected one of version, name, data, model, grid, train, test, trainer, "
         "resources, "
         "design, eval, tune, "
         "include, "
         "exclude, fit"},
        {"depth: [1, 2]", "depht: [1, 2]",
         "f:6:3: grid.depht: unknown key; did you mean \"depth\"? Expected one of depth, width, examples, seed, epochs, batch, "
         "optimizer.name, "
         "optimizer.lr, optimizer.weight_decay, optimizer.beta1, optimizer.beta2, optimizer.epsilon, optimizer.momentum, schedule.name, "
         "schedule.warmup, schedule.decay, label_smoothing, evaluations, precision, augment.crop.padding, augment.flip, augment.mixup, "
         "init_head"},
        {"batch: 128", "batches: 128",
         "f:11:3: train.batches: unknown key; did you mean \"batch\"? Expected one of epochs, batch, optimizer, schedule, label_smoothing, "
         "evaluations, precision, augment, init, init_head"},
        {"name: lion", "nam: lion",
         "f:12:15: train.optimizer.nam: unknown key; did you mean \"name\"? Expected one of name, lr, weight_decay, beta1, beta2, epsilon, "
         "momentum"},
        {"power: -1", "pow: -1",
         "f:12:61: train.optimizer.lr.pow: unknown key; did you mean \"power\"? Expected one of value, base_width, power, max"},
        {"points: 8", "point: 8", "f:8:36: grid.examples.point: unknown key; expected one of from, to, points"},
        {"name: test", "name: test\nname: again", "f:3:1: name: found a doubled key; it is given at line 2 already"},
        {"batch: 128", "epochs: 30", "f:11:3: train.epochs: found a doubled key; it is given at line 10 already"},
        {"depth: [1, 2]", "depth: [1, 2]\n  epochs: 9", "f:11:3: train.epochs: found a doubled key; it is given at line 7 already"},
        {"batch: 128", "batch: 128\n  lr: 1", "f:13:27: train.optimizer.lr: found a doubled key; it is given at line 12 already"},
        {"name: lion", "name: lion, momentum: 0.9",
         "f:12:27: train.optimizer.momentum: lion has no momentum; expected one of name, lr, weight_decay, beta1, beta2"},
        {"name: lion", "name: sgd, beta1: 0.9",
         "f:12:26: train.optimizer.beta1: sgd has no beta1; expected one of name, lr, weight_decay, momentum"},
        {"warmup: 0.05", "decay: 0.05", "f:13:28: train.schedule.decay: cosine has no decay; expected one of name, warmup"},
        {"kind: bmlp", "kind: smlp", "f:4:21: model.expansion: smlp has no expansion; expected one of kind, form, dropout"},
        {"depth: [1, 2]", "depth: [1, 2]\n  schedule.decay: [0.1, 0.2]",
         "f:7:3: grid.schedule.decay: cosine has no decay; expected one of name, warmup"},
    };
    CHECK(wrongs);
}

static void wrong_trainers(void **state) {
    (void)state;
#define LAW "law: {E: 1, A: 2, alpha: 0.3, B: 4, beta: 0.5}"
    static const Wrong wrongs[] = {
        {"", "trainer: simulated\n", "f:15:10: trainer: found \"simulated\"; expected a map of keys"},
        {"", "trainer: {kind: guess}\n", "f:15:17: trainer.kind: found \"guess\"; expected one of builtin, simulated, external"},
        {"", "trainer: {kind: simulated}\n", "f:15:1: trainer: law.E is missing; expected a number from 0 to 1000000"},
        {"", "trainer: {kind: simulated, law: {E: 1, A: 2, alpha: 0.3, B: 4}}\n",
         "f:15:28: trainer.law: beta is missing; expected a number from 0 to 10"},
        {"", "trainer: {kind: simulated, law: {E: -1}}\n", "f:15:37: trainer.law.E: found \"-1\"; expected a number from 0 to 1000000"},
        {"", "trainer: {kind: simulated, law: {e: 1}}\n", "f:15:34: trainer.law.e: unknown key; expected one of E, A, alpha, B, beta"},
        {"", "trainer: {" LAW "}\n", "f:15:17: trainer.law.E: builtin has no law; expected one of kind"},
        {"", "trainer: {noise: 0.1}\n", "f:15:11: trainer.noise: builtin has no noise; expected one of kind"},
        {"", "trainer: {kind: simulated, " LAW ", tuning: {lr: {best: 1}}}\n",
         "f:15:85: trainer.tuning.lr: curvature is missing; expected a number above 0 and at most 1000"},
        {"", "trainer: {kind: simulated, " LAW ", tuning: {lr: 1}}\n", "f:15:89: trainer.tuning.lr: found \"1\"; expected a map of keys"},
    };
    CHECK(wrongs);
}

/* What warms up while it decays has no peak. */
static void overlapping_schedules(void **state) {
    (void)state;
    static const Wrong wrongs[] = {
        {"name: cosine, warmup: 0.05", "name: wsd, warmup: 0.85",
         "f:13:33: train.schedule.warmup: a warm-up of 0.85 and a decay of 0.2 of the run overlap; expected at most 1 together"},
        {"name: cosine, warmup: 0.05", "name: wsd, warmup: 0.5, decay: 0.6",
         "f:13:33: train.schedule.warmup: a warm-up of 0.5 and a decay of 0.6 of the run overlap; expected at most 1 together"},
        {"  schedule: {name: cosine, warmup: 0.05}\n",
         "  schedule: {warmup: 0.5}\ninclude: [{depth: 1, width: 8, examples: 500, schedule: {name: wsd, decay: 0.75}}]\n",
         "f:14:11: include[0]: a warm-up of 0.5 and a decay of 0.75 of the run overlap; expected at most 1 together"},
    };
    CHECK(wrongs);
    Sweep *sweep = NULL;
    Error error = {0};
    const char *text =
        sweep_text("  depth: 1\n  width: 8\n  examples: 100\n  schedule.name: [linear, wsd]\n  schedule.warmup: [0, 0.9]\n", TRAIN, "");
    assert_int_equal(sweep_parse(&sweep, text, strlen(text), "f", &error), SWEEP_INVALID);
    assert_string_equal(
        error.text, "f:10:20: grid.schedule.warmup: a warm-up of 0.9 and a decay of 0.2 of the run overlap; expected at most 1 together");
    sweep_free(sweep_good(sweep_text("  depth: 1\n  width: 8\n  examples: 100\n  schedule.name: [linear, cosine]\n"
                                     "  schedule.warmup: [0, 0.9]\n",
                                     TRAIN, "")));
}

static void missing_keys(void **state) {
    (void)state;
    static const Wrong wrongs[] = {
        {"version: 1\n", "", "f:1:1: version: missing; expected 1"},
        {"name: test\n", "",
         "f:1:1: name is missing; expected a name of at most 63 letters, digits, '-', '_' and '.', the first a letter or digit"},
        {"data: {name: fashion-mnist, validation: 5000}\n", "",
         "f:1:1: data is missing; expected {name}, {pack}, or {inputs, classes, examples}"},
        {"data: {name: fashion-mnist, validation: 5000}", "data: {validation: 5000}",
         "f:3:1: data: name is missing; expected the name of a data set, a pack, or inputs, classes and examples"},
        {"name: fashion-mnist", "inputs: 12, classes: 2",
         "f:3:1: data: name is missing; expected the name of a data set, a pack, or inputs, classes and examples"},
        {"kind: bmlp, ", "", "f:4:1: model: kind is missing; expected one of bmlp, smlp"},
        {"  depth: [1, 2]\n", "", "f:5:1: grid: depth is missing; expected an integer from 1 to 1000"},
        {"  epochs: 20\n", "", "f:9:1: train: epochs is missing; expected an integer from 1 to 1000000, here or under grid"},
        {"name: lion, ", "", "f:12:3: train.optimizer: name is missing; expected one of lion, adamw, sgd, here or under grid"},
        {", power: -1", "", "f:12:31: train.optimizer.lr: power is missing; a rule is {value, base_width, power, max}"},
        {", points: 8", "", "f:8:13: grid.examples: points is missing; expected {from, to, points}"},
        {"from: 500, ", "", "f:8:13: grid.examples: from is missing; expected {from, to, points}"},
    };
    CHECK(wrongs);
}

static void wrong_data_and_sizes(void **state) {
    (void)state;
    static const Wrong wrongs[] = {
        {"fashion-mnist", "mnist",
         "f:3:14: data.name: found \"mnist\"; expected a data set that is known: fashion-mnist, one that 'sweepctl data fetch' brings: "
         "cifar10, cifar100, stl10, tiny-imagenet, or a pack that 'sweepctl data pack' made in this home; to plan without it, give inputs, "
         "classes and examples too"},
        {"validation: 5000", "inputs: 5", "f:3:37: data.inputs: found 5, where fashion-mnist has 784"},
        {"{name: fashion-mnist, validation: 5000}", "{name: cifar10, examples: 60000}",
         "f:3:33: data.examples: found 60000, where CIFAR-10 has 50000"},
        {"validation: 5000", "validation: 60000",
         "f:3:41: data.validation: found 60000; expected at most 59999: fashion-mnist has 60000 examples"},
        {"55000", "55001",
         "f:8:29: grid.examples.to: found 55001; expected at most 55000: fashion-mnist has 60000 examples, 5000 of them for validation"},
        {"{from: 500, to: 55000, points: 8}", "[1, 60000]",
         "f:8:17: grid.examples[1]: found 60000; expected at most 55000: fashion-mnist has 60000 examples, 5000 of them for validation"},
        {"name: fashion-mnist, validation: 5000", "inputs: 12, classes: 2, examples: 54999",
         "f:8:29: grid.examples.to: found 55000; expected at most 54999: the data has 54999 examples, 0 of them for validation"},
        {"from: 500", "from: 0", "f:8:20: grid.examples.from: found \"0\"; expected an integer from 1 to 1000000000000"},
        {"from: 500", "from: 55000", "f:8:31: grid.examples.to: found \"55000\", not above from; expected a larger value"},
        {"points: 8", "points: 1", "f:8:44: grid.examples.points: found \"1\"; expected an integer from 2 to 10000"},
        {"points: 8", "points: 10001", "f:8:44: grid.examples.points: found \"10001\"; expected an integer from 2 to 10000"},
        {"depth: [1, 2]", "depth: [1, 2]\n  seed: {from: -1, to: 9, points: 3}",
         "f:7:16: grid.seed.from: found \"-1\"; expected an integer from 0 to 9223372036854775807"},
        {"depth: [1, 2]", "depth: [1, 2]\n  optimizer.weight_decay: {from: 0, to: 0.1, points: 3}",
         "f:7:34: grid.optimizer.weight_decay.from: found \"0\"; expected a number above 0 and at most 1000"},
        {"depth: [1, 2]", "depth: [1, 2]\n  precision: {from: 1, to: 2, points: 3}",
         "f:7:14: grid.precision: found a map; expected one of fp32, bf16, auto, or a list of them"},
        {"[8, 16]", "{from: 1, to: 10000, points: 10000}\n  seed: {from: 1000000, to: 9000000, points: 10000}\n  evaluations: [1, 2]",
         "f:5:1: grid: found 1118720000 cells; expected at most 10000000"},
        {"metric: test_error", "metric: tset_error",
         "f:14:15: fit.metric: found \"tset_error\"; expected one of test_error, test_loss, test_top5_error, validation_error, "
         "validation_loss, validation_top5_error, train_error, train_loss, train_top5_error"},
        {"[parametric]", "parametric",
         "f:14:36: fit.methods: found \"parametric\"; expected a list of one or more of envelope, isoflop, parametric, vpnls, power"},
        {"[parametric]", "[isoflop, isoflop]",
         "f:14:46: fit.methods[1]: found \"isoflop\"; expected a list of one or more of envelope, isoflop, parametric, vpnls, power, each "
         "once"},
        {"[parametric]", "[]",
         "f:14:36: fit.methods: found a list; expected a list of one or more of envelope, isoflop, parametric, vpnls, power"},
    };
    CHECK(wrongs);
}

static void a_validation_metric_needs_validation_examples(void **state) {
    (void)state;
    Sweep *sweep = NULL;
    Error error = {0};
    const char *text = sweep_text(GRID, TRAIN, "fit: {metric: validation_error}\n");
    assert_int_equal(sweep_parse(&sweep, text, strlen(text), "f", &error), SWEEP_INVALID);
    assert_string_equal(error.text,
                        "f:13:15: fit.metric: found \"validation_error\", but data.validation is 0; expected a metric of train or "
                        "test, or examples for validation");
}

static void wrong_cells(void **state) {
    (void)state;
    static const Wrong wrongs[] = {
        {"", "exclude: {depth: 1}\n", "f:15:10: exclude: found a map; expected a list of cells, each a map of grid keys"},
        {"", "exclude: [1]\n", "f:15:11: exclude[0]: found \"1\"; expected a map of keys"},
        {"", "exclude: [{}]\n", "f:15:11: exclude[0]: found no key; expected one grid key or more"},
        {"", "exclude: [{depth: 3}]\n", "f:15:19: exclude[0].depth: found \"3\"; expected a value that the grid has"},
        {"", "exclude: [{depth: [1, 3]}]\n", "f:15:23: exclude[0].depth[1]: found \"3\"; expected a value that the grid has"},
        {"", "exclude: [{depth: []}]\n", "f:15:19: exclude[0].depth: found an empty list; expected a value or more"},
        {"", "exclude: [{epochs: 30}]\n", "f:15:20: exclude[0].epochs: found \"30\"; expected a value that the grid has"},
        {"", "exclude: [{lr: 2e-3}]\n", "f:15:16: exclude[0].lr: found \"2e-3\"; expected a value that the grid has"},
        {"", "exclude: [{depth: x}]\n", "f:15:19: exclude[0].depth: found \"x\"; expected an integer from 1 to 1000"},
        {"", "exclude: [{depth: [1, 2]}]\n", "f:15:1: exclude: found every cell excluded; expected one run or more"},
        {"", "include: [{depth: 3}]\n", "f:15:11: include[0]: width is missing; the grid has 2 values of it, so the cell must say which"},
        {"", "include: [{depth: [1], width: 8, examples: 500}]\n",
         "f:15:19: include[0].depth: found a list; expected an integer from 1 to 1000"},
        {"", "include: [{depth: 1, width: 8, examples: 55001}]\n",
         "f:15:42: include[0].examples: found 55001; expected at most 55000: fashion-mnist has 60000 examples, 5000 of them for "
         "validation"},
        {"", "include: [{depth: 1, width: 8, examples: 500, optimizer.momentum: 0.5}]\n",
         "f:15:47: include[0].optimizer.momentum: lion has no momentum; expected one of name, lr, weight_decay, beta1, beta2"},
        {"", "include: [{depth: 1, depth: 2}]\n", "f:15:22: include[0].depth: found a doubled key; it is given at line 15 already"},
        {"", "include: [{depth: 1, width: 8, examples: 500, lr: {value: 1}}]\n",
         "f:15:51: include[0].lr: base_width is missing; a rule is {value, base_width, power, max}"},
    };
    CHECK(wrongs);
}

static void wrong_yaml(void **state) {
    (void)state;
    static const Wrong wrongs[] = {
        {"depth: [1, 2]", "depth: &d [1, 2]",
         "f:6:10: grid.depth: found an anchor (&); expected values written out: a sweep file has no references"},
        {"depth: [1, 2]", "depth: *d",
         "f:6:10: grid.depth: found an alias (*); expected values written out: a sweep file has no references"},
        {"depth: [1, 2]", "<<: {depth: 1}", "f:6:3: grid: found a merge key; expected every cell's keys written out"},
        {"depth: [1, 2]", "depth: !!int 1", "f:6:10: grid.depth: found a tag (!); expected a plain value: the key decides its type"},
        {"depth: [1, 2]", "? [1, 2]\n  : 3", "f:6:5: grid: found a list or map as a key; expected a word"},
        {"depth: [1, 2]", "depth: \"a\\0b\"", "f:6:10: grid.depth: found a NUL character in a text"},
        {"[1, 2]", "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]",
         "f:6:24: grid.depth[0][0][0][0][0][0][0][0][0][0][0][0][0]: found lists or maps nested "
         "deeper than 16 levels"},
        {"", "---\nversion: 1\n", "f:15:1: found a second document; expected one in a file"},
        {"[1, 2]", "[1, 2", "f:7:8: not YAML: did not find expected ',' or ']' while parsing a flow sequence"},
        {"  depth: [1, 2]", "\tdepth: [1, 2]", "f:6:1: found a tab; YAML is indented by spaces"},
        {"[1, 2]", "[1,\t\x01]", "f:6:14: not YAML: control characters are not allowed"},
        {"[1, 2]", "[1, \xc3(]", "f:6:15: not YAML: invalid trailing UTF-8 octet"},
    };
    CHECK(wrongs);
}

static void refused(const char *text, size_t size, const char *message) {
    Sweep *sweep = NULL;
    Error error = {0};
    assert_int_equal(sweep_parse(&sweep, text, size, "f", &error), SWEEP_INVALID);
    assert_string_equal(error.text, message);
    assert_null(sweep);
}

static void what_is_no_sweep_at_all(void **state) {
    (void)state;
    static const char none[] = "f:1:1: found no keys; expected a map of version, name, data, model, grid, train";
    refused("", 0, none);
    refused("# nothing\n", 10, none);
    refused("- 1\n", 4, none);
    refused("quickstart", 10, none);
    char *large = malloc(SWEEP_FILE_MAX + 1);
    assert_non_null(large);
    memset(large, '#', SWEEP_FILE_MAX + 1);
    refused(large, SWEEP_FILE_MAX + 1, "f: found 1048577 bytes; expected at most 1048576");
    refused(large, SWEEP_FILE_MAX, none);
    free(large);
}

/* A bomb of references would need them; lists alone are bounded by the file's size and the number of nodes. */
static void large_files_stay_small_in_memory(void **state) {
    (void)state;
    Buffer text;
    buffer_init(&text, SWEEP_FILE_MAX);
    buffer_append_text(&text, "version: 1\nname: [");
    for (int i = 0; i < 200001; i++)
        buffer_append_text(&text, "1,");
    buffer_append_text(&text, "1]\n");
    refused(text.data, text.size, "f:2:400002: name: found more values than a sweep file may have; expected at most 200000");
    buffer_clear(&text);
    buffer_append_text(&text, "version: 1\n");
    for (int i = 0; i < 201; i++)
        buffer_printf(&text, "k%d: 1\n", i);
    refused(text.data, text.size, "f:201:1: found more than 200 keys in one map");
    buffer_clear(&text);
    for (int i = 0; i < 100000; i++)
        buffer_append_text(&text, "[");
    refused(text.data, text.size,
            "f:1:17: [0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]: found lists or maps nested deeper than 16 levels");
    buffer_deinit(&text);
}

/* The product overflows 64 bits; nothing is made before it is refused. */
static void a_grid_of_any_size_is_refused_by_its_count(void **state) {
    (void)state;
    static const char range[] = "{from: 1, to: 30000, points: 10000}";
    char grid[1024];
    snprintf(grid, sizeof grid,
             "  depth: 1\n  width: 8\n  examples: %s\n  seed: %s\n  batch: %s\n  epochs: %s\n"
             "  optimizer.weight_decay: {from: 1e-9, to: 1, points: 10000}\n  label_smoothing: {from: 1e-9, to: 0.5, points: 10000}\n",
             range, range, range, range);
    const char *text = sweep_text(grid, "  optimizer: {name: lion, lr: 1}\n", "");
    Sweep *sweep = NULL;
    Error error = {0};
    assert_int_equal(sweep_parse(&sweep, text, strlen(text), "f", &error), SWEEP_INVALID);
    assert_string_equal(error.text, "f:5:1: grid: found about 7.94e+22 cells; expected at most 10000000");
}

static void a_model_that_cannot_be_counted_is_refused(void **state) {
    (void)state;
    const char *text = sweep_text("  depth: [1, 1000]\n  width: [1, 65536]\n  examples: 100\n",
                                  "  epochs: 1\n  batch: [1]\n  optimizer: {name: lion, lr: 1}\n", "");
    Sweep *sweep = NULL;
    Error error = {0};
    assert_int_equal(sweep_parse(&sweep, text, strlen(text), "f", &error), SWEEP_INVALID);
    text = sweep_text("  depth: [1, 1000]\n  width: [1, 65536]\n  examples: 100\n  batch: [1, 1000000]\n",
                      "  epochs: 1\n  optimizer: {name: lion, lr: 1}\n", "");
    error.text[0] = '\0';
    assert_int_equal(sweep_parse(&sweep, text, strlen(text), "f", &error), SWEEP_INVALID);
    assert_string_equal(error.text,
                        "f:5:1: grid: a step of 1000000 examples through 34360249221130 parameters is more FLOPs than can be counted");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_values),
        cmocka_unit_test(wrong_keys),
        cmocka_unit_test(wrong_trainers),
        cmocka_unit_test(overlapping_schedules),
        cmocka_unit_test(missing_keys),
        cmocka_unit_test(wrong_data_and_sizes),
        cmocka_unit_test(a_validation_metric_needs_validation_examples),
        cmocka_unit_test(wrong_cells),
        cmocka_unit_test(wrong_yaml),
        cmocka_unit_test(what_is_no_sweep_at_all),
        cmocka_unit_test(large_files_stay_small_in_memory),
        cmocka_unit_test(a_grid_of_any_size_is_refused_by_its_count),
        cmocka_unit_test(a_model_that_cannot_be_counted_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
