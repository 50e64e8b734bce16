/* The fast kernels: loops that gcc and clang vectorise. Compiled once per vector extension and type of operand, with KERNEL_VARIANT the
 * extension's name, and with KERNEL_BFLOAT16 for operands of that type.
 *
 * Nothing in an inner loop calls the C library. exp(-x^2/2) comes from 2^y = 2^n 2^f, n = round(y), with a minimax polynomial on
 * f in [-1/2, 1/2] (relative error 8e-8). The normal distribution's upper tail, which gelu wants, is
 *     Q(u) = exp(-u^2/2) r(t),  t = 1 / (1 + p u),  u >= 0,
 * where r, a polynomial in t without a constant term, is fitted to erfcx(u / sqrt 2) / 2 with relative error 7e-7. The form shares its
 * exponential with the derivative, gelu'(x) = Phi(x) + x phi(x). Both fits are minimax, by Lawson's reweighted least squares.
 *
 * Sums along a row are split over vector lanes (omp simd): their order is fixed for a variant, so results repeat bit for bit. */
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
#define TABLE_NAME JOIN(JOIN(kernels_, KERNEL_VARIANT), _bfloat16)
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
#define TABLE_NAME JOIN(kernels_, KERNEL_VARIANT)
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

static void operand_round(int64_t count, const float *restrict values, void *restrict operand) {
    Operand *restrict rounded = operand;
    for (int64_t i = 0; i < count; i++) {
        rounded[i] = operand_from(values[i]);
    }
}

/* Row i of what is an operand too. */
static inline void row_copy(int64_t i, int64_t columns, const float *restrict row, void *restrict operand) {
    if (has_copies) {
        operand_round(columns, row, (Operand *)operand + i * columns);
    }
}

static const float log2_e = 1.44269504F;
static const float inverse_sqrt_two_pi = 0.398942280F;

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

/* The normal distribution function; *gaussian becomes exp(-x^2/2). */
static inline float normal_distribution(float x, float *gaussian) {
    float u = fabsf(x);
    float e = exp2_negative(-0.5F * log2_e * (x * x));
    float t = 1.0F / (1.0F + 0.36F * u);
    float r = 4.76492619e-2F;
    r = r * t - 1.81793942e-1F;
    r = r * t + 1.83717180e-1F;
    r = r * t + 2.46438663e-2F;
    r = r * t + 1.40416990e-1F;
    r = r * t + 1.41644536e-1F;
    r = r * t + 1.43722179e-1F;
    float tail = r * t * e;
    *gaussian = e;
    return x < 0 ? tail : 1.0F - tail;
}

static inline float relu_or_not(float x, bool relu) {
    return relu && x < 0 ? 0 : x;
}

/* ---- bias ---- */

static void bias_forward(int64_t rows, int64_t columns, float *restrict z, const float *restrict bias, bool relu, void *restrict operand) {
    for (int64_t i = 0; i < rows; i++) {
        float *restrict row = z + i * columns;
        for (int64_t j = 0; j < columns; j++) {
            row[j] = relu_or_not(row[j] + bias[j], relu);
        }
        if (operand != NULL) {
            row_copy(i, columns, row, operand);
        }
    }
}

static void bias_backward(int64_t rows, int64_t columns, float *restrict dz, const float *restrict relu_output, float *restrict dbias,
                          void *restrict operand) {
    memset(dbias, 0, (size_t)columns * sizeof *dbias);
    for (int64_t i = 0; i < rows; i++) {
        float *restrict row = dz + i * columns;
        for (int64_t j = 0; relu_output != NULL && j < columns; j++) {
            row[j] = relu_output[i * columns + j] > 0 ? row[j] : 0;
        }
        for (int64_t j = 0; j < columns; j++) {
            dbias[j] += row[j];
        }
        row_copy(i, columns, row, operand);
    }
}

/* ---- LayerNorm: loops over rows, compiled apart for widths of one or two vectors, where a loop of unknown length costs more than its work
 * ---- */

