/* The fast kernels, but for the loss and gelu: loops that gcc and clang vectorise. Compiled once per vector extension and type of operand
 * (kernels_vector.h). Nothing in an inner loop calls the C library. */
#include "kernels_vector.h"

/* Row i of what is an operand too. */
static inline void row_copy(int64_t i, int64_t columns, const float *restrict row, void *restrict operand) {
    if (has_copies) {
        operand_round(columns, row, (Operand *)operand + i * columns);
    }
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

extern const KernelTable VARIANT_NAME(kernels);
const KernelTable VARIANT_NAME(kernels) = {
    TEXT(KERNEL_VARIANT),
    operand_round,
    bias_forward,
    bias_backward,
    norm_forward,
    norm_backward,
    VARIANT_NAME(gelu_forward),
    VARIANT_NAME(gelu_backward),
    VARIANT_NAME(loss_gradient),
    VARIANT_NAME(loss_measure),
};
