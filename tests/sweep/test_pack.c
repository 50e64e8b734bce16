/* Packed data by their path (`data: {pack: FILE}`) or by their name in the home, of a file that is submitted and read again when they are
 * gone. */
#include "../scratch.h"
#include "fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

enum { SIDE = 2, SIDE_MAX = 3, EXAMPLES = 12, TESTS = 4, CLASSES = 3 };

static void write_section(const char *images, const char *labels, int count, int side, int shade) {
    uint8_t pixels[EXAMPLES * SIDE_MAX * SIDE_MAX], classes[EXAMPLES];
    for (int i = 0; i < count * side * side; i++)
        pixels[i] = (uint8_t)(shade + 3 * i);
    for (int i = 0; i < count; i++)
        classes[i] = (uint8_t)(i % CLASSES);
    idx_write_section(images, labels, pixels, classes, (const int[]){count, side, side});
}

static void write_pack_of(const char *name, const char *file, int examples, int side, int shade) {
    const char *const parts[] = {scratch_path("a"), scratch_path("b"), scratch_path("c"), scratch_path("d")};
    DataInfo info;
    Error error = {0};
    write_section(parts[0], parts[1], examples, side, shade);
    write_section(parts[2], parts[3], TESTS, side, shade);
    if (dataset_pack_idx(name, parts, 0.5f, 0.2f, NULL, scratch_path(file), &info, &error) != 0)
        fail_msg("%s", error.text);
}

static void write_pack(const char *name, const char *file, int shade) {
    write_pack_of(name, file, EXAMPLES, SIDE, shade);
}

static int set_up(void **state) {
    if (scratch_setup(state) || mkdir(scratch_path("packs"), 0755) || mkdir(scratch_path("data"), 0755) ||
        setenv("SWEEPD_HOME", scratch_path("."), 1))
        return -1;
    write_pack("small", "packs/mine.pack", 0);
    write_pack("other", "packs/other.pack", 7);
    return 0;
}

static const char *file_text(const char *data, const char *rest) {
    static char text[2048];
    int size = snprintf(
        text, sizeof text,
        "version: 1\nname: t\ndata: %s\nmodel: {kind: bmlp}\ngrid: {depth: 1, width: [4, 8], examples: [3, 9]}\ntrain:\n" TRAIN "%s", data,
        rest);
    assert_true(size > 0 && (size_t)size < sizeof text);
    return text;
}

static Sweep *parsed(const char *text) {
    Sweep *sweep = NULL;
    Error error = {0};
    if (sweep_parse(&sweep, text, strlen(text), scratch_path("f.yaml"), &error) != 0)
        fail_msg("%s", error.text);
    return sweep;
}

static Run first_run(const char *data, const char *rest) {
    Sweep *sweep = parsed(file_text(data, rest));
    Run *runs = sweep_all(sweep), run = runs[0];
    assert_false(sweep_is_plan_only(sweep));
    assert_string_equal(sweep_data_name(sweep), "small");
    free(runs);
    sweep_free(sweep);
    return run;
}

static void take_key(const Run *run, char key[RUN_KEY_MAX]) {
    assert_int_equal(run_key(run, key, NULL), 0);
}

#define EVAL "eval: [{kind: linear, data: {pack: packs/other.pack, validation: 2}}]\n"

static void the_header_says_what_the_data_are(void **state) {
    (void)state;
    Run run = first_run("{pack: packs/mine.pack, validation: 3, subset_seed: 5}", EVAL);
    DataInfo info;
    assert_int_equal(dataset_header_read(scratch_path("packs/mine.pack"), &info, NULL), 0);
    assert_string_equal(run.data_pack, scratch_path("packs/mine.pack"));
    assert_string_equal(run.data_name, "small");
    assert_string_equal(run.data_digest, info.digest);
    assert_int_equal(run.model.inputs, SIDE * SIDE);
    assert_int_equal(run.model.classes, CLASSES);
    assert_int_equal(run.validation, 3);
    assert_int_equal(run.subset_seed, 5);
    const Transfer *item = &run.transfers[0];
    assert_string_equal(item->data_pack, scratch_path("packs/other.pack"));
    assert_string_equal(item->name, "other");
    assert_string_not_equal(item->data_digest, info.digest);
    assert_int_equal(item->examples, EXAMPLES - 2);
}

