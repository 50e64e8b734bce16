/* Labels of which an image may have several: what is accepted, and that any other file is one error with the byte. */
#include "fixture.h"

enum { IMAGES = 4, CLASSES = 12 };

static int read_text(RealLabels *out, const char *text, size_t size, Error *error) {
    RunFile file = {0};
    text_copy(file.path, sizeof file.path, scratch_path("labels.json"));
    scratch_write(file.path, text, size);
    assert_int_equal(sha256_hex(text, size, file.digest, error), 0);
    return real_read(out, file.path, file.digest, IMAGES, CLASSES, error);
}

static void test_accepted(void **state) {
    (void)state;
    static const char *const texts[] = {
        "[[3],[],[0,11],[7,3,5]]",
        "[[3],[],[0,11],[7,3,5]]\n",
        " [\t[ 3 ] ,\r\n [ ] , [0 , 11], [7,3,5] ] \n\n",
        "[[3,3],[],[11,0],[5,7,3]]",
    };
    static const bool expected[IMAGES][CLASSES] = {
        [0][3] = true, [2] = {[0] = true, [11] = true}, [3] = {[3] = true, [5] = true, [7] = true}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        RealLabels real;
        Error error = {0};
        if (read_text(&real, texts[i], strlen(texts[i]), &error))
            fail_msg("%s", error.text);
        for (int64_t image = 0; image < IMAGES; image++)
            for (int64_t class = 0; class < CLASSES; class ++)
                assert_int_equal(real_has(&real, image, class), expected[image][class]);
        assert_int_equal(real.first[1], real.first[2]); /* an image without labels */
        real_deinit(&real);
    }
}

typedef struct Wrong {
    const char *text, *message;
} Wrong;

static const Wrong wrongs[] = {
    {"", "byte 0: expected a list of lists"},
    {"{}", "byte 0: expected a list of lists"},
    {"[3,1,2,2]", "byte 1: expected the list of an image's classes"},
    {"[[3],[],[0],[7]", "byte 15: expected the end: the test set has no more images"},
    {"[[3],[],[0],[7],[1]]", "byte 15: expected the end: the test set has no more images"},
    {"[[3],[],[0]]", "byte 11: lists of 3 images; the test set has 4"},
    {"[[3],[],[0],]", "byte 12: expected the list of an image's classes"},
    {"[[3],[],[0],[7]]x", "byte 16: expected nothing more"},
    {"[[3],[],[0],[7]] []", "byte 17: expected nothing more"},
    {"[[3 4],[],[0],[7]]", "byte 4: expected a comma or the end of an image's list"},
    {"[[3,],[],[0],[7]]", "byte 4: expected a class, a whole number from 0"},
    {"[[-3],[],[0],[7]]", "byte 2: expected a class, a whole number from 0"},
    {"[[\"3\"],[],[0],[7]]", "byte 2: expected a class, a whole number from 0"},
    {"[[3.5],[],[0],[7]]", "byte 3: expected a comma or the end of an image's list"},
    {"[[12],[],[0],[7]]", "byte 2: a class that the data do not have; they have 12"},
    {"[[1],[99999999999999999999999999],[0],[7]]", "byte 6: a class that the data do not have; they have 12"},
    {"[[],[],[],[]]", "byte 13: no image has a class"},
    {"\xef\xbb\xbf[[3],[],[0],[7]]", "byte 0: expected a list of lists"},
};

static void test_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        RealLabels real;
        Error error = {0};
        char expected[ERROR_TEXT_MAX];
        int result = read_text(&real, wrongs[i].text, strlen(wrongs[i].text), &error);
        real_deinit(&real);
        snprintf(expected, sizeof expected, "%s: %s", scratch_path("labels.json"), wrongs[i].message);
        assert_string_equal(error.text, expected);
        assert_int_equal(result, TRAIN_REFUSED);
    }
    RealLabels real;
    Error error = {0};
    assert_int_equal(read_text(&real, "[[3],[],[0],[7]]\0", 17, &error), TRAIN_REFUSED);
    assert_non_null(strstr(error.text, "byte 16: expected nothing more"));
    real_deinit(&real);
}

