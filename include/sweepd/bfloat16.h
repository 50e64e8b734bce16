/* bfloat16, part of base: the upper half of a float. Sign, exponent range and infinities are a float's; 8 bits of precision. */
#pragma once

#include <stdint.h>
#include <string.h>

typedef uint16_t Bfloat16;

static inline float bfloat16_to_float(Bfloat16 value) {
    uint32_t bits = (uint32_t)value << 16;
    float wide;
    memcpy(&wide, &bits, sizeof wide);
    return wide;
}

/* The nearest, of two equally near the even one, of a number or of a NaN that arithmetic made: those of x86 and ARM have only the highest
 * bit of their mantissa set, and rounding leaves it. */
static inline Bfloat16 bfloat16_from_result(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (Bfloat16)((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

/* The same of any float: a NaN stays one. */
static inline Bfloat16 bfloat16_from_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
    uint32_t quiet = (bits >> 16) | 0x40U;
    return (Bfloat16)((bits & 0x7fffffffU) > 0x7f800000U ? quiet : rounded);
}
