/* What the files share that are compiled for each vector extension and type of operand: kernels.c, kernels_gelu.c and kernels_loss.c.
 * KERNEL_VARIANT is the extension's name; with KERNEL_BFLOAT16 operands are of that type.
 *
 * exp(x) comes from 2^y = 2^n 2^f, n = round(y), with a minimax polynomial on f in [-1/2, 1/2] (relative error 8e-8; by Lawson's reweighted
 * least squares). Sums along a row are split over vector lanes (omp simd): their order is fixed for a variant, so results repeat bit for
 * bit. */
#pragma once

#include "kernels.h"
#include "sweepd/bfloat16.h"

#include <math.h>
#include <string.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_(a, b)
#define TEXT_(a)    #a
#define TEXT(a)     TEXT_(a)

#ifdef KERNEL_BFLOAT16
typedef Bfloat16 Operand;
#define VARIANT_NAME(name) JOIN(JOIN(name##_, KERNEL_VARIANT), _bfloat16)
static const bool has_copies = true;
static inline Operand operand_from(float value) {
    return bfloat16_from_result(value);
}
static inline float operand_value(Operand operand) {
    return bfloat16_to_float(operand);
}
/* What was scaled by a gain and is wanted again: floats keep it, smaller operands would round it and are scaled anew. */
static inline Operand operand_keep_scaled(Operand operand, float scaled) {
    (void)scaled;
    return operand;
}
static inline float operand_scaled(Operand kept, float gain) {
    return bfloat16_to_float(kept) * gain;
}
#else
typedef float Operand;
#define VARIANT_NAME(name) JOIN(name##_, KERNEL_VARIANT)
static const bool has_copies = false;
static inline Operand operand_from(float value) {
    return value;
}
static inline float operand_value(Operand operand) {
    return operand;
}
static inline Operand operand_keep_scaled(Operand operand, float scaled) {
    (void)operand;
    return scaled;
}
static inline float operand_scaled(Operand kept, float gain) {
    (void)gain;
    return kept;
}
#endif

static inline void operand_round(int64_t count, const float *restrict values, void *restrict operand) {
    Operand *restrict rounded = operand;
    for (int64_t i = 0; i < count; i++) {
        rounded[i] = operand_from(values[i]);
    }
}

static const float log2_e = 1.44269504F;

/* 2^y for y <= 0; below 2^-125 it stays there, which is as good as 0 here. */
static inline float exp2_negative(float y) {
    const float round_shift = 12582912.0F; /* 1.5 * 2^23: adding it leaves the nearest integer in the low bits */
    y = y < -125.0F ? -125.0F : y;
    float shifted = y + round_shift;
    float f = y - (shifted - round_shift);
    float power = 1.32763579e-3F;
    power = power * f + 9.67565568e-3F;
    power = power * f + 5.55071448e-2F;
    power = power * f + 2.40221176e-1F;
    power = power * f + 6.93146966e-1F;
    power = power * f + 1.00000007F;
    uint32_t n, bits;
    memcpy(&n, &shifted, sizeof n);
    memcpy(&bits, &power, sizeof bits);
    bits += n << 23;
    memcpy(&power, &bits, sizeof power);
    return power;
}

/* kernels_gelu.c, kernels_loss.c: as the table's entries of these names. */
void VARIANT_NAME(gelu_forward)(int64_t rows, int64_t columns, void *restrict x, const float *restrict bias, void *restrict out);
void VARIANT_NAME(gelu_backward)(int64_t rows, int64_t columns, void *restrict dout, const void *restrict derivative,
                                 float *restrict dbias);
float VARIANT_NAME(loss_gradient)(const LossTarget *target, float *restrict logits, const float *restrict bias, float *restrict dbias,
                                  void *restrict operand);
void VARIANT_NAME(loss_measure)(const LossTarget *target, const float *logits, const float *bias, double *loss_sum, int64_t *errors);
