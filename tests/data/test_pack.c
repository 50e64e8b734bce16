#include "fixture.h"

#include "dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static const uint8_t labels[] = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1};
enum { TRAIN = 10, TEST = 4, PAGE = 4096 };

static void test_round_trip(void **state) {
    (void)state;
    DatasetMap *data;
    Error error = {0};
    const char *path = fixture_pack("a.pack", labels, TRAIN, TEST);
    assert_int_equal(dataset_map(&data, path, true, &error), 0);
    const DataInfo *info = dataset_info(data);
    assert_string_equal(info->name, "small");
    assert_int_equal(info->inputs, 6);
    assert_int_equal(info->classes, 4);
    assert_int_equal(info->train_count, TRAIN);
    assert_int_equal(info->test_count, TEST);

    /* The digest by its definition: a text of what the header says, then the payloads, one after the other. 0.5 and 0.25 are powers of two.
     */
    uint8_t payload[100 + TRAIN * 7 + TEST * 7];
    size_t size = (size_t)sprintf((char *)payload, "1 2 3 4 10 4 0\n3f000000 3e800000\n");
    for (int i = 0; i < 6 * TRAIN; i++)
        payload[size++] = (uint8_t)(7 * (i / 6) + i % 6);
    memcpy(payload + size, labels, TRAIN);
    size += TRAIN;
    for (int i = 0; i < 6 * TEST; i++)
        payload[size++] = (uint8_t)(7 * (i / 6) + i % 6);
    memcpy(payload + size, labels, TEST);
    size += TEST;
    char digest[SHA256_HEX_MAX];
    assert_int_equal(sha256_hex(payload, size, digest, &error), 0);
    assert_string_equal(info->digest, digest);
    dataset_free(data);
}

static uint8_t *pack_bytes(const char *path, size_t *size) {
    Buffer buffer;
    Error error;
    buffer_init(&buffer, 1 << 20);
    assert_int_equal(file_read(path, 1 << 20, &buffer, &error), 0);
    *size = buffer.size;
    return (uint8_t *)buffer.data;
}

static void assert_refused(const char *path, bool verify, const char *part) {
    DatasetMap *data;
    Error error = {0};
    assert_int_equal(dataset_map(&data, path, verify, &error), DATA_REFUSED);
    assert_null(data);
    if (!strstr(error.text, path) || !strstr(error.text, part))
        fail_msg("\"%s\" does not say \"%s\"", error.text, part);
}

typedef struct Damage {
    size_t offset;
    uint8_t byte;
    bool verify;
    const char *part;
} Damage;

