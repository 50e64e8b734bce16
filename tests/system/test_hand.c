/* sweep-worker by itself: a run by hand, its weights, its going on after a signal; the rate; the command line. */
#include "harness.h"

#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char spec[PATH_TEXT_MAX], out[PATH_TEXT_MAX];

static void prepare(int epochs) {
    site_write_sweep("one.yaml", "one", "[32]", 2000, epochs);
    site_path(spec, "one.yaml");
    site_path(out, "out");
}

static json_t *read_result(const char *directory) {
    char path[PATH_TEXT_MAX];
    assert_int_equal(path_format(path, NULL, "%s/result.json", directory), 0);
    json_t *tree = json_load_file(path, 0, NULL);
    assert_non_null(tree);
    return tree;
}

static void test_trains_once(void **state) {
    (void)state;
    char points[PATH_TEXT_MAX];
    prepare(4);
    json_t *printed = site_json("sweep-worker", "train", spec, "--out", out, "--json", NULL), *kept = read_result(out);
    assert_true(json_equal(printed, kept));
    assert_string_equal(json_string_value(json_object_get(kept, "state")), "done");
    assert_int_equal(json_integer_value(json_object_get(kept, "steps")), 60);
    assert_int_equal(path_format(points, NULL, "%s/points.jsonl", out), 0);
    struct stat before, after;
    assert_int_equal(stat(points, &before), 0);
    Output again = site_run("sweep-worker", "train", spec, "--out", out, NULL);
    assert_int_equal(again.code, 0);
    assert_non_null(strstr(again.err, "finished"));
    assert_int_equal(stat(points, &after), 0);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    output_free(&again);
    json_decref(printed);
    json_decref(kept);
}

static bool has_checkpoint(void *context) {
    (void)context;
    char path[PATH_TEXT_MAX];
    assert_int_equal(path_format(path, NULL, "%s/checkpoint.safetensors", out), 0);
    return file_exists(path);
}

/* The same weights come out of a run that was stopped twice, once by a signal that nothing can catch. */
static void test_goes_on_after_signals(void **state) {
    (void)state;
    char whole[PATH_TEXT_MAX], a[PATH_TEXT_MAX], b[PATH_TEXT_MAX];
    prepare(400);
    site_path(whole, "whole");
    site_path(a, "a.safetensors");
    site_path(b, "b.safetensors");
    const int signals[] = {SIGTERM, SIGKILL}, codes[] = {1, -SIGKILL};
    for (size_t i = 0; i < 2; i++) {
        pid_t pid = site_start("sweep-worker", "train", spec, "--out", out, "--save", b, NULL);
        site_until(has_checkpoint, NULL, "a checkpoint is there");
        assert_int_equal(kill(pid, signals[i]), 0);
        assert_int_equal(site_wait(pid), codes[i]);
        assert_false(file_exists(b));
    }
    site_expect(0, "sweep-worker", "train", spec, "--out", out, "--save", b, NULL);
    site_expect(0, "sweep-worker", "train", spec, "--out", whole, "--save", a, NULL);
    site_assert_same_file(a, b);
    assert_false(has_checkpoint(NULL));
    json_t *left = read_result(out), *right = read_result(whole);
    assert_true(json_equal(json_object_get(left, "metrics"), json_object_get(right, "metrics")));
    json_decref(left);
    json_decref(right);
}

static double final_error(const char *directory) {
    json_t *result = read_result(directory);
    double error = json_number_value(json_object_get(json_object_get(result, "metrics"), "train_error"));
    json_decref(result);
    return error;
}

static double first_error(const char *directory) {
    char path[PATH_TEXT_MAX];
    Buffer text;
    assert_int_equal(path_format(path, NULL, "%s/points.jsonl", directory), 0);
    buffer_init(&text, 1 << 24);
    assert_int_equal(file_read(path, text.max, &text, NULL), 0);
    json_t *point = json_loads(text.data, JSON_DISABLE_EOF_CHECK, NULL);
    double error = json_number_value(json_object_get(json_object_get(point, "metrics"), "train_error"));
    json_decref(point);
    buffer_deinit(&text);
    return error;
}

