/* What `pack` does not take of a source, and sources that it does not take. */
#include "formats.h"

static const PackOptions small_options = {.name = "made", .height = 8, .width = 8};

static void expect_refused(TestFiles *files, const char *part) {
    PackReport report;
    Error error = {0};
    const char *path = files_write(files, AS_ZIP, false, "source");
    assert_int_equal(dataset_pack(&report, path, scratch_path("o.pack"), &small_options, &error), DATA_REFUSED);
    if (!strstr(error.text, part))
        fail_msg("\"%s\" is not in: %s", part, error.text);
}

static int64_t left_of(const PackReport *report, const char *ending) {
    for (size_t i = 0; i < report->left_count; i++)
        if (!strcmp(report->left[i].ending, ending))
            return report->left[i].count;
    return 0;
}

static void test_what_is_not_taken_is_told(void **state) {
    (void)state;
    TestFiles files = {.count = 0};
    PackReport report;
    char whole[SHA256_HEX_MAX];
    make_folders(&files);
    DatasetMap *data = pack_and_map(files_write(&files, AS_TAR, false, "whole"), &small_options, &report);
    text_copy(whole, sizeof whole, dataset_info(data)->digest);
    dataset_free(data);
    pack_report_deinit(&report);
    files_add_text(&files, "set/train/n0/a.BMP", "x");
    files_add_text(&files, "set/train/n0/b.bmp", "x");
    files_add_text(&files, "set/train/alone/c.webp", "x");
    files_add_text(&files, "set/readme", "x");
    files_add_jpeg(&files, "set/train/.hidden/1.jpg", 3, 64);
    files_add_jpeg(&files, "set/train/n0/.ipynb_checkpoints/1.jpg", 3, 64);
    files_add_jpeg(&files, "set/train/n0/._1.jpg", 3, 64);
    data = pack_and_map(files_write(&files, AS_FOLDER, false, "left"), &small_options, &report);
    assert_string_equal(dataset_info(data)->digest, whole);
    assert_int_equal(left_of(&report, ".bmp"), 2);
    assert_int_equal(left_of(&report, ".webp"), 1);
    assert_int_equal(left_of(&report, "others"), 1);
    assert_int_equal(left_of(&report, "hidden"), 3);
    assert_int_equal(left_of(&report, ".txt"), 1);
    assert_int_equal(report.left_count, 5);
    assert_int_equal(report.empty.count, 1);
    assert_string_equal(report.empty.first, "alone");
    dataset_free(data);
    pack_report_deinit(&report);
    files_free(&files);
}

/* An archive's names stay below its root; what links lead to is looked at where they are followed. */
static void test_names_that_leave(void **state) {
    (void)state;
    for (int container = AS_TAR; container < CONTAINERS; container++) {
        TestFiles files = {.count = 0};
        PackReport report;
        char whole[SHA256_HEX_MAX];
        make_folders(&files);
        strcpy(files_add(&files, "set/train/n1/l.jpg", 0)->soft, "../n2/2.jpg");
        DatasetMap *data = pack_and_map(files_write(&files, (TestContainer)container, false, "whole"), &small_options, &report);
        text_copy(whole, sizeof whole, dataset_info(data)->digest);
        dataset_free(data);
        assert_int_equal(report.skip_count, 0);
        pack_report_deinit(&report);
        files_add_jpeg(&files, "set/train/n1/../../../../etc/x.jpg", 3, 64);
        files_add_text(&files, "../data_batch_1.bin", "x");
        strcpy(files_add(&files, "set/train/n1/../l.jpg", 0)->soft, "nowhere");
        files_add_jpeg(&files, "set/train/n1/..x.jpg", 3, 64); /* hidden */
        data = pack_and_map(files_write(&files, (TestContainer)container, false, "leaves"), &small_options, &report);
        assert_string_equal(dataset_info(data)->digest, whole);
        assert_int_equal(report.skip_count, 3);
        assert_string_equal(report.skips[0].name, "../data_batch_1.bin");
        assert_string_equal(report.skips[1].name, "set/train/n1/../../../../etc/x.jpg");
        assert_string_equal(report.skips[1].reason, "its name leaves the folder by '..'");
        assert_int_equal(left_of(&report, ".jpg"), 0);
        assert_int_equal(left_of(&report, "hidden"), 1);
        dataset_free(data);
        pack_report_deinit(&report);
        files_free(&files);
    }
}