static void the_path_is_no_part_of_the_key(void **state) {
    (void)state;
    char first[RUN_KEY_MAX], second[RUN_KEY_MAX];
    Run run = first_run("{pack: packs/mine.pack}", EVAL), back;
    Buffer text;
    Error error = {0};
    buffer_init(&text, RUN_SPEC_MAX);
    assert_int_equal(run_identify(&run, &text, first, &error), 0);
    assert_non_null(strstr(text.data, "packs/mine.pack\""));
    assert_non_null(strstr(text.data, "packs/other.pack\""));
    assert_int_equal(run_parse(&back, text.data, text.size, "run", &error), 0);
    assert_string_equal(back.data_pack, run.data_pack);
    assert_string_equal(back.transfers[0].data_pack, run.transfers[0].data_pack);
    *run.data_pack = '\0';
    take_key(&run, second);
    assert_string_equal(first, second);
    *run.transfers[0].data_pack = '\0'; /* as of data by name, whose text has no path */
    take_key(&run, second);
    assert_string_equal(first, second);
    run = back;
    run.data_digest[0] = run.data_digest[0] == 'a' ? 'b' : 'a';
    take_key(&run, second);
    assert_string_not_equal(first, second);
    run = back;
    *run.data_name = *run.data_digest = '\0';
    buffer_clear(&text);
    assert_int_equal(run_format(&run, &text, &error), 0);
    assert_int_equal(run_parse(&back, text.data, text.size, "run", &error), SWEEP_INVALID);
    assert_string_equal(error.text, "run: data: found a pack alone; expected its name and digest beside it");
    buffer_deinit(&text);
}

static void an_absolute_path_serves_from_anywhere(void **state) {
    (void)state;
    char data[PATH_TEXT_MAX], text[2048];
    Sweep *sweep = NULL;
    Error error = {0};
    snprintf(data, sizeof data, "{pack: %s}", scratch_path("packs/mine.pack"));
    text_copy(text, sizeof text, file_text(data, ""));
    assert_int_equal(sweep_parse(&sweep, text, strlen(text), "/nowhere/f.yaml", &error), 0);
    sweep_free(sweep);
}

static void expect_wrong(const char *data, const char *rest, const char *expected) {
    Sweep *sweep = NULL;
    Error error = {0};
    const char *text = file_text(data, rest);
    assert_int_equal(sweep_parse(&sweep, text, strlen(text), scratch_path("f.yaml"), &error), SWEEP_INVALID);
    assert_null(sweep);
    if (!strstr(error.text, expected))
        fail_msg("expected \"%s\" in: %s", expected, error.text);
}