static void test_starts_from_weights(void **state) {
    (void)state;
    char weights[PATH_TEXT_MAX], second[PATH_TEXT_MAX], wrong[PATH_TEXT_MAX];
    prepare(20);
    site_path(weights, "w.safetensors");
    site_path(second, "second");
    site_path(wrong, "wrong.yaml");
    site_expect(0, "sweep-worker", "train", spec, "--out", out, "--save", weights, NULL);
    site_expect(0, "sweep-worker", "train", spec, "--out", second, "--init", weights, NULL);
    assert_true(first_error(second) < first_error(out)); /* it begins where the first ended */
    assert_true(first_error(second) < final_error(out) + 0.1);
    site_expect(1, "sweep-worker", "train", spec, "--out", second, NULL); /* the directory is of other weights */
    site_expect(0, "sweep-worker", "train", spec, "--out", second, "--init", weights, NULL);
    site_write_sweep("wrong.yaml", "wrong", "[16]", 2000, 1);
    site_path(second, "third");
    Output refused = site_run("sweep-worker", "train", wrong, "--out", second, "--init", weights, NULL);
    assert_int_equal(refused.code, 1);
    assert_non_null(strstr(refused.err, "w.safetensors"));
    output_free(&refused);
}

/* Told before anything is trained. */
static void test_saves_over_weights_alone(void **state) {
    (void)state;
    char weights[PATH_TEXT_MAX], notes[PATH_TEXT_MAX], link[PATH_TEXT_MAX], folder[PATH_TEXT_MAX];
    Buffer text;
    prepare(1);
    site_path(weights, "w.safetensors");
    site_path(notes, "notes.txt");
    site_path(link, "link.safetensors");
    site_path(folder, "folder");
    assert_int_equal(mkdir(folder, 0755), 0);
    site_write("notes.txt", "not to be lost");
    assert_int_equal(symlink("w.safetensors", link), 0);
    site_expect(2, "sweep-worker", "train", spec, "--out", out, "--save", notes, NULL);
    site_expect(2, "sweep-worker", "train", spec, "--out", out, "--save", link, NULL);
    site_expect(2, "sweep-worker", "train", spec, "--out", out, "--save", folder, NULL);
    assert_false(file_exists(out));
    buffer_init(&text, PATH_TEXT_MAX);
    assert_int_equal(file_read(notes, text.max, &text, NULL), 0);
    assert_string_equal(text.data, "not to be lost");
    buffer_deinit(&text);
    site_expect(0, "sweep-worker", "train", spec, "--out", out, "--save", weights, NULL);
    site_path(out, "again");
    site_expect(0, "sweep-worker", "train", spec, "--out", out, "--save", weights, NULL);
    site_path(out, "linked");
    site_expect(2, "sweep-worker", "train", spec, "--out", out, "--save", link, NULL);
}

static void test_divergence_is_said(void **state) {
    (void)state;
    site_write("wild.yaml", "version: 1\nname: wild\ndata: {name: fashion-mnist, validation: 1000}\nmodel: {kind: bmlp, expansion: 2}\n"
                            "grid: {depth: [2], width: [16], examples: [500], seed: [0]}\n"
                            "train:\n  epochs: 200\n  batch: 32\n  optimizer: {name: sgd, lr: 1000}\n");
    site_path(spec, "wild.yaml");
    site_path(out, "out");
    Output output = site_run("sweep-worker", "train", spec, "--out", out, NULL);
    assert_int_equal(output.code, 0);
    assert_non_null(strstr(output.err, "diverged"));
    json_t *result = read_result(out);
    assert_string_equal(json_string_value(json_object_get(result, "state")), "diverged");
    json_decref(result);
    output_free(&output);
}

static void test_bad_usage_is_code_2(void **state) {
    (void)state;
    char two[PATH_TEXT_MAX], other[PATH_TEXT_MAX], missing[PATH_TEXT_MAX];
    prepare(1);
    site_expect(2, "sweep-worker", NULL);
    site_expect(2, "sweep-worker", "fly", NULL);
    site_expect(2, "sweep-worker", "train", NULL);
    site_expect(2, "sweep-worker", "train", spec, NULL);
    site_expect(2, "sweep-worker", "train", spec, "--out", out, "--threads", "none", NULL);
    site_expect(2, "sweep-worker", "rate", "--threads", "0", NULL);
    site_expect(2, "sweep-worker", "serve", "--url", "http://127.0.0.1:1", NULL);
    site_path(missing, "missing.json");
    site_expect(2, "sweep-worker", "train", missing, "--out", out, NULL);
    site_write_sweep("two.yaml", "two", "[8, 16]", 500, 1);
    site_path(two, "two.yaml");
    site_expect(2, "sweep-worker", "train", two, "--out", out, NULL);
    site_write("broken.json", "{\"version\":1,");
    site_path(other, "broken.json");
    site_expect(2, "sweep-worker", "train", other, "--out", out, NULL);
    site_expect(0, "sweep-worker", "train", spec, "--out", out, NULL);
    site_write_sweep("other.yaml", "other", "[8]", 500, 1);
    site_path(other, "other.yaml");
    site_expect(2, "sweep-worker", "train", other, "--out", out, NULL); /* the directory is another run's */
}

