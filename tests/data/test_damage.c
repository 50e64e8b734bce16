/* Every format cut, changed, mislabelled: one error with the place, nothing written, no crash. */
#include "formats.h"

static const PackOptions options = {.name = "made", .height = 8, .width = 8, .threads = 1};

typedef void (*Make)(TestFiles *files);

static void assert_refused(const char *source, const char *part) {
    PackReport report;
    Error error = {0};
    int result = dataset_pack(&report, source, scratch_path("out.pack"), &options, &error);
    assert_int_equal(result, DATA_REFUSED);
    if (!strstr(error.text, source) || !strstr(error.text, part))
        fail_msg("\"%s\" does not say \"%s\"", error.text, part);
    assert_nothing_written();
}

static void check(TestFiles *files, TestContainer container, const char *part) {
    assert_refused(files_write(files, container, false, container == AS_FOLDER ? "folder" : "source"), part);
    files_free(files);
}

static void test_records(void **state) {
    (void)state;
    TestFiles files = {.count = 0};
    make_cifar10(&files);
    files_find(&files, "data_batch_4")->bytes[3073] = 10;
    check(&files, AS_TAR_GZ, "cifar-10-batches-bin/data_batch_4.bin: byte 3073: label 10, but there are 10 classes");
    make_cifar10(&files);
    files_find(&files, "data_batch_2")->size--;
    check(&files, AS_TAR, "cifar-10-batches-bin/data_batch_2.bin: byte 9218: cut short or too long");
    make_cifar10(&files);
    files_find(&files, "data_batch_5")->size = 3073;
    check(&files, AS_FOLDER, "data_batch_5.bin has 1 records, but data_batch_1.bin has 3");
    make_cifar10(&files);
    files_find(&files, "data_batch_3")->name[0] = 'x';
    strcpy(files_find(&files, "data_batch_3")->name, "other.bin");
    check(&files, AS_ZIP, "data_batch_3.bin is missing, a part of CIFAR-10");
    make_cifar10(&files);
    strcpy(files_find(&files, "data_batch_3")->name, "twice/data_batch_2.bin");
    check(&files, AS_ZIP, "are both there");
    make_cifar10(&files);
    files_find(&files, "batches.meta")->size = 9;
    check(&files, AS_ZIP, "batches.meta.txt: 1 class names; expected 10");
    make_cifar100(&files);
    files_find(&files, "test.bin")->bytes[1] = 100;
    check(&files, AS_FOLDER, "test.bin: byte 1: label 100");
    make_stl10(&files);
    files_find(&files, "test_y")->bytes[2] = 0;
    check(&files, AS_TAR, "test_y.bin: byte 2: label 0; expected 1 to 10");
    make_stl10(&files);
    files_find(&files, "train_y")->size = 14;
    check(&files, AS_TAR, "train_y.bin: 14 labels for 15 images");
}

static void test_folders(void **state) {
    (void)state;
    TestFiles files = {.count = 0};
    make_tiny(&files);
    memcpy(files_find(&files, "val_annotations")->bytes, "other", 5);
    check(&files, AS_ZIP, "val_100.JPEG: not in val_annotations.txt");
    make_tiny(&files);
    files_find(&files, "val_annotations")->bytes[13] = 'm';
    check(&files, AS_ZIP, "val_100.JPEG: its class m0 has no training images");
    make_tiny(&files);
    files_find(&files, "val_annotations")->bytes[12] = ' ';
    files_find(&files, "val_annotations")->size = 14;
    check(&files, AS_ZIP, "val_annotations.txt:1: expected a file's name, a tab and its class");
    make_folders(&files);
    strcpy(files_find(&files, "val/n0/100")->name, "set/val/m/100.JPEG");
    check(&files, AS_TAR, "set/val/m/100.JPEG: its class m has no training images");
    make_folders(&files);
    strcpy(files_find(&files, "train/n1/1.jpg")->name, "set/train/n1/11.jpg");
    check(&files, AS_TAR, "set/train/n1/11.jpg is there twice");
    make_folders(&files);
    for (size_t i = 0; i < files.count; i++)
        if (strstr(files.items[i].name, "train"))
            files.items[i].size /= 3;
    check(&files, AS_FOLDER, "no training image could be read");
    make_folders(&files); /* names that would be lines of their own */
    strcpy(files_find(&files, "train/n1/1.jpg")->name, "set/train/n1/11\n.jpg");
    strcpy(files_find(&files, "val/n0/100")->name, "set/val/\033[2Jm/100.JPEG");
    check(&files, AS_TAR, "set/val/\\x1b[2Jm/100.JPEG: its class \\x1b[2Jm has no training images");
    make_folders(&files);
    for (size_t i = 0; i < files.count; i++) {
        char *class = strstr(files.items[i].name, "/n1/");
        if (class)
            class[2] = '\n';
    }
    check(&files, AS_TAR, "has the name \"n\\x0a\": expected UTF-8 without control characters");
    files_add_text(&files, "readme.txt", "nothing");
    check(&files, AS_TAR, "none of its 1 files is known");
    assert_refused(scratch_path("missing"), "No such file");
    assert_refused("/dev/null", "neither a folder nor a file");
}

