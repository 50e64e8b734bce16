/* Every format through `pack`, compared with what it was made of. */
#include "formats.h"

#include <math.h>

static const PackOptions plain = {.name = "made", .threads = 3};

/* The image of each row; image folders order rows by class and name, of which no class has more than two, the others as the files do. */
static int row_image(DataSection section, int row, bool by_class) {
    int count = section == DATA_TRAIN ? 15 : TEST_RECORDS, first = section == DATA_TRAIN ? 0 : 100;
    if (!by_class)
        return first + row;
    for (int label = 0; label < CLASSES; label++) {
        int other = label + CLASSES; /* "12" comes before "2.", "11" after "1." */
        int pair[] = {label >= 2 ? other : label, label >= 2 ? label : other};
        for (int i = 0; i < 2; i++)
            if (pair[i] < count && row-- == 0)
                return first + pair[i];
    }
    return -1;
}

typedef uint8_t (*Expect)(int image, int channel, int y, int x);

static void assert_pixels(const DatasetMap *data, bool by_class, int tolerance, Expect expect) {
    const DataInfo *info = dataset_info(data);
    for (int s = 0; s < 2; s++) {
        int count = (int)(s ? info->test_count : info->train_count);
        for (int r = 0; r < count; r++) {
            uint32_t index = (uint32_t)r;
            uint16_t label;
            float *x = malloc((size_t)info->inputs * sizeof *x);
            batch_gather(data, (DataSection)s, &index, 1, x, &label);
            int image = row_image((DataSection)s, r, by_class);
            assert_int_equal(label, fashion_label(image));
            double difference = 0;
            for (int j = 0; j < info->inputs; j++) {
                int plane = (int)(info->height * info->width), c = j / plane;
                int y = j % plane / (int)info->width, column = j % (int)info->width;
                double byte = ((double)x[j] * (double)info->deviation[c] + (double)info->mean[c]) * 255;
                difference += fabs(byte - expect(image, c, y, column));
                if (!tolerance && fabs(byte - expect(image, c, y, column)) > 0.01)
                    fail_msg("section %d, row %d, channel %d, %d, %d: %g, not %d", s, r, c, y, column, byte, expect(image, c, y, column));
            }
            if (difference / (double)info->inputs > tolerance + 0.01)
                fail_msg("section %d, row %d: differs by %g in the mean", s, r, difference / (double)info->inputs);
            free(x);
        }
    }
}

static uint8_t expect_32(int image, int channel, int y, int x) {
    return fashion_pixel(image, 32, channel, y, x);
}

static uint8_t expect_64(int image, int channel, int y, int x) {
    return fashion_pixel(image, 64, channel, y, x);
}

static uint8_t expect_96(int image, int channel, int y, int x) {
    return fashion_pixel(image, 96, channel, y, x);
}

/* Half the side: the mean of four. */
static uint8_t expect_half(int image, int channel, int y, int x) {
    int sum = 0;
    for (int i = 0; i < 4; i++)
        sum += fashion_pixel(image, 96, channel, 2 * y + i / 2, 2 * x + i % 2);
    return (uint8_t)((sum + 2) / 4);
}

static uint8_t expect_grey(int image, int channel, int y, int x) {
    (void)channel;
    return (uint8_t)((299 * fashion_pixel(image, 32, 0, y, x) + 587 * fashion_pixel(image, 32, 1, y, x) +
                      114 * fashion_pixel(image, 32, 2, y, x) + 500) /
                     1000);
}

typedef void (*Make)(TestFiles *files);

/* The same pack from every container, whatever the order of its files. */
static void check_format(Make make, const char *format, const PackOptions *options, int64_t classes, bool by_class, int tolerance,
                         Expect expect) {
    TestFiles files = {.count = 0};
    char digest[SHA256_HEX_MAX] = "";
    make(&files);
    for (int container = 0; container < CONTAINERS; container++) {
        PackReport report;
        DatasetMap *data = pack_and_map(files_write(&files, (TestContainer)container, container == AS_TAR, "source"), options, &report);
        const DataInfo *info = dataset_info(data);
        assert_string_equal(report.format, format);
        assert_int_equal(report.skip_count, 0);
        assert_string_equal(info->name, "made");
        assert_int_equal(info->classes, classes);
        assert_int_equal(info->train_count, 15);
        assert_int_equal(info->test_count, TEST_RECORDS);
        assert_pixels(data, by_class, tolerance, expect);
        if (*digest)
            assert_string_equal(info->digest, digest);
        text_copy(digest, sizeof digest, info->digest);
        dataset_free(data);
        pack_report_deinit(&report);
        if (container == AS_FOLDER)
            directory_remove(scratch_path("source"));
    }
    files_free(&files);
}

