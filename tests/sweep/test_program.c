/* External programs as the sweep file states them: arithmetic, placeholders, what is in the key and what is not. */
#include "fixture.h"

#include <math.h>

static const char base[] =
    "version: 1\n"
    "name: test\n"
    "data: {inputs: 784, classes: 10, examples: 60000}\n"
    "model: {name: toy, expansion: 2}\n"
    "trainer: {kind: external, command: [\"prog\", \"-d{depth}\", \"{lr}\"], params: \"depth*width^2\", flops: \"6*params*examples\"}\n"
    "grid: {depth: [1, 2], width: [8, 16], examples: 500}\n"
    "train: {epochs: 3, batch: 10, optimizer: {name: sgd, lr: 0.5}}\n";

static void text_with(const char *was, const char *is, char *out, size_t capacity) {
    const char *at = *was ? strstr(base, was) : base + strlen(base);
    assert_non_null(at);
    int size = snprintf(out, capacity, "%.*s%s%s", (int)(at - base), base, is, at + strlen(was));
    assert_true(size > 0 && (size_t)size < capacity);
}

static Run first_run(const char *was, const char *is) {
    char text[4096];
    text_with(was, is, text, sizeof text);
    Sweep *sweep = sweep_good(text);
    Run *runs = sweep_all(sweep), run = runs[0];
    assert_true(sweep_is_external(sweep) && !sweep_is_plan_only(sweep) && !sweep_is_simulated(sweep));
    free(runs);
    sweep_free(sweep);
    return run;
}

static void check_message(const char *was, const char *is, const char *message) {
    char text[4096];
    Sweep *sweep = NULL;
    Error error = {0};
    text_with(was, is, text, sizeof text);
    assert_int_equal(sweep_parse(&sweep, text, strlen(text), "f", &error), SWEEP_INVALID);
    if (!strstr(error.text, message))
        fail_msg("expected \"%s\" in: %s", message, error.text);
}

/* The first run: depth 1, width 8, expansion 2, 784 inputs, 10 classes, 500 examples, 3 epochs, batch 10. */
static void arithmetic_has_its_value(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double value;
    } cases[] = {
        {"1 + 2 * 3", 7},
        {"(1 + 2) * 3", 9},
        {"2^3^2", 512},
        {"100 - -2^2 * 2", 108},
        {"1 / 4 * 8 + .5e1", 7},
        {"12 * depth * width^2 + inputs*width + width * classes", 12 * 64 + 784 * 8 + 80},
        {"expansion * examples * epochs / batch", 300},
        {"2 ^ -1 * 10", 5},
        {"((((((((((7))))))))))", 7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char is[128];
        snprintf(is, sizeof is, "flops: \"%s\"", cases[i].text);
        Run run = first_run("flops: \"6*params*examples\"", is);
        assert_true(fabs(run_flops(&run).exact / cases[i].value - 1) < 1e-15);
    }
}

static void sizes_come_from_the_program(void **state) {
    (void)state;
    char name[ARCH_NAME_MAX];
    Run run = first_run("", "");
    run_model(&run, name);
    assert_string_equal(name, "toy_1-Wi_8");
    assert_int_equal(run_params(&run), 64);
    assert_int_equal(run_params_body(&run), 0);
    assert_int_equal(run_steps(&run), 150);
    assert_true(run_flops(&run).exact == 6.0 * 64 * 500 && run_flops(&run).nd6 == 6.0 * 64 * 500 * 3);
    assert_true(run_flops(&run).paper == 0 && run_flops(&run).gemm == 0);
    run = first_run(", params: \"depth*width^2\", flops: \"6*params*examples\"", ", steps: 7");
    assert_int_equal(run_params(&run), 0);
    assert_true(run_flops(&run).exact == 0 && run_flops(&run).nd6 == 0);
    assert_int_equal(run_steps(&run), 7);
    assert_true(run_memory_bytes(&run) == RUN_MEMORY_MORE);
    run = first_run("grid:", "resources: {cpus: 3, memory: 5e9, gpus: 2}\ngrid:");
    assert_int_equal(run.resources.gpus, 2);
    assert_int_equal(run.resources.cpus, 3);
    assert_true(run_memory_bytes(&run) == 5e9);
}

