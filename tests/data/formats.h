/* Data sets in the formats that others publish, made from Fashion-MNIST's test images: as lists of files first, then as a folder, tar or
 * zip. */
#pragma once

#include "fixture.h"

#include <archive.h>
#include <archive_entry.h>
#include <glob.h>
#include <jpeglib.h>
#include <png.h>

enum { SIDE = 28, FILES_LIMIT = 64 };

typedef struct TestFile {
    char name[128];
    uint8_t *bytes;
    size_t size;
    char hard[128], soft[128]; /* a link: the name of another file; where it leads */
} TestFile;

typedef struct TestFiles {
    TestFile items[FILES_LIMIT];
    size_t count;
} TestFiles;

static Idx fashion;

static inline bool fashion_load(void) {
    Error error;
    return fashion.bytes || idx_read(&fashion, "/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz", &error) == 0;
}

/* Image i with a black border, in `side` by `side`; the channels are told apart. */
static inline uint8_t fashion_pixel(int i, int side, int channel, int y, int x) {
    int border = (side - SIDE) / 2, row = y - border, column = x - border;
    int value = row < 0 || row >= SIDE || column < 0 || column >= SIDE ? 0 : fashion.bytes[i * SIDE * SIDE + row * SIDE + column];
    return (uint8_t)(channel == 0 ? value : channel == 1 ? value * 3 / 4 + 20 : value / 2 + 7);
}

/* Nothing of a pack is left. */
static inline void assert_nothing_written(void) {
    glob_t found;
    assert_int_equal(glob(scratch_path("out.pack*"), 0, NULL, &found), GLOB_NOMATCH);
    globfree(&found);
}

static inline TestFile *files_add(TestFiles *files, const char *name, size_t size) {
    assert_true(files->count < FILES_LIMIT);
    TestFile *file = &files->items[files->count++];
    snprintf(file->name, sizeof file->name, "%s", name);
    file->bytes = calloc(1, size + 1);
    assert_non_null(file->bytes);
    file->size = size;
    *file->hard = *file->soft = '\0';
    return file;
}

static inline void files_add_text(TestFiles *files, const char *name, const char *text) {
    memcpy(files_add(files, name, strlen(text))->bytes, text, strlen(text));
}

static inline TestFile *files_find(TestFiles *files, const char *part) {
    for (size_t i = 0; i < files->count; i++)
        if (strstr(files->items[i].name, part))
            return &files->items[i];
    fail_msg("no file %s", part);
    return NULL;
}

static inline void files_free(TestFiles *files) {
    for (size_t i = 0; i < files->count; i++)
        free(files->items[i].bytes);
    files->count = 0;
}

/* ---- encoders ---- */

/* [side, side, 3], interleaved */
static inline uint8_t *colours(int i, int side) {
    uint8_t *pixels = malloc((size_t)(side * side * 3));
    assert_non_null(pixels);
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++)
            for (int c = 0; c < 3; c++)
                pixels[(y * side + x) * 3 + c] = fashion_pixel(i, side, c, y, x);
    return pixels;
}

static inline void files_add_jpeg(TestFiles *files, const char *name, int i, int side) {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL;
    unsigned long size = 0;
    uint8_t *pixels = colours(i, side);
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &bytes, &size);
    jpeg.image_width = jpeg.image_height = (JDIMENSION)side;
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 90, TRUE);
    jpeg_start_compress(&jpeg, TRUE);
    while (jpeg.next_scanline < jpeg.image_height) {
        uint8_t *row = pixels + (size_t)jpeg.next_scanline * (size_t)side * 3;
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    memcpy(files_add(files, name, size)->bytes, bytes, size);
    free(bytes);
    free(pixels);
}

static inline void files_add_png(TestFiles *files, const char *name, int i, int side) {
    png_image image = {.version = PNG_IMAGE_VERSION, .width = (png_uint_32)side, .height = (png_uint_32)side, .format = PNG_FORMAT_RGB};
    uint8_t *pixels = colours(i, side), *bytes = malloc(1 << 16);
    png_alloc_size_t size = 1 << 16;
    assert_true(png_image_write_to_memory(&image, bytes, &size, 0, pixels, 0, NULL));
    memcpy(files_add(files, name, size)->bytes, bytes, size);
    free(bytes);
    free(pixels);
}

/* ---- containers ---- */

typedef enum { AS_FOLDER, AS_TAR, AS_TAR_GZ, AS_TAR_BZ2, AS_TAR_XZ, AS_TAR_ZST, AS_ZIP, CONTAINERS } TestContainer;