/* The same set twice, whole or a part of it that decides. */
static void test_two_of_one(void **state) {
    (void)state;
    TestFiles files = {.count = 0};
    make_stl10(&files);
    files_add(&files, "a/train_y.bin", 15);
    check(&files, AS_TAR, "stl10_binary/train_y.bin and a/train_y.bin are both there; leave one");
    make_tiny(&files);
    files_add_text(&files, "val_annotations.txt", "val_100.JPEG\tn1\n");
    check(&files, AS_TAR_GZ, "tiny-imagenet-200/val/val_annotations.txt and val_annotations.txt are both there");
    make_tiny(&files);
    memcpy(files_find(&files, "val_annotations")->bytes, "val_101.JPEG", 12);
    check(&files, AS_ZIP, "val/val_annotations.txt: lines 1 and 2 are both for val_101.JPEG");
    make_tiny(&files);
    TestFile *annotations = files_find(&files, "val_annotations");
    for (size_t i = 0; i < annotations->size; i++)
        annotations->bytes[i] = annotations->bytes[i] == '\n' ? '\r' : annotations->bytes[i];
    memcpy(annotations->bytes, "val_101.JPEG", 12);
    check(&files, AS_ZIP, "val/val_annotations.txt: lines 1 and 2 are both for val_101.JPEG");
    for (int container = AS_FOLDER; container < CONTAINERS; container++) {
        make_folders(&files);
        files_add_jpeg(&files, "set/backup/train/n1/1.jpg", 1, 64);
        check(&files, (TestContainer)container, "two sets of images; leave one");
        directory_remove(scratch_path("folder"));
    }
    make_folders(&files);
    strcpy(files_add(&files, "set/self", 0)->soft, ".");
    check(&files, AS_FOLDER, "set/self/self: a link to a folder");
    directory_remove(scratch_path("folder"));
}

static void check_link(const char *name, const char *soft, const char *hard, bool in_folder, const char *error) {
    TestFiles files = {.count = 0};
    for (int container = in_folder ? AS_FOLDER : AS_TAR; container < CONTAINERS; container++) {
        if (container == AS_ZIP && *hard)
            continue; /* it has none */
        make_folders(&files);
        TestFile *link = files_add(&files, name, 0);
        strcpy(link->soft, soft);
        strcpy(link->hard, hard);
        check(&files, (TestContainer)container, error);
        directory_remove(scratch_path("folder"));
    }
}

/* What a link should bring and does not is not left out in silence. */
static void test_links_to_nowhere(void **state) {
    (void)state;
    check_link("set/train/n1/a.jpg", "../n1/b.jpg", "", true, "set/train/n1/a.jpg: a link to ");
    check_link("set/train/n1/a.jpg", "a.jpg", "", true, "set/train/n1/a.jpg: a link to ");
    check_link("set/train/n1/a.jpg", "/no/such/b.jpg", "", true, "set/train/n1/a.jpg: a link to ");
    check_link("set/train/n1/a.jpg", "../../../../b.jpg", "", true, "set/train/n1/a.jpg: a link to ");
    check_link("set/train/n1/a.jpg", "", "set/train/n1/b.jpg", false, "a.jpg: a link to set/train/n1/b.jpg, which is not there");
    check_link("self", ".", "", true, "self: a link to a folder");
    check_link("set/train/m", "n1", "", false, "set/train/m: a link to a folder; put the folder itself there");
    check_link("set/val/val_annotations.txt", "../train/n1/notes.txt", "", false, "put the file itself there");
}