static void test_cifar10(void **state) {
    (void)state;
    check_format(make_cifar10, "CIFAR-10", &plain, 10, false, 0, expect_32);
}

static void test_cifar100(void **state) {
    (void)state;
    check_format(make_cifar100, "CIFAR-100", &plain, 100, false, 0, expect_32);
}

static void test_stl10(void **state) {
    (void)state;
    check_format(make_stl10, "STL-10", &plain, 10, false, 0, expect_96);
    const PackOptions half = {.name = "made", .height = 48, .width = 48};
    check_format(make_stl10, "STL-10", &half, 10, false, 0, expect_half);
}

/* What quality 90 and halved colours lose in the mean: far less than another image or a shifted one would differ. */
enum { JPEG_LOSS = 5 };

static void test_tiny_imagenet(void **state) {
    (void)state;
    check_format(make_tiny, "Tiny ImageNet", &plain, 10, true, JPEG_LOSS, expect_64);
}

static void test_image_folders(void **state) {
    (void)state;
    const PackOptions options = {.name = "made", .height = 64, .width = 64, .threads = 2};
    check_format(make_folders, "image folders", &options, 10, true, JPEG_LOSS, expect_64);
}

/* A decoded JPEG is what libjpeg's own loop gives, and a PNG is exact. */
static void test_decoded_bytes(void **state) {
    (void)state;
    TestFiles files = {.count = 0};
    PackReport report;
    const PackOptions options = {.name = "made", .height = 64, .width = 64};
    make_folders(&files);
    DatasetMap *data = pack_and_map(files_write(&files, AS_ZIP, false, "source"), &options, &report);
    const DataInfo *info = dataset_info(data);
    for (uint32_t row = 0; row < 15; row++) {
        float x[3 * 64 * 64];
        uint16_t label;
        char part[32];
        int image = row_image(DATA_TRAIN, (int)row, true);
        uint8_t *pixels = image == 7 ? colours(7, 64) : malloc(3 * 64 * 64);
        batch_gather(data, DATA_TRAIN, &row, 1, x, &label);
        snprintf(part, sizeof part, "/%d.jpg", image);
        if (image != 7) {
            const TestFile *file = files_find(&files, part);
            struct jpeg_decompress_struct jpeg;
            struct jpeg_error_mgr errors;
            jpeg.err = jpeg_std_error(&errors);
            jpeg_create_decompress(&jpeg);
            jpeg_mem_src(&jpeg, file->bytes, file->size);
            jpeg_read_header(&jpeg, TRUE);
            jpeg_start_decompress(&jpeg);
            while (jpeg.output_scanline < 64) {
                uint8_t *line = pixels + 3 * 64 * jpeg.output_scanline;
                jpeg_read_scanlines(&jpeg, &line, 1);
            }
            jpeg_finish_decompress(&jpeg);
            jpeg_destroy_decompress(&jpeg);
        }
        for (int j = 0; j < 3 * 64 * 64; j++) {
            int c = j / 4096;
            double byte = ((double)x[j] * (double)info->deviation[c] + (double)info->mean[c]) * 255;
            assert_true(fabs(byte - pixels[j % 4096 * 3 + c]) < 0.01);
        }
        free(pixels);
    }
    assert_string_equal(dataset_class_name(data, 0), "n0");
    assert_string_equal(dataset_class_name(data, 9), "n9");
    assert_string_equal(dataset_class_name(data, 10), "");
    dataset_free(data);
    pack_report_deinit(&report);
    files_free(&files);
}