static void test_no_name_that_stays(void **state) {
    (void)state;
    TestFiles files = {.count = 0};
    files_add_jpeg(&files, "../train/n0/1.jpg", 3, 64);
    files_add_jpeg(&files, "../val/n0/1.jpg", 3, 64);
    expect_refused(&files, "none of its 2 files is known (a name with '..' is not taken): expected");
    files_free(&files);
}

/* The pack's classes are looked at, as they are when all images that cannot be read are left out. */
static void test_classes_with_one_half(void **state) {
    (void)state;
    bool chosen[DATA_CLASSES_MAX] = {[0] = true, [1] = true, [7] = true};
    PackOptions some = small_options;
    TestFiles files = {.count = 0};
    PackReport report;
    make_folders(&files); /* classes 0 to 9; tests of 0 to 3 */
    files_find(&files, "train/n3/3.jpg")->size = 9;
    files_find(&files, "train/n3/13.jpg")->size = 9;
    const char *path = files_write(&files, AS_ZIP, false, "halves");
    dataset_free(pack_and_map(path, &small_options, &report));
    assert_int_equal(report.untested.count, 6);
    assert_string_equal(report.untested.first, "n4");
    assert_int_equal(report.untrained.count, 1);
    assert_string_equal(report.untrained.first, "n3");
    pack_report_deinit(&report);
    some.classes = chosen;
    dataset_free(pack_and_map(path, &some, &report));
    assert_int_equal(report.untested.count, 1);
    assert_string_equal(report.untested.first, "n7");
    assert_int_equal(report.untrained.count, 0);
    pack_report_deinit(&report);
    files_free(&files);
}

/* However many endings there are, each file is counted once. */
static void test_many_endings(void **state) {
    (void)state;
    enum { ENDINGS = 20 };
    TestFiles files = {.count = 0};
    PackReport report;
    char name[32];
    make_folders(&files); /* with a .txt */
    for (int i = 0; i < ENDINGS; i++) {
        snprintf(name, sizeof name, "set/a.x%d", i);
        files_add_text(&files, name, "x");
    }
    dataset_free(pack_and_map(files_write(&files, AS_ZIP, false, "many"), &small_options, &report));
    int64_t sum = 0;
    for (size_t i = 0; i < report.left_count; i++)
        sum += report.left[i].count;
    assert_int_equal(report.left_count, PACK_LEFT_MAX);
    assert_int_equal(sum, ENDINGS + 1);
    assert_int_equal(left_of(&report, "others"), ENDINGS + 1 - (PACK_LEFT_MAX - 1));
    pack_report_deinit(&report);
    files_free(&files);
}

static void test_two_formats_are_refused(void **state) {
    (void)state;
    TestFiles files = {.count = 0};
    make_cifar10(&files);
    files_add_jpeg(&files, "train/n0/1.jpg", 3, 64);
    expect_refused(&files, "of CIFAR-10, but train/n0/1.jpg of image folders: two data sets; leave one");
    files_free(&files);
}

static void test_a_missing_half_is_named(void **state) {
    (void)state;
    TestFiles files = {.count = 0};
    files_add_jpeg(&files, "train/n0/1.jpg", 3, 64);
    files_add_jpeg(&files, "train/n1/1.jpg", 3, 64);
    expect_refused(&files, "there are images in train/CLASS/, but val/CLASS/ or test/CLASS/ is missing");
    files_free(&files);
}

static int teardown(void **state) {
    idx_deinit(&fashion);
    return scratch_teardown(state);
}

int main(void) {
    if (!fashion_load())
        return 77; /* skipped: the package dataset-fashion-mnist is not there */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_not_taken_is_told),
        cmocka_unit_test(test_names_that_leave),
        cmocka_unit_test(test_no_name_that_stays),
        cmocka_unit_test(test_classes_with_one_half),
        cmocka_unit_test(test_many_endings),
        cmocka_unit_test(test_two_formats_are_refused),
        cmocka_unit_test(test_a_missing_half_is_named),
    };
    return cmocka_run_group_tests(tests, scratch_setup, teardown);
}
