/* image (private): encoded images to pixels, pixels to another size. */
#pragma once

#include "dataset.h"

enum { IMAGE_SIDE_MAX = 32768, IMAGE_PIXELS_MAX = 1 << 27, IMAGE_BYTES_MAX = 1 << 28, IMAGE_REASON_MAX = 256 };

/* Pixels of one byte a channel, wherever their strides (in bytes) say. */
typedef struct Pixels {
    const uint8_t *bytes;
    int64_t height, width, channels;
    int64_t row, column, channel; /* strides */
} Pixels;

typedef struct ImageBuffer {
    uint8_t *bytes;
    size_t capacity;
} ImageBuffer;

/* The luminance, as JPEG weighs it. */
static inline uint8_t pixel_grey(int red, int green, int blue) {
    return (uint8_t)((299 * red + 587 * green + 114 * blue + 500) / 1000);
}

/* JPEG or PNG, by its first bytes. channels: 1 or 3; colours become grey by their luminance, transparency lies on black. Values are those
 * that are stored, of 16 bits the upper 8; gamma and profiles change nothing. *out points into the buffer, which grows as needed and is
 * kept for the next. 0, DATA_REFUSED with a reason, or -1: no memory. */
int image_decode(Pixels *out, ImageBuffer *buffer, const uint8_t *bytes, size_t size, int channels, char reason[IMAGE_REASON_MAX]);

typedef struct Resizer Resizer; /* scratch of one thread */

Resizer *resizer_new(int64_t height, int64_t width); /* of the result; NULL: no memory */
void resizer_free(Resizer *resizer);
/* out: [channels, height, width]. An axis that shrinks takes the mean over the area that a pixel covers, one that grows interpolates
 * between the centres of pixels, with the outermost repeated. 0, or -1: no memory. */
int resizer_run(Resizer *resizer, const Pixels *in, uint8_t *out);