static void test_damaged_packs(void **state) {
    (void)state;
    static const Damage damages[] = {
        {0, 'x', false, "byte 0: not a packed data set"},
        {8, 4, false, "byte 8: packed by another version"},
        {8, 0, false, "byte 8: packed by another version"},
        {8, 1, false, "byte 8: packed in version 1 of the format, where 3 is read: make it again by 'sweepctl data pack'"},
        {8, 2, false, "byte 8: packed in version 2 of the format, where 3 is read: make it again by 'sweepctl data pack'"},
        {16, 1, false, "byte 16:"},
        {24, 0, false, "byte 24: the number of inputs"},
        {31, 0x80, false, "byte 24: the number of inputs"},
        {35, 2, false, "byte 32: the number of classes"},
        {44, 1, false, "byte 40: the number of training examples"},
        {48, 0, false, "byte 48: the number of test examples"},
        {41, 0xff, false, "byte 16:"}, /* more examples than the file holds */
        {256, 0, false, "byte 256: the height"},
        {264, 0, false, "byte 264: the width"},
        {264, 2, false, "byte 272: height, width and channels"},
        {272, 5, false, "byte 272: height, width and channels"},
        {280, 1, false, "byte 280: a section"},
        {291, 2, false, "byte 288: the size of the class names"},
        {299, 0xff, false, "byte 296: the mean"},
        {315, 0xbf, false, "byte 296: the mean or the deviation"},
        {73, 0x11, false, "byte 72: a section"},
        {159, 'x', false, "byte 96: the name"},
        {96, 0, false, "byte 96: the name is not of letters"},
        {98, '\n', false, "byte 98: the name is not of letters"},
        {96, 0x1b, false, "byte 96: the name is not of letters"},
        {170, '"', false, "byte 170: the digest is not of 64 hexadecimal digits"},
        {223, 0, false, "byte 223: the digest is not of 64 hexadecimal digits"},
        {296, 1, true, "byte 160: the bytes do not have the header's digest"},
        {312, 1, true, "byte 160: the bytes do not have the header's digest"},
        {2 * PAGE + 1, 4, false, "byte 8193: label 4, but there are 4 classes"},
        {PAGE, 9, true, "byte 160: the bytes do not have the header's digest"},
    };
    size_t size;
    uint8_t *bytes = pack_bytes(fixture_pack("b.pack", labels, TRAIN, TEST), &size);
    assert_int_equal(size, 5 * PAGE);
    const char *path = scratch_path("damaged.pack");
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        uint8_t whole = bytes[damages[i].offset];
        bytes[damages[i].offset] = damages[i].byte;
        scratch_write(path, bytes, size);
        assert_refused(path, damages[i].verify, damages[i].part);
        bytes[damages[i].offset] = whole;
    }
    static const size_t lengths[] = {0, 100, PAGE - 1, PAGE, 2 * PAGE, 5 * PAGE - 1};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        scratch_write(path, bytes, lengths[i]);
        assert_refused(path, false, lengths[i] < PAGE ? "no file of at least 4096 bytes" : "byte 16:");
    }
    free(bytes);
}

/* ---- what makes data other data ---- */

/* Pixels and labels of fixture_pack's training files, as images of this shape. */
static void digest_of(const int shape[3], int dimensions, float mean, float deviation, char digest[SHA256_HEX_MAX]) {
    static uint8_t pixels[6 * TRAIN];
    const char *files[] = {scratch_path("x"), scratch_path("y"), scratch_path("x"), scratch_path("y")};
    DataInfo info;
    Error error = {0};
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(5 * i);
    idx_write(files[0], pixels, dimensions, shape);
    idx_write(files[1], labels, 1, shape);
    if (dataset_pack_idx("small", files, mean, deviation, NULL, scratch_path("z.pack"), &info, &error))
        fail_msg("%s", error.text);
    memcpy(digest, info.digest, sizeof info.digest);
    if (mean == 0) /* it is not measured in its place */
        assert_true(info.mean[0] == 0 && info.deviation[0] == deviation);
}

/* The same bytes train to other weights when they are normalised otherwise, or mirrored as images of another width. */
static void test_digest_covers_scale_and_shape(void **state) {
    (void)state;
    const int image[] = {TRAIN, 2, 3}, turned[] = {TRAIN, 3, 2}, row[] = {TRAIN, 6, 1};
    char digests[6][SHA256_HEX_MAX];
    digest_of(image, 3, 0.5f, 0.25f, digests[0]);
    digest_of(image, 3, 0.5f, 0.2500001f, digests[1]);
    digest_of(image, 3, 0.5000001f, 0.25f, digests[2]);
    digest_of(turned, 3, 0.5f, 0.25f, digests[3]);
    digest_of(row, 2, 0.5f, 0.25f, digests[4]);
    digest_of(image, 3, 0, 0.25f, digests[5]);
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(digests[i], digests[j]);
}

static int write_named(const char *path, const char *const *names, DataInfo *info, Error *error) {
    PackWriter writer;
    *info =
        (DataInfo){.name = "named", .height = 1, .width = 2, .channels = 1, .inputs = 2, .classes = 3, .train_count = 3, .test_count = 3};
    int result = pack_writer_open(&writer, info, path, error);
    for (int i = 0; i < 6 && !result; i++) {
        memset(pack_writer_row(&writer, i < 3 ? DATA_TRAIN : DATA_TEST, i % 3), 40 * i, 2);
        pack_writer_keep(&writer, i < 3 ? DATA_TRAIN : DATA_TEST, i % 3, (uint16_t)(i % 3));
    }
    if (!result)
        result = pack_writer_finish(&writer, names, NULL, info, error);
    pack_writer_deinit(&writer);
    return result;
}

