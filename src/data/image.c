/* libjpeg reports damage in two ways: errors, which end it, and warnings, after which it makes pixels up. For a training image made-up
 * pixels are as bad, so both refuse it; only what leaves the picture whole passes: bytes too many between segments, and no mark of its end
 * where nothing is missing before it. In the last scan missing bits give a warning of their own; whether that was the last, a progressive
 * file tells by the bits that its scans have brought. Arithmetic coding and several plain scans do not tell, so they need the mark. */
#include "image.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

#include <jerror.h>
#include <png.h>

typedef struct JpegErrors {
    struct jpeg_error_mgr base;
    jmp_buf escape;
    char *reason;
    bool out_of_memory, end_may_lack, end_lacks;
} JpegErrors;

__attribute__((noreturn)) static void jpeg_fail(j_common_ptr common) {
    JpegErrors *errors = (JpegErrors *)common->err;
    char text[JMSG_LENGTH_MAX];
    errors->base.format_message(common, text);
    snprintf(errors->reason, IMAGE_REASON_MAX, "JPEG: %.200s", text);
    errors->out_of_memory = errors->base.msg_code == JERR_OUT_OF_MEMORY;
    longjmp(errors->escape, 1);
}

static void jpeg_message(j_common_ptr common, int level) {
    int code = common->err->msg_code;
    JpegErrors *errors = (JpegErrors *)common->err;
    bool is_end = code == JWRN_JPEG_EOF && errors->end_may_lack;
    errors->end_lacks = errors->end_lacks || is_end;
    if (level < 0 && code != JWRN_EXTRANEOUS_DATA && code != JWRN_ADOBE_XFORM && !is_end)
        jpeg_fail(common);
}

/* After all scans of a progressive file: every bit of every coefficient was in one of them. */
static bool scans_are_all(const struct jpeg_decompress_struct *jpeg) {
    for (int c = 0; c < jpeg->num_components; c++)
        for (int k = 0; k < DCTSIZE2; k++)
            if (jpeg->coef_bits[c][k])
                return false;
    return true;
}

static bool buffer_reserve(ImageBuffer *buffer, size_t size) {
    if (size <= buffer->capacity)
        return true;
    free(buffer->bytes);
    buffer->bytes = malloc(size);
    buffer->capacity = buffer->bytes ? size : 0;
    return buffer->bytes != NULL;
}

static int size_check(int64_t height, int64_t width, char reason[IMAGE_REASON_MAX]) {
    if (height >= 1 && width >= 1 && height <= IMAGE_SIDE_MAX && width <= IMAGE_SIDE_MAX && height * width <= IMAGE_PIXELS_MAX)
        return 0;
    snprintf(reason, IMAGE_REASON_MAX, "%lld x %lld pixels; at most %d a side and %d in all are read", (long long)width, (long long)height,
             IMAGE_SIDE_MAX, IMAGE_PIXELS_MAX);
    return DATA_REFUSED;
}

/* Four inks, which Adobe's writers store inverted, to three colours or grey, in place: the result is no longer than the source. */
static void inks_convert(uint8_t *row, int64_t width, int channels, bool inverted) {
    uint8_t *out = row;
    for (int64_t i = 0; i < width; i++) {
        int colour[3];
        for (int c = 0; c < 3; c++) {
            int ink = row[4 * i + c], black = row[4 * i + 3];
            colour[c] = inverted ? ink * black / 255 : (255 - ink) * (255 - black) / 255;
        }
        if (channels == 1)
            *out++ = pixel_grey(colour[0], colour[1], colour[2]);
        for (int c = 0; c < 3 && channels == 3; c++)
            *out++ = (uint8_t)colour[c];
    }
}

/* All that libjpeg calls may leave by longjmp, so nothing here lives in a local that changes between setjmp and it. */
static int jpeg_read(struct jpeg_decompress_struct *jpeg, Pixels *out, ImageBuffer *buffer, const uint8_t *bytes, size_t size,
                     int channels) {
    JpegErrors *errors = (JpegErrors *)jpeg->err;
    if (setjmp(errors->escape))
        return errors->out_of_memory ? -1 : DATA_REFUSED;
    jpeg_create_decompress(jpeg);
    jpeg_mem_src(jpeg, bytes, size);
    jpeg_read_header(jpeg, TRUE);
    if (size_check(jpeg->image_height, jpeg->image_width, errors->reason))
        return DATA_REFUSED;
    errors->end_may_lack = !jpeg->arith_code && (jpeg->progressive_mode || !jpeg_has_multiple_scans(jpeg));
    bool inks = jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK;
    jpeg->out_color_space = inks ? JCS_CMYK : channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    int stored = inks ? 4 : channels;
    size_t row = (size_t)jpeg->image_width * (size_t)stored;
    if (!buffer_reserve(buffer, row * jpeg->image_height))
        return -1;
    *out = (Pixels){buffer->bytes, jpeg->image_height, jpeg->image_width, channels, (int64_t)row, channels, 1};
    jpeg_start_decompress(jpeg);
    if (errors->end_lacks && jpeg->progressive_mode && !scans_are_all(jpeg)) {
        jpeg->err->msg_code = JWRN_JPEG_EOF;
        jpeg_fail((j_common_ptr)jpeg);
    }
    while (jpeg->output_scanline < jpeg->output_height) {
        uint8_t *line = buffer->bytes + row * jpeg->output_scanline;
        jpeg_read_scanlines(jpeg, &line, 1);
        if (inks)
            inks_convert(line, jpeg->image_width, channels, jpeg->saw_Adobe_marker);
    }
    jpeg_finish_decompress(jpeg);
    return 0;
}