/* Which of the two it is, one program or the other would say otherwise. */
static void test_links_to_two(void **state) {
    (void)state;
    static const TestContainer containers[] = {AS_TAR, AS_TAR_GZ, AS_ZIP};
    for (size_t i = 0; i < sizeof containers / sizeof *containers; i++) {
        TestFiles files = {.count = 0};
        make_folders(&files);
        files_add(&files, "pool/x.bin", 3);
        files_add(&files, "pool/x.bin", 4);
        strcpy(files_add(&files, "set/train/n1/a.jpg", 0)->soft, "../../../pool/x.bin");
        check(&files, containers[i], "set/train/n1/a.jpg: a link to pool/x.bin, which is there twice");
    }
}

static uint8_t *bytes_of(const char *path, size_t *size) {
    Buffer buffer;
    Error error;
    buffer_init(&buffer, 1 << 24);
    assert_int_equal(file_read(path, 1 << 24, &buffer, &error), 0);
    *size = buffer.size;
    return (uint8_t *)buffer.data;
}

/* must_pack: else it may be refused, too. */
static void assert_outcome(const char *source, bool must_pack) {
    PackReport report;
    Error error = {0};
    int result = dataset_pack(&report, source, scratch_path("out.pack"), &options, &error);
    assert_true(result == 0 || (result == DATA_REFUSED && !must_pack));
    if (result) {
        assert_non_null(strstr(error.text, source));
        assert_nothing_written();
    } else {
        DatasetMap *data;
        assert_int_equal(dataset_map(&data, scratch_path("out.pack"), true, &error), 0);
        dataset_free(data);
        remove(scratch_path("out.pack"));
    }
    pack_report_deinit(&report);
}

static const struct {
    const char *name;
    Make make;
} formats[] = {
    {"cifar10", make_cifar10}, {"cifar100", make_cifar100}, {"stl10", make_stl10}, {"tiny", make_tiny}, {"folders", make_folders}};

/* A container that ends early is never taken for whole: as every container has its end after the last file, each cut is refused. */
static void test_cut_containers(void **state) {
    (void)state;
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++)
        for (int container = AS_TAR; container < CONTAINERS; container++) {
            TestFiles files = {.count = 0};
            size_t size;
            const char *cut_zip =
                container == AS_ZIP ? "/cut: a zip, but its directory does not stand at its end: it is cut short, or more follows it" : "";
            formats[f].make(&files);
            const char *path = files_write(&files, (TestContainer)container, false, "source");
            uint8_t *bytes = bytes_of(path, &size);
            char cut[PATH_TEXT_MAX];
            text_copy(cut, sizeof cut, scratch_path("cut"));
            while (container == AS_TAR && !bytes[size - 1]) /* what fills up the last block, and the closing blocks */
                size--;
            for (size_t i = 1; i < 24; i++) {
                scratch_write(cut, bytes, size * i / 24);
                assert_refused(cut, cut_zip);
            }
            scratch_write(cut, bytes, size - 1);
            assert_refused(cut, cut_zip);
            if (container == AS_TAR) { /* between two files: after each header and its blocks */
                size_t at = 0;
                for (size_t i = 0; i < files.count; i++) {
                    scratch_write(cut, bytes, at);
                    assert_refused(cut, "");
                    at += 512 + (files.items[i].size + 511) / 512 * 512;
                }
            }
            free(bytes);
            files_free(&files);
        }
}

/* The bytes of a tar, as they are and compressed. */
static void refuse_tar(const uint8_t *bytes, size_t size, const char *part) {
    typedef int Filter(struct archive *);
    static Filter *const filters[] = {archive_write_add_filter_none, archive_write_add_filter_gzip, archive_write_add_filter_bzip2,
                                      archive_write_add_filter_xz, archive_write_add_filter_zstd};
    char path[PATH_TEXT_MAX];
    text_copy(path, sizeof path, scratch_path("bytes"));
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        struct archive *archive = archive_write_new();
        struct archive_entry *entry = archive_entry_new();
        archive_write_set_format_raw(archive);
        assert_int_equal(filters[i](archive), ARCHIVE_OK);
        assert_int_equal(archive_write_open_filename(archive, path), ARCHIVE_OK);
        archive_entry_set_filetype(entry, AE_IFREG);
        assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
        assert_int_equal(archive_write_data(archive, bytes, size), size);
        archive_entry_free(entry);
        assert_int_equal(archive_write_free(archive), ARCHIVE_OK);
        assert_refused(path, part);
    }
}