enum { NAMES_AT = 5 * PAGE };

static void test_class_names(void **state) {
    (void)state;
    static const char *const names[] = {"cat", "dog", "caf\xc3\xa9"}, *const other[] = {"dog", "cat", "caf\xc3\xa9"};
    static const Damage damages[] = {
        {NAMES_AT, 'b', true, "byte 160: the bytes do not have the header's digest"},
        {NAMES_AT + 5, '\n', false, "byte 20485: a class name that is not UTF-8 without control characters"},
        {NAMES_AT, 0x1b, false, "byte 20480: a class name that is not UTF-8"},
        {NAMES_AT + 12, 'x', false, "byte 20491: a class name that is not UTF-8"},
        {NAMES_AT, 0, false, "byte 20480: a class without a name"},
        {NAMES_AT + 1, 0, false, "byte 20480: there is not one name for each class"},
        {NAMES_AT + 13, 'x', false, "byte 20493: the last class name has no end"},
    };
    DatasetMap *data;
    DataInfo info, swapped, nameless;
    Error error = {0};
    size_t size;
    const char *path = scratch_path("named.pack"), *damaged = scratch_path("damaged.pack");
    assert_int_equal(write_named(damaged, NULL, &nameless, &error), 0);
    assert_int_equal(write_named(damaged, other, &swapped, &error), 0);
    assert_int_equal(write_named(path, names, &info, &error), 0);
    assert_string_not_equal(info.digest, swapped.digest);
    assert_string_not_equal(info.digest, nameless.digest);
    assert_int_equal(dataset_map(&data, path, true, &error), 0);
    assert_string_equal(dataset_class_name(data, 2), names[2]);
    dataset_free(data);
    uint8_t *bytes = pack_bytes(path, &size);
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        uint8_t whole = bytes[damages[i].offset];
        bytes[damages[i].offset] = damages[i].byte;
        scratch_write(damaged, bytes, size);
        assert_refused(damaged, damages[i].verify, damages[i].part);
        bytes[damages[i].offset] = whole;
    }
    free(bytes);
}

/* What could not be read is not written, and the error that quotes it is one line. */
static void test_refused_names(void **state) {
    (void)state;
    static const char *const wrong[][3] = {{"a", "b\nc", "d"}, {"a", "b", "caf\xe9"}, {"\033[2J", "b", "c"}, {"a", "", "c"}};
    static const char *const parts[] = {"class 1 has the name \"b\\x0ac\"", "class 2 has the name \"caf\\xe9\"",
                                        "class 0 has the name \"\\x1b[2J\"", "class 1 has the name \"\""};
    DataInfo info;
    Error error = {0};
    const char *path = scratch_path("refused.pack");
    for (int i = 0; i < 4; i++) {
        assert_int_equal(write_named(path, wrong[i], &info, &error), DATA_REFUSED);
        if (!strstr(error.text, parts[i]))
            fail_msg("\"%s\" does not say \"%s\"", error.text, parts[i]);
        assert_false(file_exists(path));
    }
}

/* ---- writing ---- */

static enum { WRITES_WHOLE, WRITES_SHORT, WRITES_NOTHING } writes;

/* In the place of the system's. */
ssize_t pwrite(int descriptor, const void *bytes, size_t size, off_t offset) {
    errno = 0;
    if (writes == WRITES_NOTHING)
        return 0;
    return syscall(SYS_pwrite64, descriptor, bytes, writes == WRITES_SHORT && size > 3 ? 3 : size, offset);
}

