#include "fixture.h"

#include "sweepd/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

static const uint8_t labels[] = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1};
enum { TRAIN = 10, TEST = 4, PAGE = 4096 };

/* Later than what was before, also where the clock of files is a coarse one. */
static void overwrite(const char *path, off_t offset, uint8_t byte, const struct timespec *written) {
    const struct timespec pause = {0, 50000000};
    nanosleep(&pause, NULL);
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
    overwrite(path, PAGE, 9, &before); /* its time of modification is the same, that of change is not */
    assert_int_equal(dataset_open(&data, scratch_root, "small", digest, &error), DATA_REFUSED);
    overwrite(path, PAGE, 0, &before);
    assert_int_equal(dataset_open(&data, scratch_root, "small", digest, &error), 0);
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

static const char fashion_digest[] = "f186e338c90b8f43e25771795cd29324122702abf9a353a3ac8d21ff7f80948d";

static void test_open_refuses(void **state) {
    (void)state;
    DatasetMap *data;
    Error error = {0};
    char digest[SHA256_HEX_MAX];
    memset(digest, 'a', sizeof digest - 1);
    digest[sizeof digest - 1] = '\0';
    assert_int_equal(dataset_open(&data, scratch_root, "../small", fashion_digest, &error), DATA_REFUSED);
    assert_int_equal(dataset_open(&data, scratch_root, "", fashion_digest, &error), DATA_REFUSED);
    assert_int_equal(dataset_open(&data, scratch_root, "a\nb", fashion_digest, &error), DATA_REFUSED);
    assert_string_equal(error.text, "not a data set's name: \"a\\x0ab\"");
    assert_int_equal(dataset_open(&data, scratch_root, "small", "../../../etc", &error), DATA_REFUSED);
    assert_int_equal(dataset_open(&data, scratch_root, "nowhere", digest, &error), DATA_REFUSED);
    assert_non_null(strstr(error.text, "no data set is known as \"nowhere\""));
    assert_int_equal(mkdir(scratch_path("fashion-mnist"), 0755), 0);
    setenv("SWEEPD_DATA", scratch_root, 1);
    assert_int_equal(dataset_open(&data, scratch_root, "fashion-mnist", fashion_digest, &error), DATA_REFUSED);
    assert_non_null(strstr(error.text, "install the package dataset-fashion-mnist"));

    /* Files that are there and well formed, but other data. */
    fixture_pack("e.pack", labels, TRAIN, TEST);
    static const char *const from[] = {"train-images", "train-labels", "test-images", "test-labels"};
    static const char *const to[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                                     "t10k-labels-idx1-ubyte"};
    for (int i = 0; i < 4; i++) {
        char target[128];
        snprintf(target, sizeof target, "fashion-mnist/%s", to[i]);
        assert_int_equal(rename(scratch_path(from[i]), scratch_path(target)), 0);
    }
    assert_int_equal(dataset_open(&data, scratch_root, "fashion-mnist", fashion_digest, &error), DATA_REFUSED);
    assert_non_null(strstr(error.text, "has the digest"));
    unsetenv("SWEEPD_DATA");

    /* A pack of an older version under the name: what to do, and no digest that was not read. */
    char path[PATH_TEXT_MAX];
    const struct timespec now = {.tv_nsec = UTIME_NOW};
    snprintf(path, sizeof path, "%s/data/small.pack", scratch_root);
    assert_int_equal(rename(scratch_path("e.pack"), path), 0);
    overwrite(path, 8, 2, &now);
    assert_int_equal(dataset_open(&data, scratch_root, "small", digest, &error), DATA_REFUSED);
    assert_non_null(strstr(error.text, "small.pack: byte 8: packed in version 2 of the format"));
    overwrite(path, 8, 3, &now);
    assert_int_equal(rename(path, scratch_path("e.pack")), 0);

    /* A pack under another pack's name. */
    snprintf(path, sizeof path, "%s/data/small-%s.pack", scratch_root, digest);
    assert_int_equal(rename(scratch_path("e.pack"), path), 0);
    assert_int_equal(dataset_open(&data, scratch_root, "small", digest, &error), DATA_REFUSED);
    assert_null(data);
    assert_non_null(strstr(error.text, "is not the data that is asked for: it is small, digest "));
}

/* The real data, packed by three makers at once; each then maps a whole pack, and no other file is left. A folder of the user's own that
 * does not have them does not stand before the package's. */
static void test_fashion_mnist(void **state) {
    (void)state;
    if (!file_exists("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz"))
        skip();
    DatasetMap *data;
    Error error = {0};
    setenv("SWEEPD_DATA", "/nonexistent", 1);
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
    unsetenv("SWEEPD_DATA");
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

/* What the machine hinders is no fault of the file: a run must not fail by it, and its checkpoint must not be taken for a damaged one. */
static void test_a_hindered_machine_refuses_nothing(void **state) {
    (void)state;
    DatasetMap *data;
    DataInfo info;
    Safetensors *tensors;
    Idx array;
    Error error = {0};
    const char *path = fixture_pack("h.pack", labels, TRAIN, TEST), *gone = scratch_path("gone");
    struct rlimit limit, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){0, limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int header = dataset_header_read(path, &info, &error), map = dataset_map(&data, path, false, &error),
        idx = idx_read(&array, path, &error), saved = safetensors_open(&tensors, path, &error);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(header == -1 && map == -1 && idx == -1 && saved == -1);
    assert_non_null(strstr(error.text, "Too many open files"));
    assert_int_equal(dataset_header_read(gone, &info, &error), DATA_REFUSED);
    assert_int_equal(dataset_map(&data, gone, false, &error), DATA_REFUSED);
    assert_int_equal(safetensors_open(&tensors, gone, &error), DATA_REFUSED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_refuses),  cmocka_unit_test(test_open_verifies_the_bytes),
        cmocka_unit_test(test_stamp),         cmocka_unit_test(test_a_hindered_machine_refuses_nothing),
        cmocka_unit_test(test_fashion_mnist),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