/* A tar is over at its closing blocks; what damage makes of a header must not be taken for them. */
static void test_early_ends(void **state) {
    (void)state;
    TestFiles files = {.count = 0};
    size_t size;
    make_folders(&files);
    uint8_t *bytes = bytes_of(files_write(&files, AS_TAR, false, "source"), &size), *changed = malloc(2 * size);
    assert_non_null(changed);
    size_t at = 0;
    for (size_t i = 0; i < files.count; i++) {
        refuse_tar(bytes, at, "");
        memcpy(changed, bytes, size);
        memset(changed + at, 0, i % 2 ? 512 : 1024);
        refuse_tar(changed, size, i ? "but more follows" : "");
        at += 512 + (files.items[i].size + 511) / 512 * 512;
    }
    refuse_tar(bytes, at, "without its closing blocks");
    refuse_tar(bytes, at + 512, "without its closing blocks");
    memcpy(changed, bytes, size);
    memcpy(changed + size, bytes, size);
    refuse_tar(changed, 2 * size, "two tars in one file");
    memset(changed + size, 0, size);
    changed[2 * size - 1] = 1;
    refuse_tar(changed, 2 * size, "but more follows");
    free(changed);
    free(bytes);
    files_free(&files);
}

static void write_with_tail(const char *path, const uint8_t *bytes, size_t size, const void *tail, size_t tail_size) {
    uint8_t *both = malloc(size + tail_size);
    assert_non_null(both);
    memcpy(both, bytes, size);
    memcpy(both + size, tail, tail_size);
    scratch_write(path, both, size + tail_size);
    free(both);
}

/* What follows the end of compressed data or of a zip: only zeros behind the former. */
static void test_appended(void **state) {
    (void)state;
    static const uint8_t zeros[512];
    TestFiles files = {.count = 0};
    make_folders(&files);
    for (int container = AS_TAR_GZ; container < CONTAINERS; container++) {
        size_t size;
        char expected[64], path[PATH_TEXT_MAX];
        uint8_t *bytes = bytes_of(files_write(&files, (TestContainer)container, false, "source"), &size);
        text_copy(path, sizeof path, scratch_path("longer"));
        bool names_end = container == AS_TAR_GZ || container == AS_TAR_BZ2 || container == AS_ZIP;
        snprintf(expected, sizeof expected, names_end ? "longer: byte %zu: the" : "longer", size);
        for (size_t more = 1; more < 40; more += 6) {
            write_with_tail(path, bytes, size, "garbage that nobody has asked for here, BZh", more);
            assert_refused(path, expected);
        }
        if (container == AS_ZIP) {
            write_with_tail(path, bytes, size, zeros, 1);
            assert_refused(path, "the zip ends here, but more follows");
            bytes[size - 2] = 3; /* of a comment */
            write_with_tail(path, bytes, size, "abc", 3);
            assert_outcome(path, true);
            write_with_tail(path, bytes, size, "abc", 2);
            assert_refused(path, "the file ends here, inside the zip's comment");
        } else if (names_end) {
            write_with_tail(path, bytes, size, zeros, sizeof zeros);
            assert_outcome(path, true);
        }
        free(bytes);
    }
    files_free(&files);
}

/* Data may lie in several members of gzip, as pigz and cat make them. */
static void test_gzip_members(void **state) {
    (void)state;
    TestFiles files = {.count = 0};
    size_t size;
    make_folders(&files);
    uint8_t *bytes = bytes_of(files_write(&files, AS_TAR, false, "source"), &size);
    for (size_t split = size / 3; split < size; split += size / 3) {
        gzFile file = gzopen(scratch_path("members"), "wb");
        assert_int_equal(gzwrite(file, bytes, (unsigned)split), split);
        assert_int_equal(gzclose(file), Z_OK);
        file = gzopen(scratch_path("members"), "ab");
        assert_int_equal(gzwrite(file, bytes + split, (unsigned)(size - split)), size - split);
        assert_int_equal(gzclose(file), Z_OK);
        assert_outcome(scratch_path("members"), true);
    }
    free(bytes);
    files_free(&files);
}