static inline __attribute__((always_inline)) void norm_forward_rows(int64_t columns, const Norm *norm, int64_t rows, float *restrict z,
                                                                    const float *restrict bias, bool relu, Operand *restrict out) {
    const float *restrict gain = norm->gain, *restrict shift = norm->shift;
    const float share = 1.0F / (float)columns;
    for (int64_t i = 0; i < rows; i++) {
        float *restrict row = z + i * columns, *restrict normal = norm->normal + i * columns;
        Operand *restrict result = out + i * columns;
        float sum = 0, square = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t j = 0; j < columns; j++) {
            row[j] = relu_or_not(row[j] + bias[j], relu);
            sum += row[j];
        }
        float mean = sum * share;
#pragma omp simd reduction(+ : square)
        for (int64_t j = 0; j < columns; j++) {
            normal[j] = row[j] - mean;
            square += normal[j] * normal[j];
        }
        float inverse = 1.0F / sqrtf(square * share + NORM_EPSILON);
        norm->inverse[i] = inverse;
        for (int64_t j = 0; j < columns; j++) {
            normal[j] *= inverse;
            result[j] = operand_from(gain[j] * normal[j] + shift[j]);
        }
    }
}

static void norm_forward(const Norm *norm, int64_t rows, float *restrict z, const float *restrict bias, bool relu, void *restrict out) {
    switch (norm->columns) {
    case 8:
        norm_forward_rows(8, norm, rows, z, bias, relu, out);
        break;
    case 16:
        norm_forward_rows(16, norm, rows, z, bias, relu, out);
        break;
    case 32:
        norm_forward_rows(32, norm, rows, z, bias, relu, out);
        break;
    default:
        norm_forward_rows(norm->columns, norm, rows, z, bias, relu, out);
    }
}

/* The gradient that comes back through the norm, added to or stored in drow. mean_d and mean_dn: the row's means of d * gain and d * gain *
 * normal. */
static inline void norm_backward_row(int64_t columns, const Operand *restrict d, const float *restrict gain, const float *restrict normal,
                                     float mean_d, float mean_dn, float inverse, bool residual, float *restrict drow) {
    if (residual) {
        for (int64_t j = 0; j < columns; j++) {
            drow[j] += inverse * (operand_scaled(d[j], gain[j]) - mean_d - normal[j] * mean_dn);
        }
    } else {
        for (int64_t j = 0; j < columns; j++) {
            drow[j] = inverse * (operand_scaled(d[j], gain[j]) - mean_d - normal[j] * mean_dn);
        }
    }
}

static inline __attribute__((always_inline)) void norm_backward_rows(int64_t columns, const Norm *norm, int64_t rows,
                                                                     Operand *restrict dout, bool residual,
                                                                     const float *restrict relu_output, float *restrict dz,
                                                                     float *restrict dgain, float *restrict dshift, float *restrict dbias,
                                                                     void *restrict operand) {
    const float *restrict gain = norm->gain;
    const float share = 1.0F / (float)columns;
    memset(dgain, 0, (size_t)columns * sizeof *dgain);
    memset(dshift, 0, (size_t)columns * sizeof *dshift);
    memset(dbias, 0, (size_t)columns * sizeof *dbias);
    for (int64_t i = 0; i < rows; i++) {
        Operand *restrict d = dout + i * columns;
        float *restrict drow = dz + i * columns;
        const float *restrict normal = norm->normal + i * columns;
        float sum_d = 0, sum_dn = 0;
#pragma omp simd reduction(+ : sum_d, sum_dn)
        for (int64_t j = 0; j < columns; j++) {
            float value = operand_value(d[j]), scaled = value * gain[j];
            dgain[j] += value * normal[j];
            dshift[j] += value;
            d[j] = operand_keep_scaled(d[j], scaled);
            sum_d += scaled;
            sum_dn += scaled * normal[j];
        }
        norm_backward_row(columns, d, gain, normal, sum_d * share, sum_dn * share, norm->inverse[i], residual, drow);
        for (int64_t j = 0; relu_output != NULL && j < columns; j++) {
            drow[j] = relu_output[i * columns + j] > 0 ? drow[j] : 0;
        }
        for (int64_t j = 0; j < columns; j++) {
            dbias[j] += drow[j];
        }
        row_copy(i, columns, drow, operand);
    }
}