static void wrong_arithmetic_names_its_column(void **state) {
    (void)state;
    static const char was[] = "\"depth*width^2\"";
    check_message(was, "\"6 * depht\"", "f:5:75: trainer.params: column 5 of the expression: expected depth, width, expansion, inputs");
    check_message(was, "\"6 *\"", "trainer.params: column 4 of the expression: expected a number, a name or '('");
    check_message(was, "\"(6\"", "column 3 of the expression: expected ')' or an operator");
    check_message(was, "\"6 6\"", "column 3 of the expression: expected an operator, not 6");
    check_message(was, "\"1..2\"", "column 1 of the expression: not a number: 1..2");
    check_message(was, "\"params\"", "params is for flops, beside trainer.params");
    check_message(was, "\"\"", "column 1 of the expression: expected a number");
    check_message(was, "[1]", "trainer.params: found a list; expected arithmetic in at most 255 characters");
    char deep[200] = "\"";
    memset(deep + 1, '(', 100);
    strcpy(deep + 101, "1\"");
    check_message(was, deep, "nested too deep");
    memset(deep + 1, '-', 100);
    check_message(was, deep, "nested too deep");
    check_message(", params: \"depth*width^2\", flops: \"6*params*examples\"", ", flops: params",
                  "params is for flops, beside trainer.params");
}

/* One corner of the grid is enough. */
static void values_that_cannot_be_are_refused(void **state) {
    (void)state;
    static const char was[] = "\"depth*width^2\"";
    check_message(was, "\"16 - width\"", "f:6:1: grid: params comes to 0 at depth 2, width 16, 500 examples; expected 1 or more");
    check_message(was, "\"depth - 1\"", "f:5:1: trainer: params comes to 0 at depth 1, width 8, 500 examples");
    check_message(was, "\"1 / (depth - 2)\"", "params comes to inf at depth 2");
    check_message(was, "\"10^19\"", "params comes to 1e+19");
    check_message(was, "\"(0-1)^0.5\"", "params comes to ");
}

static void placeholders_are_known(void **state) {
    (void)state;
    static const char was[] = "\"-d{depth}\"";
    check_message(was, "\"-d{dept}\"", "f:5:45: trainer.command[1]: expected spec, data, run_dir");
    check_message(was, "\"-d{dept}\"", "found \"dept\"");
    check_message(was, "\"{\"", "found a brace that opens no {name}; write {{ and }} for braces");
    check_message(was, "\"{depth\"", "found a brace that opens no {name}");
    check_message(was, "\"depth}\"", "found a brace that closes no {name}");
    check_message(was, "[x]", "trainer.command[1]: found a list; expected a list of 1 to 64 texts");
    check_message("[\"prog\", \"-d{depth}\", \"{lr}\"]", "prog", "trainer.command: found \"prog\"; expected a list");
    check_message("[\"prog\", \"-d{depth}\", \"{lr}\"]", "[]", "trainer.command: found a list; expected a list of 1 to 64");
    check_message("command: [\"prog\", \"-d{depth}\", \"{lr}\"], ", "", "trainer: command is missing");
    first_run(was, "\"{spec}{data}{run_dir}{threads}{steps}{width}{examples}{seed}{epochs}{batch}{optimizer}{momentum}{schedule}{{x}}\"");
}

static bool value_of(void *context, const char *name, Buffer *out) {
    return run_append_setting(context, name, out);
}

static void placeholders_are_filled_in(void **state) {
    (void)state;
    char reason[256];
    Run run = first_run("", "");
    Buffer text;
    buffer_init(&text, 256);
    assert_int_equal(command_expand("{{{depth}-{lr}}}{optimizer},{examples}{seed}", value_of, &run, &text, reason, sizeof reason), 0);
    assert_string_equal(text.data, "{1-0.5}sgd,5000");
    assert_int_equal(command_expand("{beta1}", value_of, &run, &text, reason, sizeof reason), 1); /* sgd has none */
    assert_non_null(strstr(reason, "\"beta1\""));
    buffer_deinit(&text);
}

