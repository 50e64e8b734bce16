/* Pixels of encoded images, one by one. Those of PNG are what PIL 9.4 gives by Image.open(...).convert("RGB") and convert("L"), but where
 * it drops transparency, and of 16-bit grey, whose values it cuts off at 255. */
#include "formats.h"

#include <sys/resource.h>

#include "image.h"

enum { ENCODED_MAX = 4096 };

typedef struct Encoded {
    uint8_t bytes[ENCODED_MAX];
    size_t size;
} Encoded;

static void encoded_add(png_structp png, png_bytep bytes, size_t size) {
    Encoded *encoded = png_get_io_ptr(png);
    assert_true(size <= sizeof encoded->bytes - encoded->size);
    memcpy(encoded->bytes + encoded->size, bytes, size);
    encoded->size += size;
}

/* Of one row; with a gamma of 1 and a palette, whether it is used or not. */
static Encoded png_encode(int width, int depth, int type, int interlace, const uint8_t *row) {
    static const png_color palette[] = {{10, 20, 30}, {200, 100, 50}};
    static const png_byte alpha[] = {255, 128};
    Encoded encoded = {.size = 0};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_set_write_fn(png, &encoded, encoded_add, NULL);
    png_set_IHDR(png, info, (png_uint_32)width, 1, depth, type, interlace, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_gAMA(png, info, 1.0);
    if (type == PNG_COLOR_TYPE_PALETTE) {
        png_set_PLTE(png, info, palette, 2);
        png_set_tRNS(png, info, alpha, 2, NULL);
    }
    png_write_info(png, info);
    for (int pass = png_set_interlace_handling(png); pass > 0; pass--)
        png_write_row(png, row);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    return encoded;
}

/* expected: [width, channels] */
static void assert_decodes(const Encoded *encoded, int channels, int width, const uint8_t *expected) {
    ImageBuffer buffer = {0};
    Pixels pixels;
    char reason[IMAGE_REASON_MAX] = "";
    if (image_decode(&pixels, &buffer, encoded->bytes, encoded->size, channels, reason))
        fail_msg("%s", reason);
    assert_int_equal(pixels.height, 1);
    assert_int_equal(pixels.width, width);
    assert_int_equal(pixels.channels, channels);
    for (int x = 0; x < width; x++)
        for (int c = 0; c < channels; c++)
            assert_int_equal(pixels.bytes[x * pixels.column + c * pixels.channel], expected[x * channels + c]);
    free(buffer.bytes);
}

typedef struct PngCase {
    int width, depth, type;
    uint8_t row[16], colour[12], grey[4];
} PngCase;

static const PngCase png_cases[] = {
    {4,
     8,
     PNG_COLOR_TYPE_RGB,
     {255, 0, 0, 0, 255, 0, 0, 0, 255, 200, 100, 50},
     {255, 0, 0, 0, 255, 0, 0, 0, 255, 200, 100, 50},
     {76, 150, 29, 124}},
    {2, 16, PNG_COLOR_TYPE_RGB, {0x80, 0xff, 0, 0xff, 1, 0, 0xff, 0xff, 0x7f, 0x80, 0, 0}, {128, 0, 1, 255, 127, 0}, {38, 151}},
    {2, 16, PNG_COLOR_TYPE_GRAY, {0x80, 0xff, 0x7f, 0xff}, {128, 128, 128, 127, 127, 127}, {128, 127}},
    {3, 8, PNG_COLOR_TYPE_GRAY, {0, 100, 255}, {0, 0, 0, 100, 100, 100, 255, 255, 255}, {0, 100, 255}},
    {4, 2, PNG_COLOR_TYPE_GRAY, {0x1b}, {0, 0, 0, 85, 85, 85, 170, 170, 170, 255, 255, 255}, {0, 85, 170, 255}},
    /* Transparent: value * alpha / 255. */
    {3, 8, PNG_COLOR_TYPE_GRAY_ALPHA, {200, 128, 200, 255, 200, 0}, {100, 100, 100, 200, 200, 200, 0, 0, 0}, {100, 200, 0}},
    {2, 8, PNG_COLOR_TYPE_RGB_ALPHA, {200, 100, 50, 128, 9, 9, 9, 0}, {100, 50, 25, 0, 0, 0}, {62, 0}},
    {2, 16, PNG_COLOR_TYPE_RGB_ALPHA, {200, 0, 100, 0, 50, 0, 128, 0, 9, 9, 9, 9, 9, 9, 0, 0}, {100, 50, 25, 0, 0, 0}, {62, 0}},
    {2, 1, PNG_COLOR_TYPE_PALETTE, {0x40}, {10, 20, 30, 100, 50, 25}, {18, 62}},
};

static void test_png_pixels(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof png_cases / sizeof *png_cases; i++)
        for (int interlace = PNG_INTERLACE_NONE; interlace <= PNG_INTERLACE_ADAM7; interlace++) {
            const PngCase *png = &png_cases[i];
            Encoded encoded = png_encode(png->width, png->depth, png->type, interlace, png->row);
            assert_decodes(&encoded, 3, png->width, png->colour);
            assert_decodes(&encoded, 1, png->width, png->grey);
        }
}

