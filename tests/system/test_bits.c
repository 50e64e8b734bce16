/* The same run on the same machine with the same backend and threads: the same weights, byte for byte, in another process. */
#include "harness.h"

#include "sweepd/model.h"

#include <string.h>

typedef struct Setting {
    const char *precision, *backend, *threads;
    BackendKind kind;
} Setting;

enum { SETTINGS = 6 };

static Setting settings[SETTINGS] = {
    {"fp32", "openblas", "1", BACKEND_OPENBLAS}, {"fp32", "openblas", "2", BACKEND_OPENBLAS},  {"fp32", "onednn", "1", BACKEND_ONEDNN},
    {"fp32", "onednn", "2", BACKEND_ONEDNN},     {"bf16", "onednn", "1", BACKEND_ONEDNN_BF16}, {"bf16", "onednn", "2", BACKEND_ONEDNN_BF16},
};

/* Products that are large enough for several threads, and small ones. */
static void write_spec(const Setting *setting, char spec[PATH_TEXT_MAX]) {
    char text[1024];
    snprintf(text, sizeof text,
             "version: 1\nname: bits\ndata: {name: fashion-mnist, validation: 1000}\nmodel: {kind: bmlp, expansion: 4}\n"
             "grid: {depth: [2], width: [128], examples: [500], seed: [0]}\n"
             "train: {epochs: 3, batch: 250, precision: %s, evaluations: 1, optimizer: {name: lion, lr: 1.0e-4, weight_decay: 0.1}}\n",
             setting->precision);
    site_write("bits.yaml", text);
    site_path(spec, "bits.yaml");
}

static void train(const Setting *setting, const char *time, char weights[PATH_TEXT_MAX]) {
    char spec[PATH_TEXT_MAX], out[PATH_TEXT_MAX], name[64];
    write_spec(setting, spec);
    snprintf(name, sizeof name, "%s-%s-%s-%s", setting->precision, setting->backend, setting->threads, time);
    site_path(out, name);
    assert_int_equal(path_format(weights, NULL, "%s.safetensors", out), 0);
    json_t *result = site_json("sweep-worker", "train", spec, "--out", out, "--save", weights, "--threads", setting->threads, "--backend",
                               setting->backend, "--json", NULL);
    const char *backend = json_string_value(json_object_get(result, "backend"));
    assert_memory_equal(backend, setting->backend, strlen(setting->backend));
    assert_int_equal(strstr(backend, ", bf16") != NULL, setting->kind == BACKEND_ONEDNN_BF16);
    assert_int_equal(json_integer_value(json_object_get(result, "threads")), atoi(setting->threads));
    json_decref(result);
}

static void test_same_bits(void **state) {
    const Setting *setting = *state;
    char once[PATH_TEXT_MAX], twice[PATH_TEXT_MAX];
    if (!backend_available(setting->kind))
        skip();
    train(setting, "once", once);
    train(setting, "twice", twice);
    site_assert_same_file(once, twice);
}

static void test_backend_is_one_of_two(void **state) {
    (void)state;
    char spec[PATH_TEXT_MAX], out[PATH_TEXT_MAX];
    write_spec(&settings[4], spec);
    site_path(out, "out");
    site_expect(2, "sweep-worker", "train", spec, "--out", out, "--backend", "mkl", NULL);
    site_expect(1, "sweep-worker", "train", spec, "--out", out, "--backend", "openblas", NULL); /* which has no bf16 */
}

int main(void) {
    struct CMUnitTest tests[SETTINGS + 1] = {[SETTINGS] = cmocka_unit_test(test_backend_is_one_of_two)};
    char names[SETTINGS][64];
    for (size_t i = 0; i < SETTINGS; i++) {
        snprintf(names[i], sizeof names[i], "same bits, %s, %s, threads: %s", settings[i].precision, settings[i].backend,
                 settings[i].threads);
        tests[i] = (struct CMUnitTest){names[i], test_same_bits, NULL, NULL, &settings[i]};
    }
    return cmocka_run_group_tests_name("bits", tests, site_set_up, site_tear_down);
}
