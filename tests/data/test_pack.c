#include "fixture.h"

#include <fcntl.h>
#include <glob.h>
#include <sys/wait.h>
#include <time.h>

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

    /* The digest by its definition: the payloads, one after the other. */
    uint8_t payload[TRAIN * 7 + TEST * 7];
    size_t size = 0;
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
        {8, 3, false, "byte 8: packed by another version"},
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

/* What version 0.1.0 wrote: no shape, one mean and one deviation at bytes 56 and 60, and zeros from byte 225 on. */
static void test_version_1(void **state) {
    (void)state;
    size_t size;
    DatasetMap *data, *newer;
    Error error = {0};
    const float scale[2] = {0.5f, 0.25f};
    const char *packed = fixture_pack("newer.pack", labels, TRAIN, TEST);
    assert_int_equal(dataset_map(&newer, packed, true, &error), 0);
    uint8_t *bytes = pack_bytes(packed, &size);
    bytes[8] = 1;
    memcpy(bytes + 56, scale, sizeof scale);
    memset(bytes + 225, 0, PAGE - 225);
    const char *path = scratch_path("older.pack");
    scratch_write(path, bytes, size);
    free(bytes);
    assert_int_equal(dataset_map(&data, path, true, &error), 0);
    const DataInfo *info = dataset_info(data);
    assert_string_equal(info->digest, dataset_info(newer)->digest);
    assert_int_equal(info->inputs, 6);
    assert_int_equal(info->height, 1);
    assert_int_equal(info->width, 6);
    for (uint32_t i = 0; i < TRAIN; i++) {
        float x[2][6];
        uint16_t y[2];
        batch_gather(data, DATA_TRAIN, &i, 1, x[0], &y[0]);
        batch_gather(newer, DATA_TRAIN, &i, 1, x[1], &y[1]);
        assert_memory_equal(x[0], x[1], sizeof x[0]);
        assert_int_equal(y[0], y[1]);
    }
    dataset_free(data);
    dataset_free(newer);
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

static void overwrite(const char *path, off_t offset, uint8_t byte, const struct timespec *written) {
    int descriptor = open(path, O_WRONLY);
    assert_true(descriptor >= 0);
    assert_int_equal(pwrite(descriptor, &byte, 1, offset), 1);
    assert_int_equal(futimens(descriptor, (const struct timespec[2]){{.tv_nsec = UTIME_OMIT}, *written}), 0);
    close(descriptor);
}

/* A run is not trained on pixels that changed under a good digest; and a pack that did not change is hashed once. */
static void test_open_verifies_the_bytes(void **state) {
    (void)state;
    DatasetMap *data;
    Error error = {0};
    char digest[SHA256_HEX_MAX], path[PATH_TEXT_MAX];
    const char *packed = fixture_pack("f.pack", labels, TRAIN, TEST);
    assert_int_equal(dataset_map(&data, packed, false, &error), 0);
    text_copy(digest, sizeof digest, dataset_info(data)->digest);
    dataset_free(data);
    assert_int_equal(directory_make(scratch_path("data"), 0755, &error), 0);
    assert_int_equal(path_format(path, &error, "%s/data/small-%s.pack", scratch_root, digest), 0);
    assert_int_equal(rename(packed, path), 0);
    const struct timespec before = {1000, 0}, after = {1000, 1};
    overwrite(path, PAGE, 0, &before); /* the byte that is there */
    assert_int_equal(dataset_open(&data, scratch_root, "small", digest, &error), 0);
    dataset_free(data);
    overwrite(path, PAGE, 9, &before);
    assert_int_equal(dataset_open(&data, scratch_root, "small", digest, &error), 0); /* by its time the same: not hashed again */
    dataset_free(data);
    overwrite(path, PAGE, 9, &after);
    assert_int_equal(dataset_open(&data, scratch_root, "small", digest, &error), DATA_REFUSED);
    assert_null(data);
    assert_non_null(strstr(error.text, "the bytes do not have the header's digest; remove the file"));
    unlink(path);
}

static void write_stamp(const char *path, const char *digest, int64_t more) {
    char stamp[PATH_TEXT_MAX], text[512];
    struct stat status;
    Error error = {0};
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(path_format(stamp, &error, "%s.verified", path), 0);
    int size = snprintf(text, sizeof text, "sweepd verified 1\n%s\nfile %ju, %jd bytes, written %jd.%09ld, changed %jd.%09ld\n", digest,
                        (uintmax_t)status.st_ino, (intmax_t)(status.st_size + more), (intmax_t)status.st_mtim.tv_sec,
                        status.st_mtim.tv_nsec, (intmax_t)status.st_ctim.tv_sec, status.st_ctim.tv_nsec);
    assert_int_equal(file_write_atomic(stamp, text, (size_t)size, 0644, &error), 0);
}

/* A stamp spares the hashing of the very file that it describes, and of no other. */
static void test_stamp(void **state) {
    (void)state;
    DatasetMap *data;
    Error error = {0};
    char digest[SHA256_HEX_MAX], path[PATH_TEXT_MAX], stamp[PATH_TEXT_MAX];
    const char *packed = fixture_pack("g.pack", labels, TRAIN, TEST);
    assert_int_equal(dataset_map(&data, packed, false, &error), 0);
    text_copy(digest, sizeof digest, dataset_info(data)->digest);
    dataset_free(data);
    assert_true(directory_make(scratch_path("data"), 0755, &error) >= 0);
    assert_int_equal(path_format(path, &error, "%s/data/small-%s.pack", scratch_root, digest), 0);
    assert_int_equal(path_format(stamp, &error, "%s.verified", path), 0);
    assert_int_equal(rename(packed, path), 0);
    unlink(stamp);
    assert_int_equal(dataset_open(&data, scratch_root, "small", digest, &error), 0);
    dataset_free(data);
    assert_false(file_exists(stamp)); /* the file is too new to tell it from one that is written a moment later */
    const struct timespec pause = {1, 100000000};
    nanosleep(&pause, NULL);
    assert_int_equal(dataset_open(&data, scratch_root, "small", digest, &error), 0);
    dataset_free(data);
    assert_true(file_exists(stamp));

    const struct timespec later = {2000, 0};
    overwrite(path, PAGE, 9, &later);
    assert_int_equal(dataset_open(&data, scratch_root, "small", digest, &error), DATA_REFUSED);
    write_stamp(path, digest, 0); /* as if it had been right so */
    assert_int_equal(dataset_open(&data, scratch_root, "small", digest, &error), 0);
    dataset_free(data);
    assert_int_equal(dataset_map(&data, path, true, &error), DATA_REFUSED);
    write_stamp(path, digest, 1);
    assert_int_equal(dataset_open(&data, scratch_root, "small", digest, &error), DATA_REFUSED);
    write_stamp(path, "another digest", 0);
    assert_int_equal(dataset_open(&data, scratch_root, "small", digest, &error), DATA_REFUSED);
    unlink(path);
    unlink(stamp);
}

static const char fashion_digest[] = "ca3ab2a37f845e1b8ae23cab1b51749a3011ba3bf1d9016176d75cbaabac376f";

static void test_open_refuses(void **state) {
    (void)state;
    DatasetMap *data;
    Error error = {0};
    char digest[SHA256_HEX_MAX];
    memset(digest, 'a', sizeof digest - 1);
    digest[sizeof digest - 1] = '\0';
    assert_int_equal(dataset_open(&data, scratch_root, "../small", fashion_digest, &error), DATA_REFUSED);
    assert_int_equal(dataset_open(&data, scratch_root, "", fashion_digest, &error), DATA_REFUSED);
    assert_int_equal(dataset_open(&data, scratch_root, "small", "../../../etc", &error), DATA_REFUSED);
    assert_int_equal(dataset_open(&data, scratch_root, "nowhere", digest, &error), DATA_REFUSED);
    assert_non_null(strstr(error.text, "no data set is known as \"nowhere\""));
    setenv("SWEEPD_DATA", "/nonexistent", 1);
    assert_int_equal(dataset_open(&data, scratch_root, "fashion-mnist", fashion_digest, &error), DATA_REFUSED);
    assert_non_null(strstr(error.text, "install the package dataset-fashion-mnist"));

    /* Files that are there and well formed, but other data. */
    fixture_pack("e.pack", labels, TRAIN, TEST);
    assert_int_equal(mkdir(scratch_path("fashion-mnist"), 0755), 0);
    static const char *const from[] = {"train-images", "train-labels", "test-images", "test-labels"};
    static const char *const to[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                                     "t10k-labels-idx1-ubyte"};
    for (int i = 0; i < 4; i++) {
        char target[128];
        snprintf(target, sizeof target, "fashion-mnist/%s", to[i]);
        assert_int_equal(rename(scratch_path(from[i]), scratch_path(target)), 0);
    }
    setenv("SWEEPD_DATA", scratch_root, 1);
    assert_int_equal(dataset_open(&data, scratch_root, "fashion-mnist", fashion_digest, &error), DATA_REFUSED);
    assert_non_null(strstr(error.text, "has the digest"));
    unsetenv("SWEEPD_DATA");

    /* A pack under another pack's name. */
    char path[PATH_TEXT_MAX];
    snprintf(path, sizeof path, "%s/data/small-%s.pack", scratch_root, digest);
    assert_int_equal(rename(scratch_path("e.pack"), path), 0);
    assert_int_equal(dataset_open(&data, scratch_root, "small", digest, &error), DATA_REFUSED);
    assert_null(data);
    assert_non_null(strstr(error.text, "is not the data that is asked for: it is small, digest "));
}

/* The real data, packed by three makers at once; each then maps a whole pack, and no other file is left. */
static void test_fashion_mnist(void **state) {
    (void)state;
    if (!file_exists("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz"))
        skip();
    DatasetMap *data;
    Error error = {0};
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            int result = dataset_open(&data, scratch_root, "fashion-mnist", fashion_digest, &error);
            dataset_free(data);
            _exit(result != 0);
        }
    }
    int status;
    while (wait(&status) > 0)
        assert_int_equal(status, 0);
    char path[PATH_TEXT_MAX];
    snprintf(path, sizeof path, "%s/data/fashion-mnist-%s.pack", scratch_root, fashion_digest);
    assert_int_equal(dataset_map(&data, path, true, &error), 0);
    const DataInfo *info = dataset_info(data);
    assert_string_equal(info->digest, fashion_digest);
    assert_int_equal(info->inputs, 784);
    assert_int_equal(info->classes, 10);
    assert_int_equal(info->train_count, 60000);
    assert_int_equal(info->test_count, 10000);
    assert_true(info->mean[0] == 0.286f && info->deviation[0] == 0.353f);
    dataset_free(data);
    glob_t found;
    assert_int_equal(glob(scratch_path("data/fashion*"), 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 1);
    globfree(&found);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),      cmocka_unit_test(test_damaged_packs), cmocka_unit_test(test_version_1),
        cmocka_unit_test(test_refused_sources), cmocka_unit_test(test_open_refuses),  cmocka_unit_test(test_open_verifies_the_bytes),
        cmocka_unit_test(test_stamp),           cmocka_unit_test(test_fashion_mnist),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