/* Of one channel, 8 pixels a side. */
static Encoded jpeg_encode(bool progressive) {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    Encoded encoded;
    unsigned char *bytes = encoded.bytes;
    unsigned long size = sizeof encoded.bytes;
    uint8_t pixels[8] = {0, 30, 60, 90, 120, 150, 180, 210}, *row = pixels;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &bytes, &size);
    jpeg.image_width = jpeg.image_height = 8;
    jpeg.input_components = 1;
    jpeg.in_color_space = JCS_GRAYSCALE;
    jpeg_set_defaults(&jpeg);
    if (progressive)
        jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    while (jpeg.next_scanline < jpeg.image_height)
        jpeg_write_scanlines(&jpeg, &row, 1);
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    encoded.size = size;
    return encoded;
}

static int decode(const uint8_t *bytes, size_t size) {
    ImageBuffer buffer = {0};
    Pixels pixels;
    char reason[IMAGE_REASON_MAX] = "";
    int result = image_decode(&pixels, &buffer, bytes, size, 1, reason);
    free(buffer.bytes);
    return result;
}

/* Cut anywhere before `pixels_end` it is refused, behind it not. */
static void check_cuts(const Encoded *encoded, size_t pixels_end) {
    for (size_t size = 0; size <= encoded->size; size++)
        if (decode(encoded->bytes, size) != (size < pixels_end ? DATA_REFUSED : 0))
            fail_msg("%zu of %zu bytes, whose pixels end at %zu", size, encoded->size, pixels_end);
}

/* What is cut short lacks pixels, or only the mark of its end. */
static void test_cut_images(void **state) {
    (void)state;
    enum { IEND = 12, EOI = 2 };
    static const uint8_t row[] = {1, 2, 3, 4, 5, 6};
    Encoded png = png_encode(2, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_ADAM7, row);
    check_cuts(&png, png.size - IEND);
    Encoded jpeg = jpeg_encode(false);
    check_cuts(&jpeg, jpeg.size - EOI);
    Encoded progressive = jpeg_encode(true);
    check_cuts(&progressive, progressive.size - EOI);
}

/* ---- no memory ---- */

enum { MEMORY_MAX = 64 << 20, BIG = 6500 };

/* The sanitizer's allocator has a limit of its own. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "allocator_may_return_null=1:max_allocation_size_mb=64";
}

/* Returns the limit before. */
static rlim_t memory_limit(rlim_t bytes) {
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_AS, &limit), 0);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
    return before;
}

static rlim_t memory_taken(void) {
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    return pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void put_number(uint8_t *target, int bytes, unsigned long number) {
    for (int i = bytes - 1; i >= 0; i--, number >>= 8)
        target[i] = (uint8_t)number;
}

/* Headers that promise BIG by BIG pixels. */
static Encoded big_png(void) {
    static const uint8_t row[3];
    Encoded encoded = png_encode(1, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, row);
    put_number(encoded.bytes + 16, 4, BIG);
    put_number(encoded.bytes + 20, 4, BIG);
    put_number(encoded.bytes + 29, 4, crc32(0, encoded.bytes + 12, 17));
    return encoded;
}

/* Its pixels would fit, but not what libjpeg collects of all scans. */
static Encoded big_jpeg(void) {
    Encoded encoded = jpeg_encode(true);
    size_t at = 2;
    while (encoded.bytes[at + 1] != 0xc2)
        at += 2 + (size_t)encoded.bytes[at + 2] * 256 + encoded.bytes[at + 3];
    put_number(encoded.bytes + at + 5, 2, BIG);
    put_number(encoded.bytes + at + 7, 2, BIG);
    return encoded;
}

static void check_big(const Encoded *encoded, int channels) {
    static const uint8_t row[3];
    const PackOptions options = {.name = "made", .height = 2, .width = 2, .channels = channels, .threads = 1};
    ImageBuffer buffer = {0};
    Pixels pixels;
    char reason[IMAGE_REASON_MAX] = "";
    rlim_t before = memory_limit(memory_taken() + MEMORY_MAX);
    assert_int_equal(image_decode(&pixels, &buffer, encoded->bytes, encoded->size, channels, reason), -1);
    free(buffer.bytes);

    /* Not left out of a pack, which would depend on the memory. */
    TestFiles files = {.count = 0};
    PackReport report;
    Error error = {0};
    Encoded small = png_encode(1, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, row);
    static const char *const names[] = {"train/a/1.png", "train/b/1.png", "val/a/1.png"};
    for (size_t i = 0; i < 3; i++)
        memcpy(files_add(&files, names[i], small.size)->bytes, small.bytes, small.size);
    memcpy(files_add(&files, "train/a/big.png", encoded->size)->bytes, encoded->bytes, encoded->size);
    const char *source = files_write(&files, AS_TAR, false, "source");
    assert_int_equal(dataset_pack(&report, source, scratch_path("out.pack"), &options, &error), -1);
    assert_non_null(strstr(error.text, "no memory for an image's pixels"));
    assert_false(file_exists(scratch_path("out.pack")));
    memory_limit(before);
    files_free(&files);
}

static void test_no_memory(void **state) {
    (void)state;
    Encoded png = big_png(), jpeg = big_jpeg();
    check_big(&png, 3);
    check_big(&jpeg, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_png_pixels),
        cmocka_unit_test(test_cut_images),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