/* Mean and deviation of each channel, by their definition in double precision. */
static void test_measures(void **state) {
    (void)state;
    TestFiles files = {.count = 0};
    PackReport report;
    make_cifar10(&files);
    DatasetMap *data = pack_and_map(files_write(&files, AS_TAR_GZ, false, "source"), &plain, &report);
    for (int c = 0; c < 3; c++) {
        double sum = 0, squares = 0, count = 15 * 1024;
        for (int i = 0; i < 15; i++)
            for (int j = 0; j < 1024; j++)
                sum += expect_32(i, c, j / 32, j % 32) / 255.0;
        for (int i = 0; i < 15; i++)
            for (int j = 0; j < 1024; j++)
                squares += pow(expect_32(i, c, j / 32, j % 32) / 255.0 - sum / count, 2);
        assert_true(fabs((double)dataset_info(data)->mean[c] - sum / count) < 1e-6);
        assert_true(fabs((double)dataset_info(data)->deviation[c] - sqrt(squares / count)) < 1e-6);
    }
    assert_string_equal(dataset_class_name(data, 3), "cat");
    dataset_free(data);
    pack_report_deinit(&report);
    const PackOptions grey = {.name = "made", .channels = 1};
    data = pack_and_map(scratch_path("source"), &grey, &report);
    assert_int_equal(dataset_info(data)->inputs, 1024);
    assert_pixels(data, false, 0, expect_grey);
    dataset_free(data);
    pack_report_deinit(&report);
    files_free(&files);
}

/* Some classes: the rows of the others are left out, the labels numbered anew, the names kept. */
static void test_some_classes(void **state) {
    (void)state;
    TestFiles files = {.count = 0};
    PackReport report;
    static bool classes[DATA_CLASSES_MAX];
    classes[3] = classes[4] = classes[8] = true;
    PackOptions some = plain;
    some.classes = classes;
    make_cifar10(&files);
    const char *source = files_write(&files, AS_TAR_GZ, false, "source");
    DatasetMap *all = pack_and_map(source, &plain, &report);
    pack_report_deinit(&report);
    DatasetMap *data = pack_and_map(source, &some, &report);
    const DataInfo *info = dataset_info(data), *whole = dataset_info(all);
    static const uint16_t sources[] = {3, 4, 8};
    assert_int_equal(info->classes, 3);
    for (int i = 0; i < 3; i++)
        assert_string_equal(dataset_class_name(data, i), dataset_class_name(all, sources[i]));
    assert_string_equal(dataset_class_name(data, 3), "");
    float *x = malloc(2 * sizeof *x * (size_t)info->inputs);
    int64_t row = 0;
    assert_non_null(x);
    for (uint32_t i = 0; i < whole->train_count; i++) {
        uint16_t label, own;
        batch_gather(all, DATA_TRAIN, &i, 1, x, &label);
        if (!classes[label])
            continue;
        uint32_t place = (uint32_t)row++;
        batch_gather(data, DATA_TRAIN, &place, 1, x + info->inputs, &own);
        assert_int_equal(sources[own], label);
        float raw = x[0] * whole->deviation[0] + whole->mean[0], same = x[info->inputs] * info->deviation[0] + info->mean[0];
        assert_float_equal(raw, same, 1e-5F);
    }
    assert_int_equal(row, info->train_count);
    assert_true(row > 0 && row < whole->train_count);
    free(x);
    dataset_free(data);
    dataset_free(all);
    pack_report_deinit(&report);
    Error error = {0};
    classes[10] = true;
    assert_int_equal(dataset_pack(&report, source, scratch_path("o.pack"), &some, &error), DATA_REFUSED);
    assert_non_null(strstr(error.text, "there is no class 10; its classes are 0 to 9"));
    memset(classes, 0, sizeof classes);
    classes[1] = true;
    assert_int_equal(dataset_pack(&report, source, scratch_path("o.pack"), &some, &error), DATA_REFUSED);
    assert_non_null(strstr(error.text, "keep two or more"));
    files_free(&files);
}

