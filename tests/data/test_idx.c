#include "fixture.h"

static const uint8_t values[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
static const int shape[] = {2, 2, 3};

static void write_gzip(const char *path, const uint8_t *bytes, size_t size) {
    gzFile file = gzopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, bytes, (unsigned)size), size);
    assert_int_equal(gzclose(file), Z_OK);
}

static void assert_reads(const char *path) {
    Idx idx;
    Error error = {0};
    assert_int_equal(idx_read(&idx, path, &error), 0);
    assert_int_equal(idx.dimensions, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(idx.shape[i], shape[i]);
    assert_int_equal(idx.size, sizeof values);
    assert_memory_equal(idx.bytes, values, sizeof values);
    idx_deinit(&idx);
}

static void assert_refused(const char *path, const char *part) {
    Idx idx;
    Error error = {0};
    assert_int_equal(idx_read(&idx, path, &error), DATA_REFUSED);
    assert_null(idx.bytes);
    if (!strstr(error.text, path) || !strstr(error.text, part))
        fail_msg("\"%s\" does not say \"%s\"", error.text, part);
}

static void test_plain_and_gzip(void **state) {
    (void)state;
    size_t size;
    uint8_t *bytes = idx_make(values, 3, shape, &size);
    scratch_write(scratch_path("plain"), bytes, size);
    write_gzip(scratch_path("packed.gz"), bytes, size);
    assert_reads(scratch_path("plain"));
    assert_reads(scratch_path("packed.gz"));
    free(bytes);
}

typedef struct Damage {
    size_t offset;
    uint8_t byte;
    const char *part;
} Damage;

static void test_wrong_headers(void **state) {
    (void)state;
    static const Damage damages[] = {
        {0, 1, "byte 0: an IDX file starts with two zero bytes"},
        {2, 0x0d, "byte 2: values of type 0x0d"},
        {3, 0, "byte 3: 0 dimensions"},
        {3, 4, "byte 3: 4 dimensions"},
        {7, 0, "byte 4: dimension 1 is 0"},
        {4, 0xff, "byte 4: the dimensions promise more values than the file can hold"},
        {12, 0x7f, "byte 12: the dimensions promise more"},
        {7, 1, "byte 22: the values end here, but the file goes on"},
        {15, 4, "byte 28: the file ends here, 4 bytes short of its values"},
    };
    size_t size;
    uint8_t *bytes = idx_make(values, 3, shape, &size);
    const char *path = scratch_path("damaged");
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        uint8_t whole = bytes[damages[i].offset];
        bytes[damages[i].offset] = damages[i].byte;
        scratch_write(path, bytes, size);
        assert_refused(path, damages[i].part);
        bytes[damages[i].offset] = whole;
    }
    free(bytes);
}

static void test_every_truncation(void **state) {
    (void)state;
    size_t size;
    uint8_t *bytes = idx_make(values, 3, shape, &size);
    const char *path = scratch_path("short");
    for (size_t keep = 0; keep < size; keep++) {
        scratch_write(path, bytes, keep);
        assert_refused(path, "byte ");
    }
    free(bytes);
}

static void test_damaged_gzip(void **state) {
    (void)state;
    size_t size;
    uint8_t *bytes = idx_make(values, 3, shape, &size), packed[256];
    const char *path = scratch_path("damaged.gz");
    write_gzip(path, bytes, size);
    free(bytes);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t packed_size = fread(packed, 1, sizeof packed, file);
    fclose(file);
    for (size_t keep = 20; keep < packed_size; keep++) { /* past its header, cut anywhere: into the checksum too */
        scratch_write(path, packed, keep);
        assert_refused(path, "gzip stream is damaged or cut short");
    }
    packed[packed_size - 6] ^= 1; /* in the checksum */
    scratch_write(path, packed, packed_size);
    assert_refused(path, "gzip stream is damaged");
}

static void append(const char *path, const void *bytes, size_t size) {
    FILE *file = fopen(path, "ab");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

/* Behind the gzip stream: refused, but for zeros and a further member of the same data. */
static void test_appended_to_gzip(void **state) {
    (void)state;
    static const uint8_t zeros[100];
    size_t size;
    struct stat status;
    char expected[64];
    uint8_t *bytes = idx_make(values, 3, shape, &size);
    const char *path = scratch_path("longer.gz");
    write_gzip(path, bytes, size);
    assert_int_equal(stat(path, &status), 0);
    snprintf(expected, sizeof expected, "byte %lld: the compressed data end here", (long long)status.st_size);
    append(path, zeros, sizeof zeros);
    assert_reads(path);
    append(path, "x", 1);
    assert_refused(path, expected);
    write_gzip(path, bytes, size);
    append(path, "garbage", 7);
    assert_refused(path, expected);
    write_gzip(path, bytes, 20);
    gzFile file = gzopen(path, "ab");
    assert_int_equal(gzwrite(file, bytes + 20, (unsigned)size - 20), size - 20);
    assert_int_equal(gzclose(file), Z_OK);
    assert_reads(path);
    file = gzopen(path, "ab");
    assert_int_equal(gzwrite(file, "y", 1), 1);
    assert_int_equal(gzclose(file), Z_OK);
    assert_refused(path, "the values end here, but the file goes on");
    free(bytes);
}

static void test_no_file(void **state) {
    (void)state;
    assert_refused(scratch_path("missing"), "No such file");
    assert_refused(scratch_root, "not a regular file");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_and_gzip), cmocka_unit_test(test_wrong_headers), cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_damaged_gzip),   cmocka_unit_test(test_no_file),       cmocka_unit_test(test_appended_to_gzip),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