static void keys_belong_to_their_trainer(void **state) {
    (void)state;
    check_message("name: toy", "name: toy, kind: bmlp", "model.kind: external has no model.kind");
    check_message("name: toy, ", "", "model: name is missing");
    check_message("name: toy, expansion: 2}\ntrainer: {kind: external", "kind: bmlp}\ntrainer: {kind: builtin",
                  "trainer.command: builtin has no command");
    check_message("params:", "directory: relative, params:", "trainer.directory: found \"relative\"; expected an absolute path");
    check_message("params:", "time_limit: 0, params:", "trainer.time_limit: found \"0\"");
    check_message(
        "grid: {depth: [1, 2], width: [8, 16], examples: 500}\n",
        "grid: {depth: [1, 2], width: [8, 16, 32]}\ndesign: {kind: isoflop, budgets: {from: 1e9, to: 1e10, points: 2}, sizes: 3}\n",
        "external trainer");
}

static void check_key(const char *was, const char *is, bool same) {
    Run run = first_run("", ""), other = first_run(was, is);
    char key[RUN_KEY_MAX], other_key[RUN_KEY_MAX], identified[RUN_KEY_MAX];
    Buffer text;
    buffer_init(&text, RUN_SPEC_MAX);
    assert_int_equal(run_key(&run, key, NULL), 0);
    assert_int_equal(run_key(&other, other_key, NULL), 0);
    assert_int_equal(run_identify(&other, &text, identified, NULL), 0);
    assert_string_equal(other_key, identified);
    assert_int_equal(strcmp(key, other_key) == 0, same);
    buffer_deinit(&text);
}

/* Limits may be moved without training anew; what decides numbers may not. */
static void limits_are_no_part_of_the_key(void **state) {
    (void)state;
    check_key("params:", "time_limit: 60, directory: /tmp, params:", true);
    check_key("grid:", "resources: {cpus: 2, memory: 1e9}\ngrid:", true);
    check_key("grid:", "resources: {gpus: 2}\ngrid:", true);
    check_key("params:", "version: 2, params:", false);
    check_key("\"{lr}\"", "\"{batch}\"", false);
    check_key("name: toy", "name: other", false);
}

static void the_text_reads_back(void **state) {
    (void)state;
    Run run = first_run("params:", "time_limit: 1.5, directory: /tmp/a b, version: v2, steps: 7, params:"), again;
    Buffer text, second;
    Error error = {0};
    strcpy(run.program.command, "[\"a \\\"b\\\"\",\"{depth}\"]");
    run.resources = (Resources){2, 3e9, 1};
    buffer_init(&text, RUN_SPEC_MAX);
    buffer_init(&second, RUN_SPEC_MAX);
    assert_int_equal(run_format(&run, &text, &error), 0);
    if (run_parse(&again, text.data, text.size, "r", &error) != 0)
        fail_msg("%s", error.text);
    assert_int_equal(run_format(&again, &second, &error), 0);
    assert_string_equal(text.data, second.data);
    assert_non_null(strstr(text.data, "\"resources\":{\"cpus\":2,\"gpus\":1,\"memory\":"));
    assert_non_null(strstr(
        text.data, "\"trainer\":{\"command\":[\"a \\\"b\\\"\",\"{depth}\"],\"directory\":\"/tmp/a b\",\"flops\":\"6*params*examples\","
                   "\"kind\":\"external\",\"params\":\"depth*width^2\",\"steps\":\"7\",\"time_limit\":1.5,\"version\":\"v2\"}"));
    buffer_deinit(&text);
    buffer_deinit(&second);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic_has_its_value),
        cmocka_unit_test(sizes_come_from_the_program),
        cmocka_unit_test(wrong_arithmetic_names_its_column),
        cmocka_unit_test(values_that_cannot_be_are_refused),
        cmocka_unit_test(placeholders_are_known),
        cmocka_unit_test(placeholders_are_filled_in),
        cmocka_unit_test(keys_belong_to_their_trainer),
        cmocka_unit_test(limits_are_no_part_of_the_key),
        cmocka_unit_test(the_text_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