static void files_add_link(TestFiles *files, const char *name, const char *hard, const char *soft) {
    TestFile *file = files_add(files, name, 0);
    snprintf(file->hard, sizeof file->hard, "%s", hard);
    snprintf(file->soft, sizeof file->soft, "%s", soft);
}

/* Images, and a batch of records, that are links: the pack is that of the same files written out. */
static void check_links(TestFiles *files, const char *whole) {
    const PackOptions options = {.name = "made", .height = 8, .width = 8};
    for (int container = 0; container < CONTAINERS; container++)
        for (int backwards = 0; backwards < 2; backwards++) {
            PackReport report;
            if (container == AS_ZIP && *files->items[files->count - 1].hard)
                continue; /* a zip has none */
            DatasetMap *data = pack_and_map(files_write(files, (TestContainer)container, backwards, "links"), &options, &report);
            assert_string_equal(dataset_info(data)->digest, whole);
            dataset_free(data);
            pack_report_deinit(&report);
            if (container == AS_FOLDER)
                directory_remove(scratch_path("links"));
        }
}

static void digest_of(const TestFiles *files, char out[SHA256_HEX_MAX]) {
    const PackOptions options = {.name = "made", .height = 8, .width = 8};
    PackReport report;
    DatasetMap *data = pack_and_map(files_write(files, AS_TAR, false, "whole"), &options, &report);
    text_copy(out, SHA256_HEX_MAX, dataset_info(data)->digest);
    dataset_free(data);
    pack_report_deinit(&report);
}

static void test_links(void **state) {
    (void)state;
    TestFiles files = {.count = 0};
    char whole[SHA256_HEX_MAX];
    make_folders(&files);
    size_t count = files.count;
    files_add_jpeg(&files, "set/train/n0/copy.jpg", 3, 64);
    files_add_jpeg(&files, "set/train/n1/copy.jpg", 3, 64);
    files_add_jpeg(&files, "set/val/n1/copy.jpg", 3, 64);
    digest_of(&files, whole);
    for (int soft = 0; soft < 2; soft++) {
        while (files.count > count)
            free(files.items[--files.count].bytes);
        files_add_link(&files, "set/train/n0/copy.jpg", soft ? "" : "set/train/n3/3.jpg", soft ? ".././n3//3.jpg" : "");
        files_add_link(&files, "set/train/n1/copy.jpg", soft ? "" : "set/train/n3/3.jpg", soft ? "../n0/copy.jpg" : "");
        files_add_link(&files, "set/val/n1/copy.jpg", soft ? "" : "set/train/n3/3.jpg", soft ? "../../../set/train/n3/3.jpg" : "");
        check_links(&files, whole);
    }
    files_free(&files);
    make_cifar10(&files);
    TestFile *batch = files_find(&files, "data_batch_4"), *from = files_find(&files, "data_batch_2");
    memcpy(batch->bytes, from->bytes, from->size);
    digest_of(&files, whole);
    strcpy(batch->soft, "data_batch_2.bin");
    check_links(&files, whole);
    files_free(&files);
}

static void test_idx_folder(void **state) {
    (void)state;
    static const uint8_t labels[] = {0, 1, 2, 3, 0, 1};
    Error error;
    PackReport report;
    DatasetMap *data, *whole;
    char direct[PATH_TEXT_MAX];
    text_copy(direct, sizeof direct, fixture_pack("direct.pack", labels, 6, 3));
    assert_int_equal(directory_make(scratch_path("idx"), 0755, &error), 0);
    assert_int_equal(rename(scratch_path("train-images"), scratch_path("idx/train-images-idx3-ubyte")), 0);
    assert_int_equal(rename(scratch_path("train-labels"), scratch_path("idx/train-labels-idx1-ubyte")), 0);
    assert_int_equal(rename(scratch_path("test-images"), scratch_path("idx/t10k-images-idx3-ubyte")), 0);
    assert_int_equal(dataset_pack(&report, scratch_path("idx"), scratch_path("o.pack"), &plain, &error), DATA_REFUSED);
    assert_non_null(strstr(error.text, "an IDX file is missing: ...t10k-labels-idx"));
    assert_int_equal(rename(scratch_path("test-labels"), scratch_path("idx/t10k-labels-idx1-ubyte")), 0);
    data = pack_and_map(scratch_path("idx"), &plain, &report);
    assert_int_equal(dataset_map(&whole, direct, true, &error), 0);
    /* The same images and labels, but normalised by what was measured: other data. */
    assert_string_not_equal(dataset_info(data)->digest, dataset_info(whole)->digest);
    dataset_normalise_as(data, whole);
    for (int section = DATA_TRAIN; section <= DATA_TEST; section++) {
        static const uint32_t indices[] = {0, 1, 2};
        float x[2][3 * 6];
        uint16_t y[2][3];
        batch_gather(data, (DataSection)section, indices, 3, x[0], y[0]);
        batch_gather(whole, (DataSection)section, indices, 3, x[1], y[1]);
        assert_memory_equal(x[0], x[1], sizeof x[0]);
        assert_memory_equal(y[0], y[1], sizeof y[0]);
    }
    assert_int_equal(dataset_info(data)->height, 2);
    assert_int_equal(dataset_info(data)->width, 3);
    assert_string_equal(report.format, "IDX");
    dataset_free(data);
    dataset_free(whole);
    pack_report_deinit(&report);
}