static void test_short_writes(void **state) {
    (void)state;
    static const char *const names[] = {"one", "and another", "and the third"};
    DatasetMap *data;
    DataInfo info;
    Error error = {0};
    const char *path = scratch_path("short.pack");
    writes = WRITES_SHORT;
    int result = write_named(path, names, &info, &error);
    writes = WRITES_WHOLE;
    assert_int_equal(result, 0);
    assert_int_equal(dataset_map(&data, path, true, &error), 0);
    assert_string_equal(dataset_class_name(data, 2), names[2]);
    dataset_free(data);
    unlink(path);
    writes = WRITES_NOTHING;
    result = write_named(path, names, &info, &error);
    writes = WRITES_WHOLE;
    assert_int_equal(result, -1);
    assert_non_null(strstr(error.text, "No space left"));
    assert_false(file_exists(path));
}

/* What a killed packer had of a pack goes with it, where the file system lets a file be without a name. */
static void test_killed_writer(void **state) {
    (void)state;
    int status, probe = open(scratch_root, O_TMPFILE | O_RDWR, 0600);
    if (probe < 0)
        skip();
    close(probe);
    const char *path = fixture_pack("kept.pack", labels, TRAIN, TEST);
    size_t before, after;
    uint8_t *old = pack_bytes(path, &before);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        PackWriter writer;
        Error error;
        DataInfo info = {
            .name = "kept", .height = 1, .width = 1, .channels = 1, .inputs = 1, .classes = 2, .train_count = 99, .test_count = 1};
        if (pack_writer_open(&writer, &info, path, &error))
            _exit(1);
        *pack_writer_row(&writer, DATA_TRAIN, 98) = 7;
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    uint8_t *new = pack_bytes(path, &after);
    assert_int_equal(before, after);
    assert_memory_equal(old, new, after);
    free(old);
    free(new);
    glob_t found;
    assert_int_equal(glob(scratch_path("kept*"), 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 1);
    globfree(&found);
}

static int pack_sources(const char *train_images, const char *train_labels, const char *test_images, const char *test_labels,
                        const char *out, Error *error) {
    const char *const paths[] = {train_images, train_labels, test_images, test_labels};
    DataInfo info;
    return dataset_pack_idx("small", paths, 0, 1, NULL, out, &info, error);
}

/* Sources that do not go together. */
static void test_refused_sources(void **state) {
    (void)state;
    fixture_pack("c.pack", labels, TRAIN, TEST);
    const char *images = scratch_path("train-images"), *train = scratch_path("train-labels"), *others = scratch_path("test-images"),
               *test = scratch_path("test-labels"), *out = scratch_path("d.pack");
    Error error;
    assert_int_equal(pack_sources(images, test, others, test, out, &error), DATA_REFUSED);
    assert_non_null(strstr(error.text, "4 labels for the 10 images"));
    assert_int_equal(pack_sources(train, train, others, test, out, &error), DATA_REFUSED);
    assert_non_null(strstr(error.text, "images have 2 or 3 dimensions"));
    assert_int_equal(pack_sources(images, images, others, test, out, &error), DATA_REFUSED);
    assert_non_null(strstr(error.text, "labels have 1 dimension, these 3"));
    assert_int_equal(pack_sources(others, test, images, train, scratch_path("missing/d.pack"), &error), -1);
    static const uint8_t more[] = {0, 1, 0, 1, 5}; /* a test label that no training example has */
    int shape = 4;
    idx_write(test, more + 1, 1, &shape);
    assert_int_equal(pack_sources(images, train, others, test, out, &error), DATA_REFUSED);
    assert_non_null(strstr(error.text, "byte 11: label 5, but there are 4 classes"));
    assert_false(file_exists(out));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_damaged_packs),   cmocka_unit_test(test_digest_covers_scale_and_shape),
        cmocka_unit_test(test_class_names),   cmocka_unit_test(test_refused_names),   cmocka_unit_test(test_short_writes),
        cmocka_unit_test(test_killed_writer), cmocka_unit_test(test_refused_sources),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