static inline void files_write_folder(const TestFiles *files, const char *path) {
    Error error;
    directory_remove(path);
    assert_int_equal(directory_make(path, 0755, &error), 0);
    for (size_t i = 0; i < files->count; i++) {
        char file[PATH_TEXT_MAX], folder[PATH_TEXT_MAX];
        snprintf(file, sizeof file, "%s/%s", path, files->items[i].name);
        text_copy(folder, sizeof folder, file);
        *strrchr(folder, '/') = '\0';
        assert_int_equal(directory_make(folder, 0755, &error), 0);
        if (*files->items[i].soft)
            assert_int_equal(symlink(files->items[i].soft, file), 0);
        else if (!*files->items[i].hard)
            scratch_write(file, files->items[i].bytes, files->items[i].size);
    }
}

static inline void entry_write(struct archive *archive, const TestFile *file) {
    struct archive_entry *entry = archive_entry_new();
    bool is_link = *file->hard || *file->soft;
    archive_entry_set_pathname(entry, file->name);
    archive_entry_set_size(entry, is_link ? 0 : (la_int64_t)file->size);
    archive_entry_set_filetype(entry, *file->soft ? AE_IFLNK : AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    if (*file->hard)
        archive_entry_set_hardlink(entry, file->hard);
    if (*file->soft)
        archive_entry_set_symlink(entry, file->soft);
    assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
    if (!is_link)
        assert_int_equal(archive_write_data(archive, file->bytes, file->size), file->size);
    archive_entry_free(entry);
}

static inline void files_write_hard(const TestFiles *files, const char *path) {
    for (size_t i = 0; i < files->count; i++) {
        char from[PATH_TEXT_MAX], to[PATH_TEXT_MAX];
        if (!*files->items[i].hard)
            continue;
        snprintf(from, sizeof from, "%s/%s", path, files->items[i].hard);
        snprintf(to, sizeof to, "%s/%s", path, files->items[i].name);
        assert_int_equal(link(from, to), 0);
    }
}

/* backwards: the last file first. A zip has no hard links. */
static inline const char *files_write(const TestFiles *files, TestContainer container, bool backwards, const char *name) {
    const char *path = scratch_path(name);
    if (container == AS_FOLDER) {
        files_write_folder(files, path);
        files_write_hard(files, path);
        return path;
    }
    remove(path);
    struct archive *archive = archive_write_new();
    if (container == AS_ZIP)
        archive_write_set_format_zip(archive);
    else
        archive_write_set_format_ustar(archive);
    if (container == AS_TAR_GZ)
        archive_write_add_filter_gzip(archive);
    if (container == AS_TAR_BZ2)
        archive_write_add_filter_bzip2(archive);
    if (container == AS_TAR_XZ)
        archive_write_add_filter_xz(archive);
    if (container == AS_TAR_ZST)
        archive_write_add_filter_zstd(archive);
    assert_int_equal(archive_write_open_filename(archive, path), ARCHIVE_OK);
    for (size_t i = 0; i < files->count; i++)
        entry_write(archive, &files->items[backwards ? files->count - 1 - i : i]);
    assert_int_equal(archive_write_free(archive), ARCHIVE_OK);
    return path;
}

/* ---- the formats ---- */

enum { CIFAR_BYTES = 3072, TRAIN_RECORDS = 3, TEST_RECORDS = 4, CLASSES = 10 };

/* Record r of a file is image `first` + r with the label that follows from it. */
static inline int fashion_label(int i) {
    return i % CLASSES;
}

static inline void cifar_records(TestFiles *files, const char *name, int first, int count, bool coarse) {
    int labels = coarse ? 2 : 1, bytes = CIFAR_BYTES + labels;
    TestFile *file = files_add(files, name, (size_t)(count * bytes));
    for (int r = 0; r < count; r++) {
        uint8_t *record = file->bytes + r * bytes;
        record[labels - 1] = (uint8_t)fashion_label(first + r);
        for (int j = 0; j < CIFAR_BYTES; j++)
            record[labels + j] = fashion_pixel(first + r, 32, j / 1024, j / 32 % 32, j % 32);
    }
}

static inline void make_cifar10(TestFiles *files) {
    char name[128];
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "cifar-10-batches-bin/data_batch_%d.bin", i + 1);
        cifar_records(files, name, TRAIN_RECORDS * i, TRAIN_RECORDS, false);
    }
    cifar_records(files, "cifar-10-batches-bin/test_batch.bin", 100, TEST_RECORDS, false);
    files_add_text(files, "cifar-10-batches-bin/batches.meta.txt",
                   "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n");
}