/* One image that is no image: left out, named, and the rest is as if it had not been there. */
static void test_skips(void **state) {
    (void)state;
    TestFiles files = {.count = 0};
    PackReport report;
    DatasetMap *data;
    const PackOptions options = {.name = "made", .height = 8, .width = 8, .threads = 2};
    make_folders(&files);
    TestFile *cut = files_find(&files, "train/n3/13.jpg"), *other = files_find(&files, "val/n2/102.JPEG"),
             *early = files_find(&files, "train/n0/0.jpg");
    cut->size /= 2;
    memcpy(other->bytes, "not an image", 12);
    early->size = 0;
    data = pack_and_map(files_write(&files, AS_ZIP, false, "source"), &options, &report);
    assert_int_equal(report.skip_count, 3);
    assert_string_equal(report.skips[0].name, "set/train/n0/0.jpg");
    assert_string_equal(report.skips[0].reason, "empty");
    assert_string_equal(report.skips[1].name, "set/train/n3/13.jpg");
    assert_memory_equal(report.skips[1].reason, "JPEG: ", 6);
    assert_string_equal(report.skips[2].name, "set/val/n2/102.JPEG");
    assert_string_equal(report.skips[2].reason, "neither JPEG nor PNG");
    assert_int_equal(dataset_info(data)->train_count, 13);
    assert_int_equal(dataset_info(data)->test_count, 3);
    char digest[SHA256_HEX_MAX];
    text_copy(digest, sizeof digest, dataset_info(data)->digest);
    dataset_free(data);
    pack_report_deinit(&report);

    /* The same without them. */
    free(cut->bytes);
    *cut = files.items[--files.count];
    TestFiles rest = {.count = 0};
    for (size_t i = 0; i < files.count; i++)
        if (&files.items[i] != other && &files.items[i] != early)
            rest.items[rest.count++] = files.items[i];
    data = pack_and_map(files_write(&rest, AS_TAR, false, "source"), &options, &report);
    assert_int_equal(report.skip_count, 0);
    assert_string_equal(dataset_info(data)->digest, digest);
    dataset_free(data);
    pack_report_deinit(&report);
    for (size_t i = 0; i < files.count; i++)
        free(files.items[i].bytes);
}

static int setup(void **state) {
    return scratch_setup(state);
}

static int teardown(void **state) {
    idx_deinit(&fashion);
    return scratch_teardown(state);
}

int main(void) {
    if (!fashion_load())
        return 77; /* skipped: the package dataset-fashion-mnist is not there */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cifar10),       cmocka_unit_test(test_cifar100),      cmocka_unit_test(test_stl10),
        cmocka_unit_test(test_tiny_imagenet), cmocka_unit_test(test_image_folders), cmocka_unit_test(test_decoded_bytes),
        cmocka_unit_test(test_measures),      cmocka_unit_test(test_some_classes),  cmocka_unit_test(test_idx_folder),
        cmocka_unit_test(test_skips),         cmocka_unit_test(test_links),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