static int jpeg_decode(Pixels *out, ImageBuffer *buffer, const uint8_t *bytes, size_t size, int channels, char reason[IMAGE_REASON_MAX]) {
    struct jpeg_decompress_struct jpeg;
    JpegErrors errors = {.reason = reason};
    memset(&jpeg, 0, sizeof jpeg);
    jpeg.err = jpeg_std_error(&errors.base);
    errors.base.error_exit = jpeg_fail;
    errors.base.emit_message = jpeg_message;
    int result = jpeg_read(&jpeg, out, buffer, bytes, size, channels);
    jpeg_destroy_decompress(&jpeg);
    return result;
}

/* ---- PNG ---- */

typedef struct PngSource {
    const uint8_t *bytes;
    size_t left;
    char *reason;
    bool out_of_memory;
} PngSource;

static png_voidp png_allocate(png_structp png, png_alloc_size_t size) {
    PngSource *source = png_get_mem_ptr(png);
    void *memory = malloc(size);
    source->out_of_memory = source->out_of_memory || !memory;
    return memory;
}

static void png_release(png_structp png, png_voidp memory) {
    (void)png;
    free(memory);
}

__attribute__((noreturn)) static void png_fail(png_structp png, png_const_charp text) {
    const PngSource *source = png_get_error_ptr(png);
    snprintf(source->reason, IMAGE_REASON_MAX, "PNG: %.64s", text);
    png_longjmp(png, 1);
}

static void png_warn(png_structp png, png_const_charp text) {
    (void)png;
    (void)text;
}

static void png_take(png_structp png, png_bytep target, size_t size) {
    PngSource *source = png_get_io_ptr(png);
    if (size > source->left)
        png_error(png, "read beyond end of data");
    memcpy(target, source->bytes, size);
    source->bytes += size;
    source->left -= size;
}

/* In place: transparency lies on black; one channel of three is wanted: the first of them. */
static void png_pixels_convert(uint8_t *pixel, size_t count, int stored, int channels) {
    int colours = stored < 3 ? 1 : 3;
    for (; count; count--, pixel += stored) {
        for (int c = 0; c < colours && colours < stored; c++)
            pixel[c] = (uint8_t)((pixel[c] * pixel[colours] + 127) / 255);
        if (channels < colours)
            *pixel = pixel_grey(pixel[0], pixel[1], pixel[2]);
    }
}

/* Left by longjmp, too. What decides pixels is the image's own bytes: of all that may come beside them (gamma, profiles, the bits that
 * mattered) libpng passes over all but transparency. */
static int png_read(png_structp png, png_infop info, Pixels *out, ImageBuffer *buffer, int channels) {
    const PngSource *source = png_get_io_ptr(png);
    if (setjmp(png_jmpbuf(png)))
        return source->out_of_memory ? -1 : DATA_REFUSED;
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_read_info(png, info);
    uint32_t height = png_get_image_height(png, info), width = png_get_image_width(png, info);
    if (size_check(height, width, source->reason))
        return DATA_REFUSED;
    png_set_expand(png);
    png_set_strip_16(png);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    int stored = png_get_channels(png, info);
    size_t row = (size_t)width * (size_t)stored;
    if (!buffer_reserve(buffer, row * height))
        return -1;
    for (int pass = 0; pass < passes; pass++)
        for (size_t y = 0; y < height; y++)
            png_read_row(png, buffer->bytes + row * y, NULL);
    png_pixels_convert(buffer->bytes, (size_t)width * height, stored, channels);
    *out = (Pixels){buffer->bytes, height, width, channels, (int64_t)row, stored, stored < 3 ? 0 : 1};
    return 0;
}

static int png_decode(Pixels *out, ImageBuffer *buffer, const uint8_t *bytes, size_t size, int channels, char reason[IMAGE_REASON_MAX]) {
    PngSource source = {.bytes = bytes, .left = size, .reason = reason};
    png_structp png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &source, png_fail, png_warn, &source, png_allocate, png_release);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    int result = -1;
    if (info) {
        png_set_read_fn(png, &source, png_take);
        result = png_read(png, info, out, buffer, channels);
    }
    png_destroy_read_struct(&png, &info, NULL);
    return result;
}

int image_decode(Pixels *out, ImageBuffer *buffer, const uint8_t *bytes, size_t size, int channels, char reason[IMAGE_REASON_MAX]) {
    if (size >= 8 && !png_sig_cmp(bytes, 0, 8))
        return png_decode(out, buffer, bytes, size, channels, reason);
    if (size >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff)
        return jpeg_decode(out, buffer, bytes, size, channels, reason);
    snprintf(reason, IMAGE_REASON_MAX, size ? "neither JPEG nor PNG" : "empty");
    return DATA_REFUSED;
}