static void norm_backward(const Norm *norm, int64_t rows, void *restrict dout, bool residual, const float *restrict relu_output,
                          float *restrict dz, float *restrict dgain, float *restrict dshift, float *restrict dbias,
                          void *restrict operand) {
    switch (norm->columns) {
    case 8:
        norm_backward_rows(8, norm, rows, dout, residual, relu_output, dz, dgain, dshift, dbias, operand);
        break;
    case 16:
        norm_backward_rows(16, norm, rows, dout, residual, relu_output, dz, dgain, dshift, dbias, operand);
        break;
    case 32:
        norm_backward_rows(32, norm, rows, dout, residual, relu_output, dz, dgain, dshift, dbias, operand);
        break;
    default:
        norm_backward_rows(norm->columns, norm, rows, dout, residual, relu_output, dz, dgain, dshift, dbias, operand);
    }
}

/* ---- gelu ---- */

static inline void gelu_row(int64_t columns, Operand *restrict x, const float *restrict bias, bool has_bias, Operand *restrict out) {
    for (int64_t j = 0; j < columns; j++) {
        float e, value = operand_value(x[j]) + (has_bias ? bias[j] : 0);
        float phi = normal_distribution(value, &e);
        out[j] = operand_from(value * phi);
        x[j] = operand_from(phi + inverse_sqrt_two_pi * (value * e));
    }
}

static void gelu_forward(int64_t rows, int64_t columns, void *restrict x, const float *restrict bias, void *restrict out) {
    if (bias == NULL) {
        gelu_row(rows * columns, x, NULL, false, out);
        return;
    }
    for (int64_t i = 0; i < rows; i++) {
        gelu_row(columns, (Operand *)x + i * columns, bias, true, (Operand *)out + i * columns);
    }
}

static void gelu_backward(int64_t rows, int64_t columns, void *restrict dout, const void *restrict derivative, float *restrict dbias) {
    if (dbias == NULL) {
        Operand *restrict d = dout;
        const Operand *restrict slope = derivative;
        for (int64_t j = 0; j < rows * columns; j++) {
            d[j] = operand_from(operand_value(d[j]) * operand_value(slope[j]));
        }
        return;
    }
    memset(dbias, 0, (size_t)columns * sizeof *dbias);
    for (int64_t i = 0; i < rows; i++) {
        Operand *restrict d = (Operand *)dout + i * columns;
        const Operand *restrict slope = (const Operand *)derivative + i * columns;
        for (int64_t j = 0; j < columns; j++) {
            float value = operand_value(d[j]) * operand_value(slope[j]);
            d[j] = operand_from(value);
            dbias[j] += value;
        }
    }
}

/* ---- softmax and cross-entropy ---- */

typedef struct LossRow {
    float maximum, sum; /* of the logits; of exp(logit - maximum), which the scratch row then holds */
    float logit_sum;
} LossRow;

/* The scratch row is padded to whole vectors with -inf, so that a row of ten classes is one vector and not ten scalars. */
static inline LossRow loss_row(const LossTarget *target, const float *restrict logits, const float *restrict bias) {
    float *restrict scratch = target->scratch;
    int64_t columns = target->columns, padded = (columns + LOSS_LANES - 1) / LOSS_LANES * LOSS_LANES;
    LossRow row = {-INFINITY, 0, 0};
    float maximum = -INFINITY, sum = 0, logit_sum = 0;
#pragma omp simd reduction(+ : logit_sum)
    for (int64_t j = 0; j < columns; j++) {
        scratch[j] = logits[j] + bias[j];
        logit_sum += scratch[j];
    }
    for (int64_t j = columns; j < padded; j++) {
        scratch[j] = -INFINITY;
    }
#pragma omp simd reduction(max : maximum)
    for (int64_t j = 0; j < padded; j++) {
        maximum = scratch[j] > maximum ? scratch[j] : maximum;
    }
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < padded; j++) {
        scratch[j] = exp2_negative((scratch[j] - maximum) * log2_e);
        sum += scratch[j];
    }
    row.maximum = maximum;
    row.sum = sum;
    row.logit_sum = logit_sum;
    return row;
}

