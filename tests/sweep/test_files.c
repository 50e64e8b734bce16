/* What a sweep names beside its data is refused before any run begins: labels of another test set, weights of another model. */
#include "fixture.h"

#include <math.h>

#include "sweepd/safetensors.h"

#include <unistd.h>

static char folder[64] = "/tmp/sweepd-files-XXXXXX";

static const char *place(const char *name) {
    static char paths[4][PATH_TEXT_MAX];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, PATH_TEXT_MAX, "%s/%s", folder, name);
    return path;
}

static int setup(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    unlink(place("labels"));
    unlink(place("weights"));
    return rmdir(folder);
}

/* So many images, each of the class. */
static void write_labels(int images, int class) {
    Buffer text;
    Error error = {0};
    buffer_init(&text, 1 << 20);
    for (int i = 0; i < images; i++)
        buffer_printf(&text, "%s[%d]", i ? "," : "[", class);
    buffer_append_text(&text, "]");
    assert_int_equal(file_write_atomic(place("labels"), text.data, text.size, 0600, &error), 0);
    buffer_deinit(&text);
}

static char *file_text(size_t *size) {
    FILE *file = fopen(place("weights"), "rb");
    char *bytes = malloc(1 << 20);
    assert_true(file != NULL && bytes != NULL);
    *size = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

/* Of a B-MLP of depth 1, expansion 4 on Fashion-MNIST. extra: a further tensor's name, or NULL. */
static void write_weights(int64_t width, int64_t classes, const char *extra) {
    static const float zeros[784 * 16];
    const SafetensorsEntry entries[] = {
        {"in.weight", 2, {width, 784}, zeros},
        {"in.bias", 1, {width, 1}, zeros},
        {"blocks.0.ln.weight", 1, {width, 1}, zeros},
        {"blocks.0.ln.bias", 1, {width, 1}, zeros},
        {"blocks.0.expand.weight", 2, {4 * width, width}, zeros},
        {"blocks.0.expand.bias", 1, {4 * width, 1}, zeros},
        {"blocks.0.contract.weight", 2, {width, 4 * width}, zeros},
        {"blocks.0.contract.bias", 1, {width, 1}, zeros},
        {"head.weight", 2, {classes, width}, zeros},
        {"head.bias", 1, {classes, 1}, zeros},
        {extra, 1, {3, 1}, zeros},
    };
    Error error = {0};
    assert_int_equal(safetensors_write(place("weights"), entries, extra ? 11 : 10, NULL, 0, &error), 0);
}

#define INIT "  init: weights\n"
#define REAL "test: {real: labels}\n"
#define ITEM "eval: [{kind: linear, data: fashion-mnist, test: {real: labels}}]\n"
#define ONE  "  depth: [1]\n  width: [8]\n  examples: [100]\n"

static int check(const char *grid, const char *train, const char *rest, Error *error) {
    char lines[512];
    Sweep *sweep;
    snprintf(lines, sizeof lines, TRAIN "%s", train);
    const char *text = sweep_text(grid, lines, rest);
    if (sweep_parse(&sweep, text, strlen(text), place("f.yaml"), error))
        fail_msg("%s", error->text);
    *error = (Error){0};
    int result = sweep_check_files(sweep, "f.yaml", error);
    sweep_free(sweep);
    return result;
}

static void expect_good(const char *grid, const char *train, const char *rest) {
    Error error = {0};
    if (check(grid, train, rest, &error))
        fail_msg("%s", error.text);
}

static void expect_refused(const char *grid, const char *train, const char *rest, const char *key, const char *message) {
    Error error = {0};
    char begin[64];
    assert_int_equal(check(grid, train, rest, &error), SWEEP_INVALID);
    snprintf(begin, sizeof begin, "f.yaml: %s: ", key);
    if (strncmp(error.text, begin, strlen(begin)) != 0 || !strstr(error.text, message) || !strstr(error.text, folder))
        fail_msg("expected \"%s... %s\", found \"%s\"", begin, message, error.text);
}

static void labels_are_the_test_sets(void **state) {
    (void)state;
    write_labels(10000, 9);
    expect_good(ONE, "", REAL);
    write_labels(9999, 9);
    expect_refused(ONE, "", REAL, "test.real", "lists of 9999 images; the test set has 10000");
    write_labels(10001, 9);
    expect_refused(ONE, "", REAL, "test.real", "the test set has no more images");
    write_labels(10000, 10);
    expect_refused(ONE, "", REAL, "test.real", "byte 2: a class that the data do not have; they have 10");
    expect_refused(ONE, "", ITEM, "eval[0].test.real", "byte 2: a class that the data do not have; they have 10");
    write_labels(10000, 9);
    expect_good(ONE, "", ITEM);
}

static void weights_are_every_runs(void **state) {
    (void)state;
    Error error = {0};
    static const char two[] = "  depth: [1]\n  width: [8, 16]\n  examples: [100]\n";
    write_weights(8, 10, NULL);
    expect_good(ONE, INIT, "");
    expect_refused(two, INIT, "", "train.init", "B_1-Wi_16 cannot start from it: ");
    expect_refused(two, INIT, "", "train.init", "the tensor in.weight is 8 x 784 in 2 dimensions; this model's is 16 x 784 in 2");
    expect_refused("  depth: [2]\n  width: [8]\n  examples: [100]\n", INIT, "", "train.init", "the tensor blocks.1.ln.weight is missing");
    write_weights(8, 10, "optimizer.momentum"); /* a checkpoint's */
    expect_good(ONE, INIT, "");
    write_weights(8, 10, "blocks.1.ln.weight");
    expect_refused(ONE, INIT, "", "train.init", "this model has no tensor blocks.1.ln.weight");
    write_weights(8, 5, NULL);
    expect_good(ONE, INIT "  init_head: fresh\n", "");
    expect_refused(ONE, INIT, "", "train.init", "the tensor head.weight is 5 x 8 in 2 dimensions; this model's is 10 x 8 in 2");
    expect_refused(ONE, INIT, "", "train.init", "B_1-Wi_8 cannot start from it, but could with init_head: fresh, which draws a new head: ");
    expect_refused("  depth: [1]\n  width: [16]\n  examples: [100]\n", INIT, "", "train.init", "B_1-Wi_16 cannot start from it: ");
    expect_refused(ONE "  init_head: [fresh, file]\n", INIT, "", "train.init", "the tensor head.weight is 5 x 8");
    assert_int_equal(file_write_atomic(place("weights"), "weights", 7, 0600, &error), 0);
    expect_refused(ONE, INIT, "", "train.init", "byte 7: the file ends inside its first number");
}

/* Values that are no numbers are found before any run begins, where they are taken. */
static void weights_are_numbers(void **state) {
    (void)state;
    size_t size;
    char expected[96];
    Error error = {0};
    write_weights(8, 10, NULL);
    char *bytes = file_text(&size);
    const size_t places[] = {size - 4 * (8 * 10 + 10) - 4 * 3, size - 4}; /* in blocks.0.contract.bias, in head.bias */
    for (size_t i = 0; i < 2; i++) {
        const float nan = NAN;
        memcpy(bytes + places[i], &nan, sizeof nan);
        assert_int_equal(file_write_atomic(place("weights"), bytes, size, 0600, &error), 0);
        snprintf(expected, sizeof expected, "byte %zu: the tensor %s: value %d is not finite", places[i],
                 i == 0 ? "blocks.0.contract.bias" : "head.bias", i == 0 ? 5 : 9);
        expect_refused(ONE, INIT, "", "train.init", expected);
        if (i == 0)
            expect_refused(ONE, INIT "  init_head: fresh\n", "", "train.init", expected);
        else
            expect_good(ONE, INIT "  init_head: fresh\n", "");
        expect_refused(ONE "  init_head: [fresh, file]\n", INIT, "", "train.init", expected);
        memset(bytes + places[i], 0, sizeof nan);
    }
    free(bytes);
}

/* Nothing is looked for that the file does not name, nor compared with sizes that nobody knows. */
static void what_is_not_known_is_not_refused(void **state) {
    (void)state;
    expect_good(ONE, "", "");
    write_labels(3, 1);
    Sweep *sweep;
    Error error = {0};
    static const char text[] = "version: 1\nname: test\ndata: {inputs: 784, classes: 10, examples: 1000}\nmodel: {kind: bmlp}\n"
                               "grid:\n" ONE "train:\n" TRAIN REAL;
    if (sweep_parse(&sweep, text, strlen(text), place("f.yaml"), &error))
        fail_msg("%s", error.text);
    assert_int_equal(sweep_check_files(sweep, "f.yaml", &error), 0);
    sweep_free(sweep);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_are_the_test_sets),
        cmocka_unit_test(weights_are_every_runs),
        cmocka_unit_test(weights_are_numbers),
        cmocka_unit_test(what_is_not_known_is_not_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
