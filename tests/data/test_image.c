/* Pixels of encoded images, one by one. Those of PNG are what PIL 9.4 gives by Image.open(...).convert("RGB") and convert("L"), but where
 * it drops transparency, and of 16-bit grey, whose values it cuts off at 255. */
#include "fixture.h"

#include <png.h>

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_png_pixels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