/* One row of the gradient from what loss_row left; its loss comes back. */
static float loss_gradient_row(const LossTarget *target, int64_t i, float *restrict d, const float *restrict bias, float *restrict dbias) {
    const int64_t columns = target->columns, label = target->labels[i];
    const float *restrict exponentials = target->scratch;
    const float share = 1.0F / (float)target->rows, confidence = 1.0F - target->smoothing, floor = target->smoothing / (float)columns;
    LossRow row = loss_row(target, d, bias);
    const int64_t other = target->others != NULL ? target->others[i] : label;
    float right = d[label] + bias[label];
    if (target->others != NULL) {
        right = target->lambda * right + (1.0F - target->lambda) * (d[other] + bias[other]);
    }
    float scale = share / row.sum, low = share * floor;
    for (int64_t j = 0; j < columns; j++) {
        d[j] = exponentials[j] * scale - low;
    }
    d[label] -= share * confidence * target->lambda;
    d[other] -= share * confidence * (1.0F - target->lambda);
    for (int64_t j = 0; j < columns; j++) {
        dbias[j] += d[j];
    }
    return row.maximum + logf(row.sum) - confidence * right - floor * row.logit_sum;
}

static void loss_measure_row(const LossTarget *target, int64_t i, const float *logits, const float *bias, double *loss_sum,
                             int64_t *errors) {
    const int64_t label = target->labels[i];
    LossRow row = loss_row(target, logits, bias);
    float right = logits[label] + bias[label];
    *loss_sum += (double)(row.maximum + logf(row.sum) - right);
    bool wrong = !(right >= row.maximum);
    for (int64_t j = 0; j < label && !wrong; j++) {
        wrong = logits[j] + bias[j] >= right;
    }
    *errors += wrong;
}

/* With few classes a row is too short for vectors: LOSS_LANES rows are taken at a time, and a vector holds one class of each. The scratch
 * then is [columns, LOSS_LANES], of the logits with their bias first and of their exponentials after loss_block_exponentials. */
typedef struct LossBlock {
    float maximum[LOSS_LANES], sum[LOSS_LANES], logit_sum[LOSS_LANES];
} LossBlock;

static inline void loss_block_logits(const LossTarget *target, const float *restrict logits, const float *restrict bias,
                                     LossBlock *restrict block) {
    float *restrict scratch = target->scratch;
    for (int64_t i = 0; i < LOSS_LANES; i++) {
        block->maximum[i] = -INFINITY;
        block->logit_sum[i] = 0;
    }
    for (int64_t j = 0; j < target->columns; j++) {
        const float *restrict column = logits + j;
#pragma omp simd
        for (int64_t i = 0; i < LOSS_LANES; i++) {
            float value = column[i * target->columns] + bias[j];
            scratch[j * LOSS_LANES + i] = value;
            block->maximum[i] = value > block->maximum[i] ? value : block->maximum[i];
            block->logit_sum[i] += value;
        }
    }
}

static inline void loss_block_exponentials(const LossTarget *target, LossBlock *restrict block) {
    float *restrict scratch = target->scratch;
    memset(block->sum, 0, sizeof block->sum);
    for (int64_t j = 0; j < target->columns; j++) {
#pragma omp simd
        for (int64_t i = 0; i < LOSS_LANES; i++) {
            float e = exp2_negative((scratch[j * LOSS_LANES + i] - block->maximum[i]) * log2_e);
            scratch[j * LOSS_LANES + i] = e;
            block->sum[i] += e;
        }
    }
}

/* The loss of the row that is lane i, as loss_gradient_row has it. */
static inline float loss_block_row(const LossTarget *target, const LossBlock *block, int64_t i, float right) {
    return block->maximum[i] + logf(block->sum[i]) - (1.0F - target->smoothing) * right -
           target->smoothing / (float)target->columns * block->logit_sum[i];
}