static void what_is_wrong_is_told_at_its_place(void **state) {
    (void)state;
    assert_int_equal(file_write_atomic(scratch_path("packs/text"), "no pack", 7, 0644, NULL), 0);
    expect_wrong("{pack: packs/gone.pack}", "", "f.yaml:3:14: data.pack: found no regular file \"packs/gone.pack\"; relative paths begin");
    int old = open(scratch_path("packs/other.pack"), O_RDWR);
    assert_int_equal(pwrite(old, "\2", 1, 8), 1);
    expect_wrong("{pack: packs/other.pack}", "",
                 "other.pack: byte 8: packed in version 2 of the format, where 3 is read: make it again by ");
    assert_int_equal(pwrite(old, "\3", 1, 8), 1);
    close(old);
    expect_wrong("{pack: packs}", "", "f.yaml:3:14: data.pack: found no regular file");
    expect_wrong("{pack: packs/text}", "", "f.yaml:3:14: data.pack: ");
    expect_wrong("{pack: packs/text}", "", "/packs/text: not a packed data set");
    expect_wrong("{pack: [a]}", "", "f.yaml:3:14: data.pack: found a list; expected the path of a packed file, at most 511 bytes");
    expect_wrong("{name: small, pack: packs/mine.pack}", "", "f.yaml:3:21: data.pack: found a pack beside a name; expected one of them");
    expect_wrong("{pack: packs/mine.pack, classes: 4}", "", "f.yaml:3:40: data.classes: found 4, where the pack ");
    expect_wrong("{pack: packs/mine.pack, validation: 12}", "", "expected at most 11: small has 12 examples");
    expect_wrong("{pack: packs/mine.pack, validation: 4}", "", "grid.examples[1]: found 9; expected at most 8: small has 12 examples");
    expect_wrong("{pack: packs/mine.pack}", "eval: [{kind: linear, data: {pack: none}}]\n",
                 "eval[0].data.pack: found no regular file \"none\"");
}

/* The text comes to the same runs and fit, whatever lies in the home by now. */
static void expect_stored(const char *text, const Sweep *sweep, const Run *runs) {
    Sweep *stored = NULL;
    char key[RUN_KEY_MAX], stored_key[RUN_KEY_MAX];
    Error error = {0};
    if (sweep_parse_stored(&stored, text, strlen(text), "t", &runs[1], &error) != 0)
        fail_msg("%s", error.text);
    Run *again = sweep_all(stored);
    assert_int_equal(sweep_run_count(stored), sweep_run_count(sweep));
    for (int64_t i = 0; i < sweep_run_count(sweep); i++) {
        take_key(&runs[i], key);
        take_key(&again[i], stored_key);
        assert_string_equal(key, stored_key);
    }
    assert_string_equal(sweep_fit_settings(stored)->metric, sweep_fit_settings(sweep)->metric);
    free(again);
    sweep_free(stored);
}

/* A study is read long after its data were moved; any of its runs tells what they were. */
static void a_stored_file_needs_no_pack(void **state) {
    (void)state;
    char text[2048];
    text_copy(text, sizeof text, file_text("{pack: packs/mine.pack, validation: 3}", EVAL));
    Sweep *sweep = parsed(text), *stored = NULL;
    Run *runs = sweep_all(sweep);
    assert_int_equal(rename(scratch_path("packs"), scratch_path("moved")), 0);
    expect_stored(text, sweep, runs);
    Error error = {0};
    assert_int_equal(sweep_parse_stored(&stored, text, strlen(text), "t", NULL, &error), 0);
    assert_int_equal(sweep_run_count(stored), sweep_run_count(sweep));
    sweep_free(stored);
    assert_int_equal(rename(scratch_path("moved"), scratch_path("packs")), 0);
    free(runs);
    sweep_free(sweep);
}

#define NAMED "{name: mine, validation: 3}"
#define NAMED_EVAL                                                                                                                         \
    "eval: [{kind: linear, data: {name: theirs, validation: 2}}]\nfit: {metric: linear.theirs.test_loss, select: "                         \
    "linear.theirs.validation_loss}\n"

static void write_named(void) {
    write_pack("mine", "data/mine.pack", 0);
    write_pack("theirs", "data/theirs.pack", 7);
}

/* What the home's packs of those names were is in the runs. */
static void a_stored_name_needs_no_pack(void **state) {
    (void)state;
    char text[2048];
    write_named();
    text_copy(text, sizeof text, file_text(NAMED, NAMED_EVAL));
    Sweep *sweep = parsed(text);
    Run *runs = sweep_all(sweep);
    expect_stored(text, sweep, runs);
    assert_int_equal(unlink(scratch_path("data/theirs.pack")), 0); /* that of the item alone */
    expect_stored(text, sweep, runs);
    assert_int_equal(unlink(scratch_path("data/mine.pack")), 0);
    expect_stored(text, sweep, runs);
    assert_int_equal(rmdir(scratch_path("data")), 0); /* a home that was copied without */
    expect_stored(text, sweep, runs);
    assert_int_equal(mkdir(scratch_path("data"), 0755), 0);
    free(runs);
    sweep_free(sweep);
}

