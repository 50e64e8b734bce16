/* A study whose data are gone, or others of the same name, is fitted as it was; what cannot be read any more is not replaced by defaults.
 */
#include "../scratch.h"
#include "stored.h"

#include <sys/stat.h>
#include <unistd.h>

enum { EXAMPLES = 9000, SIDE_MAX = 2 };

static const char *home_path(const char *name) {
    static char path[PATH_TEXT_MAX];
    snprintf(path, sizeof path, "%s/%s", harness_home(), name);
    return path;
}

static void write_section(const char *images, const char *labels, int count, int side) {
    static uint8_t pixels[EXAMPLES * SIDE_MAX * SIDE_MAX], classes[EXAMPLES];
    for (int i = 0; i < count; i++)
        pixels[i] = classes[i] = (uint8_t)(i % 3);
    idx_write_section(images, labels, pixels, classes, (const int[]){count, side, side});
}

static void write_pack(const char *name, int examples, int side) {
    static char paths[PACK_IMAGE_PARTS][PATH_TEXT_MAX], pack[PATH_TEXT_MAX];
    const char *parts[PACK_IMAGE_PARTS];
    DataInfo info;
    Error error = {0};
    for (size_t i = 0; i < PACK_IMAGE_PARTS; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/part%zu", harness_folder(), i);
        parts[i] = paths[i];
    }
    write_section(parts[0], parts[1], examples, side);
    write_section(parts[2], parts[3], 4, side);
    snprintf(pack, sizeof pack, "%s/data/%s.pack", harness_home(), name);
    check(dataset_pack_idx(name, parts, 0.5f, 0.2f, NULL, pack, &info, &error), &error);
}

static void lay_packs(void) {
    assert_int_equal(setenv("SWEEPD_HOME", harness_home(), 1), 0);
    assert_int_equal(mkdir(home_path("data"), 0700), 0);
    write_pack("mine", EXAMPLES, 1);
    write_pack("theirs", EXAMPLES / 2, 1);
}

/* 27 runs, three rates for each of nine cells. */
static const char *tuned_text(const char *fit) {
    static char text[2048];
    text_copy(text, sizeof text, study_file);
    replace(text, sizeof text, "{name: fashion-mnist, validation: 1000}", "{name: mine, validation: 300}");
    replace(text, sizeof text, "  seed: [0, 1]\n", "  seed: [0]\n");
    replace(text, sizeof text, "[8, 16, 32, 64]", "[8, 16, 32]");
    replace(text, sizeof text, "[1000, 2000, 4000, 8000]", "[1000, 2000, 4000]");
    replace(text, sizeof text, ", lr: 1.0e-3}", "}\ntune: {lr: [1.0e-3, 2.0e-3, 3.0e-3]}");
    replace(text, sizeof text, "fit: {metric: validation_error, bootstrap: 0}\n", fit);
    return text;
}

#define FIT     "methods: [parametric], loss: mse, bootstrap: 0, drop_first_share: 0.1}\n"
#define OWN_FIT "fit: {metric: validation_error, select: train_error, " FIT
#define EVAL_FIT                                                                                                                           \
    "eval: [{kind: linear, data: {name: theirs, validation: 2}}]\nfit: {metric: linear.theirs.test_error, select: train_error, " FIT

static int set_up(void **state) {
    (void)state;
    all_well = true;
    lay_data = lay_packs;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    lay_data = NULL;
    kept_text = more_metric = NULL;
    return 0;
}

static const char *const questions[][4] = {{"fit", "study", "--json", NULL},
                                           {"predict", "study", "--flops=1e9", "--json"},
                                           {"predict", "study", "--holdout=0.3", "--json"},
                                           {"compare", "study", "study", "--bootstrap=50"},
                                           {"export", "study", NULL, NULL},
                                           {"runs", "study", "--json", NULL}};
enum { QUESTIONS = sizeof questions / sizeof *questions };
static char *answers[QUESTIONS];

static void ask(Said *said, const char *const *words) {
    sweepctl(said, words[0], words[1], words[2], words[3], NULL);
    if (said->code != CLI_OK)
        fail_msg("%s: exit code %d: %s", words[0], said->code, said->err.data);
}

