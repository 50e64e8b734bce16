/* A packer that is asked to stop does so at once, wherever it is, and writes nothing. */
#include "formats.h"

static const PackOptions options = {.name = "made", .height = 8, .width = 8, .threads = 1};

static bool stop_at_once(void *context) {
    (void)context;
    return true;
}

static void test_stopped(void **state) {
    (void)state;
    TestFiles files = {.count = 0};
    PackReport report;
    Error error = {0};
    PackOptions stopping = options;
    stopping.should_stop = stop_at_once;
    make_folders(&files);
    const char *path = files_write(&files, AS_ZIP, false, "source");
    assert_int_equal(dataset_pack(&report, path, scratch_path("out.pack"), &stopping, &error), DATA_STOPPED);
    assert_nothing_written();
    stopping = options;
    stopping.height = 0;
    stopping.width = 0;
    assert_int_equal(dataset_pack(&report, path, scratch_path("out.pack"), &stopping, &error), DATA_REFUSED);
    assert_non_null(strstr(error.text, "--size N states the one to pack them in"));
    assert_int_equal(dataset_pack(&report, path, scratch_path("no/out.pack"), &options, &error), -1);
    files_free(&files);
}

typedef struct Patience {
    int64_t done, total; /* images */
    int asked, until;    /* how often since all were packed, or from the beginning when `total` is -1 */
} Patience;

static void patience_note(void *context, int64_t done, int64_t total) {
    Patience *patience = context;
    patience->done = done;
    patience->total = total;
}

static bool patience_ends(void *context) {
    Patience *patience = context;
    return patience->done >= patience->total && ++patience->asked >= patience->until;
}

/* Nothing of the source is known, so the look is all that is done. */
static void test_stopped_in_the_look(void **state) {
    (void)state;
    static const TestContainer containers[] = {AS_TAR_GZ, AS_TAR_BZ2, AS_FOLDER, AS_ZIP};
    TestFiles files = {.count = 0};
    PackReport report;
    Error error = {0};
    files_add(&files, "many-blocks.dat", 8 << 20);
    files_add(&files, "other.dat", 1);
    for (size_t i = 0; i < sizeof containers / sizeof *containers; i++) {
        const char *path = files_write(&files, containers[i], false, containers[i] == AS_FOLDER ? "blocks" : "source");
        bool is_compressed = i < 2;
        Patience patience = {.total = -1, .until = is_compressed ? 20 : 2};
        PackOptions stopping = options;
        stopping.should_stop = patience_ends;
        stopping.context = &patience;
        assert_int_equal(dataset_pack(&report, path, scratch_path("out.pack"), &stopping, &error), DATA_STOPPED);
        assert_int_equal(patience.asked, patience.until);
        assert_nothing_written();
    }
    files_free(&files);
}

/* Wherever it is asked from the last image on. */
static void test_stopped_at_the_end(void **state) {
    (void)state;
    static const uint8_t pixels[12 * 4] = {1, 2, 3, 4}, labels[12] = {0, 1};
    PackReport report;
    Error error = {0};
    Patience patience = {.until = INT32_MAX};
    PackOptions stopping = options;
    stopping.height = stopping.width = 0;
    stopping.on_progress = patience_note;
    stopping.should_stop = patience_ends;
    stopping.context = &patience;
    assert_int_equal(directory_make(scratch_path("idx"), 0755, &error), 0);
    idx_write_section(scratch_path("idx/train-images-idx3-ubyte"), scratch_path("idx/train-labels-idx1-ubyte"), pixels, labels,
                      (const int[]){12, 2, 2});
    idx_write_section(scratch_path("idx/t10k-images-idx3-ubyte"), scratch_path("idx/t10k-labels-idx1-ubyte"), pixels, labels,
                      (const int[]){2, 2, 2});
    patience.total = 1;
    assert_int_equal(dataset_pack(&report, scratch_path("idx"), scratch_path("out.pack"), &stopping, &error), 0);
    assert_int_equal(remove(scratch_path("out.pack")), 0);
    int asked = patience.asked;
    assert_true(asked >= 14 + 12 + PACK_IMAGE_PARTS); /* while gaps are closed, while it is measured, and while it is hashed */
    for (int i = 1; i <= asked; i++) {
        patience = (Patience){.total = 1, .until = i};
        assert_int_equal(dataset_pack(&report, scratch_path("idx"), scratch_path("out.pack"), &stopping, &error), DATA_STOPPED);
        assert_int_equal(patience.asked, i);
        assert_nothing_written();
    }
}

static int teardown(void **state) {
    idx_deinit(&fashion);
    return scratch_teardown(state);
}

int main(void) {
    if (!fashion_load())
        return 77; /* skipped: the package dataset-fashion-mnist is not there */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stopped),
        cmocka_unit_test(test_stopped_in_the_look),
        cmocka_unit_test(test_stopped_at_the_end),
    };
    return cmocka_run_group_tests(tests, scratch_setup, teardown);
}