/* The file that the error is about, and not the one before. */
static void test_places(void **state) {
    (void)state;
    TestFiles files = {.count = 0};
    size_t size;
    char expected[256];
    make_folders(&files);
    uint8_t *bytes = bytes_of(files_write(&files, AS_TAR, false, "source"), &size);
    size_t second = 512 + (files.items[0].size + 511) / 512 * 512;
    scratch_write(scratch_path("cut"), bytes, second + 100);
    snprintf(expected, sizeof expected, "cut: byte %zu: ", second);
    assert_refused(scratch_path("cut"), expected);
    scratch_write(scratch_path("cut"), bytes, second + 600);
    snprintf(expected, sizeof expected, "cut: %s: Truncated", files.items[1].name);
    assert_refused(scratch_path("cut"), expected);
    free(bytes);
    files_write(&files, AS_FOLDER, false, "folder");
    snprintf(expected, sizeof expected, "folder/%s", files.items[3].name);
    assert_int_equal(chmod(scratch_path(expected), 0), 0);
    assert_int_equal(chmod(scratch_root, 0755), 0);
    snprintf(expected, sizeof expected, "folder: %s: ", files.items[3].name);
    bool is_root = geteuid() == 0;
    if (is_root)
        assert_int_equal(seteuid(65534), 0); /* root may read everything */
    assert_refused(scratch_path("folder"), expected);
    if (is_root)
        assert_int_equal(seteuid(0), 0);
    directory_remove(scratch_path("folder"));
    files_free(&files);
}

static void test_changed_containers(void **state) {
    (void)state;
    Rng rng;
    rng_init(&rng, 7, 7);
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++)
        for (int container = AS_TAR; container < CONTAINERS; container++) {
            TestFiles files = {.count = 0};
            size_t size;
            formats[f].make(&files);
            uint8_t *bytes = bytes_of(files_write(&files, (TestContainer)container, false, "source"), &size);
            for (int i = 0; i < 40; i++) {
                uint8_t *copy = malloc(size);
                memcpy(copy, bytes, size);
                for (uint64_t j = rng_below(&rng, 4) + 1; j > 0; j--) {
                    bool head = rng_below(&rng, 2); /* the first header, or the last bytes, more often than the rest */
                    size_t at = rng_below(&rng, head && size > 600 ? 600 : size);
                    copy[rng_below(&rng, 4) ? at : size - 1 - at] = (uint8_t)rng_next(&rng);
                }
                scratch_write(scratch_path("changed"), copy, size);
                free(copy);
                assert_outcome(scratch_path("changed"), false);
            }
            free(bytes);
            files_free(&files);
        }
}

/* Encoded images, changed inside a sound container: each is packed, or skipped with a reason. */
static void test_changed_images(void **state) {
    (void)state;
    Rng rng;
    rng_init(&rng, 8, 8);
    for (int i = 0; i < 60; i++) {
        TestFiles files = {.count = 0};
        make_folders(&files);
        for (size_t k = 0; k < files.count; k++) {
            TestFile *file = &files.items[k];
            if (rng_below(&rng, 8) == 0)
                file->size = rng_below(&rng, file->size);
            for (uint64_t j = rng_below(&rng, 6); j > 0 && file->size; j--)
                file->bytes[rng_below(&rng, rng_below(&rng, 2) && file->size > 200 ? 200 : file->size)] = (uint8_t)rng_next(&rng);
        }
        files_write(&files, AS_ZIP, false, "images");
        assert_outcome(scratch_path("images"), false);
        files_free(&files);
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
        cmocka_unit_test(test_records),          cmocka_unit_test(test_folders),
        cmocka_unit_test(test_cut_containers),   cmocka_unit_test(test_changed_containers),
        cmocka_unit_test(test_changed_images),   cmocka_unit_test(test_two_of_one),
        cmocka_unit_test(test_links_to_nowhere), cmocka_unit_test(test_links_to_two),
        cmocka_unit_test(test_early_ends),       cmocka_unit_test(test_places),
        cmocka_unit_test(test_appended),         cmocka_unit_test(test_gzip_members),
    };
    return cmocka_run_group_tests(tests, scratch_setup, teardown);
}