static void assert_file_refused(const RunFile *file, const char *part) {
    RealLabels real;
    Error error = {0};
    int result = real_read(&real, file->path, file->digest, IMAGES, CLASSES, &error);
    real_deinit(&real);
    assert_int_equal(result, TRAIN_REFUSED);
    if (!strstr(error.text, part) || !strstr(error.text, file->path))
        fail_msg("\"%s\" does not say \"%s\"", error.text, part);
}

static void test_files(void **state) {
    (void)state;
    RunFile file = {.digest = "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"}; /* of [] */
    text_copy(file.path, sizeof file.path, scratch_path("none.json"));
    assert_file_refused(&file, "No such file");
    text_copy(file.path, sizeof file.path, scratch_path("changed.json"));
    scratch_write(file.path, "[[3],[],[0],[7]]", 16);
    assert_file_refused(&file, "the run's is 4f53cda18c2baa0c");
    text_copy(file.path, sizeof file.path, scratch_path("large.json"));
    scratch_write(file.path, "[]", 2);
    assert_int_equal(truncate(file.path, (off_t)REAL_FILE_MAX + 1), 0);
    assert_file_refused(&file, "larger than");
    text_copy(file.path, sizeof file.path, scratch_root);
    assert_file_refused(&file, scratch_root);
}

/* Labels of every image, all below the classes; or a refusal with the byte. */
static bool assert_safe(const char *text, size_t size) {
    RealLabels real;
    Error error = {0};
    int result = read_text(&real, text, size, &error);
    if (result) {
        assert_int_equal(result, TRAIN_REFUSED);
        assert_non_null(strstr(error.text, ": byte "));
    } else {
        for (uint32_t i = 0; i < real.first[IMAGES]; i++)
            assert_true(real.labels[i] < CLASSES);
    }
    real_deinit(&real);
    return result == 0;
}

static void test_mutations(void **state) {
    (void)state;
    static const char whole[] = "[[3], [], [0, 11], [7, 3, 5]]\n", likely[] = "0123456789[],  -.\"";
    const size_t size = sizeof whole - 1;
    int good = 0, bad = 0;
    Rng rng;
    rng_init(&rng, 5, 0);
    for (size_t keep = 0; keep + 1 < size; keep++)
        assert_false(assert_safe(whole, keep));
    for (int round = 0; round < 3000; round++) {
        char text[sizeof whole];
        memcpy(text, whole, sizeof whole);
        for (uint64_t changes = 1 + rng_below(&rng, 3); changes; changes--)
            text[rng_below(&rng, size)] = rng_below(&rng, 4) ? likely[rng_below(&rng, sizeof likely - 1)] : (char)rng_next(&rng);
        *(assert_safe(text, size) ? &good : &bad) += 1;
    }
    assert_true(good > 100 && bad > 100);
}

/* The file belongs to the run: one that was changed since stops the run before it trains. */
static void test_run_with_other_labels(void **state) {
    (void)state;
    Run run = fixture_run();
    Trainer *trainer;
    Error error = {0};
    TrainerOptions options = {.home = scratch_root, .threads = 1};
    text_copy(run.test.real.path, sizeof run.test.real.path, scratch_path("own.json"));
    scratch_write(run.test.real.path, "[[3]]", 5);
    assert_int_equal(digest_file(DIGEST_SHA256, run.test.real.path, run.test.real.digest, &error), 0);
    assert_int_equal(trainer_new(&trainer, &run, &options, &error), TRAIN_REFUSED);
    assert_null(trainer);
    assert_non_null(strstr(error.text, "byte 2: a class that the data do not have; they have 3"));
    scratch_write(run.test.real.path, "[[2]]", 5);
    assert_int_equal(trainer_new(&trainer, &run, &options, &error), TRAIN_REFUSED);
    assert_null(trainer);
    assert_non_null(strstr(error.text, "its digest is"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_run_with_other_labels),
    };
    return cmocka_run_group_tests(tests, fixture_setup, scratch_teardown);
}
