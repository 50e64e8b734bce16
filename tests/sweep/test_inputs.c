/* Files that a run is made of, weights to start from and labels to measure by: named in a sweep file by a path that begins where it lies,
 * they are the run's by their bytes. */
#include "fixture.h"

#include <sys/stat.h>
#include <unistd.h>

static char here[64], there[64];

static const char *place(const char *folder, const char *name) {
    static char paths[4][PATH_TEXT_MAX];
    static int next;
    char *path = paths[next++ % 4];
    assert_int_equal(path_format(path, NULL, "%s/%s", folder, name), 0);
    return path;
}

static void put(const char *folder, const char *name, const char *text) {
    Error error = {0};
    assert_int_equal(file_write_atomic(place(folder, name), text, strlen(text), 0644, &error), 0);
}

static int folder_make(char path[64]) {
    char made[64] = "/tmp/sweepd-inputs-XXXXXX", *whole = mkdtemp(made) ? realpath(made, NULL) : NULL;
    bool good = whole && text_copy(path, 64, whole);
    free(whole);
    if (!good)
        return -1;
    put(path, "weights", "weights");
    put(path, "labels", "labels");
    return 0;
}

static int setup(void **state) {
    (void)state;
    return folder_make(here) || folder_make(there) || symlink(place(here, "weights"), place(there, "link"));
}

static int teardown(void **state) {
    (void)state;
    const char *const folders[] = {here, there}, *const names[] = {"weights", "labels", "link"};
    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < 3; j++)
            unlink(place(folders[i], names[j]));
        rmdir(folders[i]);
    }
    return 0;
}

#define INIT   "  init: weights\n"
#define LABELS "test: {real: labels}\n"
#define ITEM   "eval: [{kind: linear, data: fashion-mnist, test: {real: labels}}]\n"

static Run first_of(const char *folder, const char *train, const char *rest) {
    char lines[512];
    Sweep *sweep;
    Error error = {0};
    snprintf(lines, sizeof lines, "%s%s", TRAIN, train);
    const char *text = sweep_text(GRID, lines, rest);
    if (sweep_parse(&sweep, text, strlen(text), place(folder, "f.yaml"), &error))
        fail_msg("%s", error.text);
    Run *runs = sweep_all(sweep), run = runs[0];
    free(runs);
    sweep_free(sweep);
    return run;
}

static void paths_begin_where_the_file_lies(void **state) {
    (void)state;
    char digest[SHA256_HEX_MAX], absolute[PATH_TEXT_MAX + 16];
    Error error = {0};
    assert_int_equal(sha256_hex("weights", 7, digest, &error), 0);
    Run run = first_of(here, INIT, LABELS);
    assert_string_equal(run.init.path, place(here, "weights"));
    assert_string_equal(run.init.digest, digest);
    assert_string_equal(run.test.real.path, place(here, "labels"));
    assert_string_not_equal(run.test.real.digest, digest);
    snprintf(absolute, sizeof absolute, "  init: %s\n", place(here, "weights"));
    run = first_of(there, absolute, "");
    assert_string_equal(run.init.path, place(here, "weights"));
    assert_string_equal(run.test.real.path, "");
    run = first_of(there, "  init: link\n", ""); /* what it leads to may change; the weights that were meant do not */
    assert_string_equal(run.init.path, place(here, "weights"));
}

/* The golden was written by hand, its digests made with `printf weights | sha256sum`. */
static void the_text_holds_path_and_digest(void **state) {
    (void)state;
    Run run = first_of(here, INIT "  init_head: fresh\n", LABELS), again;
    Buffer text, second;
    Error error = {0};
    char expected[512];
    buffer_init(&text, RUN_SPEC_MAX);
    buffer_init(&second, RUN_SPEC_MAX);
    run.model.dropout = 0.25;
    assert_int_equal(run_format(&run, &text, &error), 0);
    snprintf(expected, sizeof expected,
             "\"init\":{\"digest\":\"9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c\",\"file\":\"%s/weights\"},"
             "\"init_head\":\"fresh\",",
             here);
    if (!strstr(text.data, expected))
        fail_msg("%s is not in %s", expected, text.data);
    assert_non_null(strstr(text.data, "\"dropout\":0.25,"));
    if (run_parse(&again, text.data, text.size, "r", &error))
        fail_msg("%s", error.text);
    assert_int_equal(run_format(&again, &second, &error), 0);
    assert_string_equal(second.data, text.data);
    assert_true(again.init_head == HEAD_FRESH && again.model.dropout == 0.25);
    assert_string_equal(again.test.real.digest, run.test.real.digest);
    buffer_deinit(&text);
    buffer_deinit(&second);
}

static void key_of(const Run *run, char key[RUN_KEY_MAX]) {
    Error error = {0};
    assert_int_equal(run_key(run, key, &error), 0);
}

/* The bytes decide the result, the path does not. */
static void keys_follow_the_bytes(void **state) {
    (void)state;
    enum { RUNS = 6 };
    char keys[RUNS][RUN_KEY_MAX], moved[RUN_KEY_MAX];
    Run runs[RUNS] = {first_of(here, "", ""),
                      first_of(here, INIT, ""),
                      first_of(here, "", LABELS),
                      first_of(here, INIT, LABELS),
                      first_of(here, INIT "  init_head: fresh\n", ""),
                      first_of(here, "", "")};
    runs[5].model.dropout = 0.1;
    for (size_t i = 0; i < RUNS; i++) {
        key_of(&runs[i], keys[i]);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(keys[i], keys[j]);
    }
    Run other = first_of(there, INIT, LABELS);
    assert_string_not_equal(other.init.path, runs[3].init.path);
    key_of(&other, moved);
    assert_string_equal(moved, keys[3]);
    put(there, "weights", "others");
    other = first_of(there, INIT, LABELS);
    key_of(&other, moved);
    assert_string_not_equal(moved, keys[3]);
    put(there, "weights", "weights");
    put(there, "labels", "others");
    other = first_of(there, INIT, LABELS);
    key_of(&other, moved);
    assert_string_not_equal(moved, keys[3]);
}