/* first: the block's first row. The sum of its losses comes back. */
static double loss_gradient_block(const LossTarget *target, int64_t first, float *restrict logits, const float *restrict bias,
                                  float *restrict dbias) {
    const int64_t columns = target->columns;
    const uint16_t *labels = target->labels + first;
    float *restrict scratch = target->scratch, *restrict d = logits + first * columns;
    const float share = 1.0F / (float)target->rows, low = share * target->smoothing / (float)columns;
    float scale[LOSS_LANES], right[LOSS_LANES];
    double total = 0;
    LossBlock block;
    loss_block_logits(target, d, bias, &block);
    for (int64_t i = 0; i < LOSS_LANES; i++) {
        right[i] = scratch[labels[i] * LOSS_LANES + i];
    }
    loss_block_exponentials(target, &block);
    for (int64_t i = 0; i < LOSS_LANES; i++) {
        total += (double)loss_block_row(target, &block, i, right[i]);
        scale[i] = share / block.sum[i];
    }
    for (int64_t j = 0; j < columns; j++) {
#pragma omp simd
        for (int64_t i = 0; i < LOSS_LANES; i++) {
            scratch[j * LOSS_LANES + i] = scratch[j * LOSS_LANES + i] * scale[i] - low;
        }
    }
    for (int64_t i = 0; i < LOSS_LANES; i++) {
        scratch[labels[i] * LOSS_LANES + i] -= share * (1.0F - target->smoothing);
    }
    for (int64_t j = 0; j < columns; j++) {
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < LOSS_LANES; i++) {
            sum += scratch[j * LOSS_LANES + i];
        }
        dbias[j] += sum;
        for (int64_t i = 0; i < LOSS_LANES; i++) {
            d[i * columns + j] = scratch[j * LOSS_LANES + i];
        }
    }
    return total;
}

static void loss_measure_block(const LossTarget *target, int64_t first, const float *logits, const float *bias, double *loss_sum,
                               int64_t *errors) {
    const float *restrict scratch = target->scratch;
    const uint16_t *labels = target->labels + first;
    float right[LOSS_LANES];
    LossBlock block;
    loss_block_logits(target, logits + first * target->columns, bias, &block);
    for (int64_t i = 0; i < LOSS_LANES; i++) {
        right[i] = scratch[labels[i] * LOSS_LANES + i];
        bool wrong = !(right[i] >= block.maximum[i]);
        for (int64_t j = 0; j < labels[i] && !wrong; j++) {
            wrong = scratch[j * LOSS_LANES + i] >= right[i];
        }
        *errors += wrong;
    }
    loss_block_exponentials(target, &block);
    for (int64_t i = 0; i < LOSS_LANES; i++) {
        *loss_sum += (double)(block.maximum[i] + logf(block.sum[i]) - right[i]);
    }
}

/* Rows that whole blocks take. */
static int64_t loss_block_rows(const LossTarget *target) {
    if (target->others != NULL) {
        return 0;
    }
    return target->columns <= LOSS_BLOCK_COLUMNS ? target->rows / LOSS_LANES * LOSS_LANES : 0;
}

static float loss_gradient(const LossTarget *target, float *restrict logits, const float *restrict bias, float *restrict dbias,
                           void *restrict operand) {
    const int64_t columns = target->columns, in_blocks = loss_block_rows(target);
    double total = 0;
    memset(dbias, 0, (size_t)columns * sizeof *dbias);
    for (int64_t i = 0; i < in_blocks; i += LOSS_LANES) {
        total += loss_gradient_block(target, i, logits, bias, dbias);
    }
    for (int64_t i = in_blocks; i < target->rows; i++) {
        total += (double)loss_gradient_row(target, i, logits + i * columns, bias, dbias);
    }
    if (has_copies) {
        operand_round(target->rows * columns, logits, operand);
    }
    return (float)(total / (double)target->rows);
}

static void loss_measure(const LossTarget *target, const float *logits, const float *bias, double *loss_sum, int64_t *errors) {
    const int64_t in_blocks = loss_block_rows(target);
    for (int64_t i = 0; i < in_blocks; i += LOSS_LANES) {
        loss_measure_block(target, i, logits, bias, loss_sum, errors);
    }
    for (int64_t i = in_blocks; i < target->rows; i++) {
        loss_measure_row(target, i, logits + i * target->columns, bias, loss_sum, errors);
    }
}

extern const KernelTable TABLE_NAME;
const KernelTable TABLE_NAME = {
    TEXT(KERNEL_VARIANT), operand_round, bias_forward,  bias_backward, norm_forward,
    norm_backward,        gelu_forward,  gelu_backward, loss_gradient, loss_measure,
};