static void test_help_and_version(void **state) {
    (void)state;
    const char *const verbs[] = {"serve", "train", "rate", "bench"};
    site_expect(0, "sweep-worker", "--version", NULL);
    site_expect(0, "sweep-worker", "--help", NULL);
    for (size_t i = 0; i < 4; i++) {
        Output output = site_run("sweep-worker", verbs[i], "--help", NULL);
        assert_int_equal(output.code, 0);
        assert_non_null(strstr(output.out, verbs[i]));
        assert_string_equal(output.err, "");
        output_free(&output);
    }
}

static void test_bench_measures(void **state) {
    (void)state;
    const char *const precisions[] = {"fp32", "auto"}, *const rates[] = {"samples_per_second", "gflops", "gemm_gflops"};
    for (size_t i = 0; i < 2; i++) {
        json_t *bench = site_json("sweep-worker", "bench", "--depth", "2", "--width", "16", "--batch", "32", "--seconds", "0",
                                  "--precision", precisions[i], "--json", NULL);
        assert_int_equal(json_integer_value(json_object_get(bench, "schema_version")), 1);
        assert_int_equal(json_integer_value(json_object_get(bench, "width")), 16);
        assert_true(json_is_string(json_object_get(bench, "backend")));
        for (size_t j = 0; j < 3; j++)
            assert_true(json_real_value(json_object_get(bench, rates[j])) > 0);
        json_decref(bench);
    }
    site_expect(2, "sweep-worker", "bench", "--precision", "fp8", NULL);
    site_expect(2, "sweep-worker", "bench", "--width", "0", NULL);
    site_expect(2, "sweep-worker", "bench", "more", NULL);
}

static void test_rate_is_measured(void **state) {
    (void)state;
    json_t *rate = site_json("sweep-worker", "rate", "--json", NULL), *rates = json_object_get(rate, "rates");
    const int64_t widths[] = {8, 32, 128, 512};
    assert_int_equal(json_integer_value(json_object_get(rate, "schema_version")), 1);
    assert_int_equal(json_array_size(rates), 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(json_integer_value(json_object_get(json_array_get(rates, i), "width")), widths[i]);
        assert_true(json_number_value(json_object_get(json_array_get(rates, i), "flops_per_second")) > 1e6);
    }
    assert_true(json_number_value(json_object_get(rate, "evaluation_examples_per_second")) > 1);
    json_decref(rate);
}

/* What is measured at the end alone is printed under its name, too, and a count without decimals. */
static void test_prints_all_that_it_measured(void **state) {
    (void)state;
    site_write("eval.yaml", "version: 1\nname: eval\ndata: {name: fashion-mnist}\nmodel: {kind: bmlp}\n"
                            "grid: {depth: [1], width: [8], examples: [200], seed: [0]}\n"
                            "train: {epochs: 2, batch: 100, optimizer: {name: lion, lr: 1.0e-3}, evaluations: 2}\n"
                            "eval: [{kind: linear, data: fashion-mnist, examples: 100, epochs: 1}]\n");
    site_path(spec, "eval.yaml");
    site_path(out, "out");
    Output output = site_run("sweep-worker", "train", spec, "--out", out, NULL);
    assert_int_equal(output.code, 0);
    json_t *result = read_result(out), *value;
    const char *name;
    assert_true(json_is_number(json_object_get(json_object_get(result, "metrics"), "linear.fashion-mnist.flops")));
    json_object_foreach(json_object_get(result, "metrics"), name, value) {
        char text[64];
        const char *at = strstr(output.out, name);
        if (!at)
            fail_msg("%s is not in:\n%s", name, output.out);
        snprintf(text, sizeof text, strstr(name, "flops") ? " %.0f\n" : " %.4f", json_number_value(value));
        if (!strstr(output.out, text))
            fail_msg("%s:%s is not in:\n%s", name, text, output.out);
    }
    json_decref(result);
    output_free(&output);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, site_set_up, site_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_trains_once),
        CASE(test_prints_all_that_it_measured),
        CASE(test_goes_on_after_signals),
        CASE(test_starts_from_weights),
        CASE(test_saves_over_weights_alone),
        CASE(test_divergence_is_said),
        CASE(test_bad_usage_is_code_2),
        CASE(test_help_and_version),
        CASE(test_rate_is_measured),
        CASE(test_bench_measures),
    };
    return cmocka_run_group_tests_name("by hand", tests, NULL, NULL);
}