static void keep_answers(void) {
    Said said;
    for (size_t i = 0; i < QUESTIONS; i++) {
        ask(&said, questions[i]);
        free(answers[i]);
        assert_non_null(answers[i] = strdup(said.out.data));
        said_clear(&said);
    }
}

static void expect_answers(void) {
    Said said;
    for (size_t i = 0; i < QUESTIONS; i++) {
        ask(&said, questions[i]);
        assert_string_equal(said.out.data, answers[i]);
        said_clear(&said);
    }
}

static void drop_answers(void) {
    for (size_t i = 0; i < QUESTIONS; i++) {
        free(answers[i]);
        answers[i] = NULL;
    }
}

static void expect_fit(const char *metric) {
    Said said;
    sweepctl_expect(&said, CLI_OK, "fit", "study", "--json");
    json_t *root = said_json(&said);
    assert_string_equal(json_string_value(json_object_get(root, "metric")), metric);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(root, "tuned"), "cells")), 9);
    json_decref(root);
    said_clear(&said);
}

/* In this order each leaves less. */
static void expect_answers_without_data(void) {
    write_pack("mine", EXAMPLES, SIDE_MAX);
    expect_answers();
    write_pack("mine", 400, 1); /* fewer examples than its runs have */
    expect_answers();
    write_pack("theirs", EXAMPLES / 2, SIDE_MAX);
    expect_answers();
    assert_int_equal(unlink(home_path("data/theirs.pack")), 0);
    expect_answers();
    assert_int_equal(unlink(home_path("data/mine.pack")), 0);
    expect_answers();
    assert_int_equal(rmdir(home_path("data")), 0);
    expect_answers();
    drop_answers();
}

static void test_gone(void **state) {
    (void)state;
    make_study_of(tuned_text(OWN_FIT), 27);
    expect_fit("validation_error");
    keep_answers();
    expect_answers_without_data();
}

static void test_item_gone(void **state) {
    (void)state;
    more_metric = "linear.theirs.test_error";
    make_study_of(tuned_text(EVAL_FIT), 27);
    expect_fit(more_metric);
    keep_answers();
    write_pack("theirs", EXAMPLES / 2, SIDE_MAX);
    expect_answers();
    expect_answers_without_data();
}

static const char *const verbs[][3] = {{"fit", "study", "--bootstrap=0"},
                                       {"predict", "study", "--flops=1e9"},
                                       {"compare", "study", "study"},
                                       {"plot", "study", "--kind=curves"}};

static void expect_refused(const char *reason, const char *remedy) {
    Said said;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        sweepctl_expect(&said, CLI_FAILED, verbs[i][0], verbs[i][1], verbs[i][2]);
        assert_says(&said.err, reason);
        assert_says(&said.err, remedy);
        said_clear(&said);
    }
}

/* As by a later version, which knows a key less. */
static void test_unreadable(void **state) {
    (void)state;
    Said said;
    kept_text = "version: 1\nname: study\nformer: 1\n";
    make_study_of(tuned_text(OWN_FIT), 27);
    expect_refused("the file of study cannot be read any more, so that its metric, its fit settings and its tune are not known: study:3:1: "
                   "former: ",
                   "Submit it again, or say what to fit by --metric, ");
    sweepctl_expect(&said, CLI_OK, "fit", "study", "--metric=validation_error", "--where=lr = 0.001", "--method=parametric",
                    "--bootstrap=0", "--json");
    assert_says(&said.err, "the file of study cannot be read any more: study:3:1: ");
    assert_says(&said.err, "nothing is tuned");
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "runs", "study");
    said_clear(&said);
}

static void test_other_runs(void **state) {
    (void)state;
    char other[2048];
    Said said;
    text_copy(other, sizeof other, tuned_text(OWN_FIT));
    replace(other, sizeof other, "[1000, 2000, 4000]", "[1000, 2000, 4001]");
    kept_text = other;
    make_study_of(tuned_text(OWN_FIT), 27);
    expect_refused("the file of study does not tell its runs' settings any more, so that tune cannot choose among them", "--where");
    sweepctl_expect(&said, CLI_OK, "fit", "study", "--where=lr = 0.001", "--json");
    json_t *root = said_json(&said);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(root, "left_out"), "where")), 18);
    json_decref(root);
    said_clear(&said);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_item_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unreadable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_runs, set_up, tear_down),
    };
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    harness_clean();
    return result;
}