static inline void make_cifar100(TestFiles *files) {
    cifar_records(files, "cifar-100-binary/train.bin", 0, 15, true);
    cifar_records(files, "cifar-100-binary/test.bin", 100, TEST_RECORDS, true);
}

static inline void make_stl10(TestFiles *files) {
    enum { STL = 96 };
    static const int firsts[] = {0, 100}, counts[] = {15, TEST_RECORDS};
    static const char *const names[] = {"stl10_binary/train_X.bin", "stl10_binary/test_X.bin"};
    static const char *const labels[] = {"stl10_binary/train_y.bin", "stl10_binary/test_y.bin"};
    for (int s = 0; s < 2; s++) {
        TestFile *images = files_add(files, names[s], (size_t)counts[s] * 3 * STL * STL);
        for (int r = 0; r < counts[s]; r++)
            for (int j = 0; j < 3 * STL * STL; j++) /* column by column */
                images->bytes[r * 3 * STL * STL + j] = fashion_pixel(firsts[s] + r, STL, j / (STL * STL), j % STL, j / STL % STL);
        TestFile *ones = files_add(files, labels[s], (size_t)counts[s]);
        for (int r = 0; r < counts[s]; r++)
            ones->bytes[r] = (uint8_t)(fashion_label(firsts[s] + r) + 1);
    }
    files_add_text(files, "stl10_binary/class_names.txt", "airplane\nbird\ncar\ncat\ndeer\ndog\nhorse\nmonkey\nship\ntruck\n");
    files_add_text(files, "stl10_binary/unlabeled_X.bin", "left alone");
}

/* Classes n0 to n9, as fashion_label has them; image 7 of training and 101 of validation are PNG in the ImageNet layout. */
static inline void make_tiny(TestFiles *files) {
    char name[128], annotations[1024] = "";
    for (int i = 0; i < 15; i++) {
        snprintf(name, sizeof name, "tiny-imagenet-200/train/n%d/images/n%d_%d.JPEG", fashion_label(i), fashion_label(i), i);
        files_add_jpeg(files, name, i, 64);
    }
    for (int i = 100; i < 100 + TEST_RECORDS; i++) {
        snprintf(name, sizeof name, "tiny-imagenet-200/val/images/val_%d.JPEG", i);
        files_add_jpeg(files, name, i, 64);
        snprintf(annotations + strlen(annotations), sizeof annotations - strlen(annotations), "val_%d.JPEG\tn%d\t0\t0\t62\t62\n", i,
                 fashion_label(i));
    }
    files_add_text(files, "tiny-imagenet-200/val/val_annotations.txt", annotations);
    files_add_text(files, "tiny-imagenet-200/wnids.txt", "n3\nn1\n");
    files_add_text(files, "tiny-imagenet-200/train/n1/n1_boxes.txt", "n1_1.JPEG\t0\t0\t62\t62\n");
    files_add_jpeg(files, "tiny-imagenet-200/test/images/test_0.JPEG", 200, 64);
}

static inline void make_folders(TestFiles *files) {
    char name[128];
    for (int i = 0; i < 15; i++) {
        bool png = i == 7;
        snprintf(name, sizeof name, "set/train/n%d/%d.%s", fashion_label(i), i, png ? "png" : "jpg");
        (png ? files_add_png : files_add_jpeg)(files, name, i, 64);
    }
    for (int i = 100; i < 100 + TEST_RECORDS; i++) {
        bool png = i == 101;
        snprintf(name, sizeof name, "set/val/n%d/%d.%s", fashion_label(i), i, png ? "PNG" : "JPEG");
        (png ? files_add_png : files_add_jpeg)(files, name, i, 64);
    }
    files_add_text(files, "set/train/n1/notes.txt", "no image");
}

/* ---- packing ---- */

static inline DatasetMap *pack_and_map(const char *source, const PackOptions *options, PackReport *report) {
    DatasetMap *data;
    Error error = {0};
    const char *out = scratch_path("out.pack");
    remove(out);
    if (dataset_pack(report, source, out, options, &error))
        fail_msg("%s: %s", source, error.text);
    if (dataset_map(&data, out, true, &error))
        fail_msg("%s", error.text);
    return data;
}