static void a_stored_name_is_not_the_pack_that_is_there(void **state) {
    (void)state;
    static const char *const names[] = {"mine", "theirs"};
    char text[2048], file[64];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        write_named();
        text_copy(text, sizeof text, file_text(NAMED, NAMED_EVAL));
        Sweep *sweep = parsed(text);
        Run *runs = sweep_all(sweep);
        snprintf(file, sizeof file, "data/%s.pack", names[i]);
        write_pack_of(names[i], file, EXAMPLES, SIDE_MAX, 0);
        expect_stored(text, sweep, runs);
        write_pack_of(names[i], file, CLASSES, SIDE, 0); /* fewer than its runs take */
        expect_stored(text, sweep, runs);
        write_pack("another", file, 0);
        expect_stored(text, sweep, runs);
        assert_int_equal(file_write_atomic(scratch_path(file), "no pack", 7, 0644, NULL), 0);
        expect_stored(text, sweep, runs);
        free(runs);
        sweep_free(sweep);
    }
}

/* Sizes beside the name were those that the pack had then. */
static void a_stored_name_keeps_its_sizes(void **state) {
    (void)state;
    char text[2048];
    write_named();
    text_copy(text, sizeof text, file_text("{name: mine, inputs: 4, classes: 3, examples: 12}", ""));
    Sweep *sweep = parsed(text);
    Run *runs = sweep_all(sweep);
    write_pack_of("mine", "data/mine.pack", EXAMPLES, SIDE_MAX, 0);
    expect_stored(text, sweep, runs);
    assert_int_equal(unlink(scratch_path("data/mine.pack")), 0);
    expect_stored(text, sweep, runs);
    free(runs);
    sweep_free(sweep);
}

/* A design leaves out what the data are too few for, so that their number decides which runs it has: that of published data is known. */
static void a_stored_design_is_of_the_published_size(void **state) {
    (void)state;
    static const char text[] = "version: 1\nname: t\ndata: {name: cifar10, validation: 5000}\nmodel: {kind: bmlp}\n"
                               "grid: {depth: 1, width: {from: 8, to: 256, points: 20}}\n"
                               "design: {kind: isoflop, budgets: {from: 1e11, to: 1e13, points: 4}, sizes: 5}\ntrain:\n" TRAIN;
    Sweep *sweep = parsed(text);
    Run *runs = sweep_all(sweep);
    bool scarce = false;
    const Design *design = sweep_design(sweep);
    for (size_t i = 0; i < design->budget_count; i++)
        for (size_t j = 0; j < design->model_count; j++)
            scarce = scarce || design->budgets[i].cells[j].verdict == DESIGN_TOO_MANY;
    assert_true(scarce);
    for (int64_t i = 0; i < sweep_run_count(sweep); i++)
        memset(runs[i].data_digest, 'a', sizeof runs[i].data_digest - 1); /* of the pack that there was */
    expect_stored(text, sweep, runs);
    free(runs);
    sweep_free(sweep);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_header_says_what_the_data_are),
        cmocka_unit_test(the_path_is_no_part_of_the_key),
        cmocka_unit_test(an_absolute_path_serves_from_anywhere),
        cmocka_unit_test(what_is_wrong_is_told_at_its_place),
        cmocka_unit_test(a_stored_file_needs_no_pack),
        cmocka_unit_test(a_stored_name_needs_no_pack),
        cmocka_unit_test(a_stored_name_is_not_the_pack_that_is_there),
        cmocka_unit_test(a_stored_name_keeps_its_sizes),
        cmocka_unit_test(a_stored_design_is_of_the_published_size),
    };
    return cmocka_run_group_tests_name("pack", tests, set_up, scratch_teardown);
}