/* Labels of an item are a file as those of the run are. */
static void items_have_labels_of_their_own(void **state) {
    (void)state;
    char key[RUN_KEY_MAX], other[RUN_KEY_MAX];
    Error error = {0};
    Sweep *sweep;
    Run run = first_of(here, "", ITEM), plain = first_of(here, "", "eval: [{kind: linear, data: fashion-mnist}]\n");
    assert_string_equal(run.transfers[0].test.real.path, place(here, "labels"));
    key_of(&run, key);
    key_of(&plain, other);
    assert_string_not_equal(key, other);
    put(there, "labels", "labels");
    plain = first_of(there, "", ITEM);
    key_of(&plain, other);
    assert_string_equal(key, other);
    const char *text = sweep_text(GRID, TRAIN, ITEM);
    put(here, "labels", "others");
    assert_int_equal(sweep_parse_stored(&sweep, text, strlen(text), "name", &run, &error), 0);
    Run *runs = sweep_all(sweep);
    key_of(&runs[0], other);
    assert_string_equal(key, other);
    free(runs);
    sweep_free(sweep);
    put(here, "labels", "labels");
}

/* What was submitted stays what it was, wherever its files are by now. */
static void a_stored_file_is_not_looked_for(void **state) {
    (void)state;
    Run run = first_of(here, INIT, LABELS);
    const char *text = sweep_text(GRID, TRAIN INIT, LABELS);
    Error error = {0};
    Sweep *sweep;
    char key[RUN_KEY_MAX], again[RUN_KEY_MAX];
    assert_int_equal(sweep_parse_stored(&sweep, text, strlen(text), "name", &run, &error), 0);
    Run *runs = sweep_all(sweep);
    key_of(&run, key);
    key_of(&runs[0], again);
    assert_string_equal(again, key);
    assert_string_equal(runs[0].init.path, run.init.path);
    free(runs);
    sweep_free(sweep);
    assert_int_equal(sweep_parse_stored(&sweep, text, strlen(text), "name", NULL, &error), 0);
    sweep_free(sweep);
}

static void wrong_files_are_refused_with_their_place(void **state) {
    (void)state;
    static const struct {
        const char *train, *rest, *message;
    } wrongs[] = {
        {"  init: none\n", "", ":13:9: train.init: found no regular file \"none\"; relative paths begin where this file lies"},
        {"  init: .\n", "", ":13:9: train.init: found no regular file \".\""},
        {"  init: /dev/zero\n", "", ":13:9: train.init: found no regular file \"/dev/zero\""},
        {"  init: weights/x\n", "", ":13:9: train.init: found no regular file \"weights/x\""},
        {"  init: ''\n", "", ":13:9: train.init: "},
        {"  init: [weights]\n", "", ":13:9: train.init: "},
        {"  init: {file: weights}\n", "", ":13:9: train.init: "},
        {"  init_head: fresh\n", "", "train.init_head is fresh, but there is no train.init"},
        {INIT "  init_head: new\n", "", ":14:14: train.init_head: found \"new\"; expected one of file, fresh"},
        {"", "test: {real: none}\n", ":13:14: test.real: found no regular file \"none\""},
        {"", "test: {real: ''}\n", ":13:14: test.real: "},
    };
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        char lines[512];
        Sweep *sweep = NULL;
        Error error = {0};
        snprintf(lines, sizeof lines, "%s%s", TRAIN, wrongs[i].train);
        const char *text = sweep_text(GRID, lines, wrongs[i].rest);
        assert_int_equal(sweep_parse(&sweep, text, strlen(text), place(here, "f.yaml"), &error), SWEEP_INVALID);
        assert_null(sweep);
        if (!strstr(error.text, wrongs[i].message) || !strstr(error.text, place(here, "f.yaml")))
            fail_msg("expected \"%s\" in: %s", wrongs[i].message, error.text);
    }
}

/* Of a run's JSON, too: a file without its digest, or a digest without its file. */
static void halves_are_refused(void **state) {
    (void)state;
    Run run = first_of(here, INIT, LABELS), back;
    for (int i = 0; i < 4; i++) {
        Run half = run;
        Buffer text;
        Error error = {0};
        RunFile *file = i < 2 ? &half.init : &half.test.real;
        *(i % 2 ? file->path : file->digest) = '\0';
        buffer_init(&text, RUN_SPEC_MAX);
        assert_int_equal(run_format(&half, &text, &error), 0);
        assert_int_equal(run_parse(&back, text.data, text.size, "r", &error), SWEEP_INVALID);
        assert_non_null(strstr(error.text, i < 2 ? "train.init has a file or a digest alone" : "test.real has a file or a digest alone"));
        buffer_deinit(&text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_begin_where_the_file_lies),
        cmocka_unit_test(the_text_holds_path_and_digest),
        cmocka_unit_test(keys_follow_the_bytes),
        cmocka_unit_test(items_have_labels_of_their_own),
        cmocka_unit_test(a_stored_file_is_not_looked_for),
        cmocka_unit_test(wrong_files_are_refused_with_their_place),
        cmocka_unit_test(halves_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
