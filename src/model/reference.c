/* The kernels again, in the plainest form and in double precision. A NaN logit is nowhere the largest. */
#include "kernels.h"

#include <math.h>
#include <string.h>

static void operand_round(int64_t count, const float *values, void *operand) {
    memcpy(operand, values, (size_t)count * sizeof *values);
}

static void bias_forward(int64_t rows, int64_t columns, float *z, const float *bias, bool relu, void *operand) {
    (void)operand;
    for (int64_t i = 0; i < rows * columns; i++) {
        z[i] += bias[i % columns];
        if (relu && z[i] < 0) {
            z[i] = 0;
        }
    }
}

static void column_sums(int64_t rows, int64_t columns, const float *d, float *sums) {
    for (int64_t j = 0; j < columns; j++) {
        double sum = 0;
        for (int64_t i = 0; i < rows; i++) {
            sum += (double)d[i * columns + j];
        }
        sums[j] = (float)sum;
    }
}

static void bias_backward(int64_t rows, int64_t columns, float *dz, const float *relu_output, float *dbias, void *operand) {
    (void)operand;
    for (int64_t i = 0; relu_output != NULL && i < rows * columns; i++) {
        if (!(relu_output[i] > 0)) {
            dz[i] = 0;
        }
    }
    column_sums(rows, columns, dz, dbias);
}

static void norm_forward(const Norm *norm, int64_t rows, float *z, const float *bias, bool relu, void *operand_out) {
    int64_t columns = norm->columns;
    float *out = operand_out;
    bias_forward(rows, columns, z, bias, relu, NULL);
    for (int64_t i = 0; i < rows; i++) {
        double mean = 0, variance = 0;
        for (int64_t j = 0; j < columns; j++) {
            mean += (double)z[i * columns + j] / (double)columns;
        }
        for (int64_t j = 0; j < columns; j++) {
            variance += pow((double)z[i * columns + j] - mean, 2) / (double)columns;
        }
        double inverse = 1 / sqrt(variance + (double)NORM_EPSILON);
        norm->inverse[i] = (float)inverse;
        for (int64_t j = 0; j < columns; j++) {
            double normal = ((double)z[i * columns + j] - mean) * inverse;
            norm->normal[i * columns + j] = (float)normal;
            out[i * columns + j] = (float)((double)norm->gain[j] * normal + (double)norm->shift[j]);
        }
    }
}

static void norm_backward(const Norm *norm, int64_t rows, void *operand_dout, bool residual, const float *relu_output, float *dz,
                          float *dgain, float *dshift, float *dbias, void *operand) {
    int64_t columns = norm->columns;
    const float *dout = operand_dout;
    column_sums(rows, columns, dout, dshift);
    for (int64_t j = 0; j < columns; j++) {
        double sum = 0;
        for (int64_t i = 0; i < rows; i++) {
            sum += (double)dout[i * columns + j] * (double)norm->normal[i * columns + j];
        }
        dgain[j] = (float)sum;
    }
    for (int64_t i = 0; i < rows; i++) {
        double mean_d = 0, mean_dn = 0;
        for (int64_t j = 0; j < columns; j++) {
            double d = (double)dout[i * columns + j] * (double)norm->gain[j];
            mean_d += d / (double)columns;
            mean_dn += d * (double)norm->normal[i * columns + j] / (double)columns;
        }
        for (int64_t j = 0; j < columns; j++) {
            double d = (double)dout[i * columns + j] * (double)norm->gain[j];
            double back = (double)norm->inverse[i] * (d - mean_d - (double)norm->normal[i * columns + j] * mean_dn);
            dz[i * columns + j] = (float)(back + (residual ? (double)dz[i * columns + j] : 0));
        }
    }
    bias_backward(rows, columns, dz, relu_output, dbias, operand);
}

static void gelu_forward(int64_t rows, int64_t columns, void *operand_x, const float *bias, void *operand_out) {
    float *x = operand_x, *out = operand_out;
    for (int64_t i = 0; i < rows * columns; i++) {
        double value = (double)x[i] + (bias != NULL ? (double)bias[i % columns] : 0);
        double phi = 0.5 * erfc(-value / sqrt(2));
        out[i] = (float)(value * phi);
        x[i] = (float)(phi + value * exp(-value * value / 2) / sqrt(2 * acos(-1)));
    }
}

static void gelu_backward(int64_t rows, int64_t columns, void *operand_dout, const void *operand_derivative, float *dbias) {
    float *dout = operand_dout;
    const float *derivative = operand_derivative;
    for (int64_t i = 0; i < rows * columns; i++) {
        dout[i] *= derivative[i];
    }
    if (dbias != NULL) {
        column_sums(rows, columns, dout, dbias);
    }
}

/* Of one row; *maximum is the largest logit. */
static double log_sum_exp(int64_t columns, const float *logits, const float *bias, double *maximum) {
    double largest = -INFINITY, sum = 0;
    for (int64_t j = 0; j < columns; j++) {
        largest = fmax(largest, (double)(logits[j] + bias[j]));
    }
    for (int64_t j = 0; j < columns; j++) {
        sum += exp((double)(logits[j] + bias[j]) - largest);
    }
    *maximum = largest;
    return largest + log(sum);
}

static float loss_gradient(const LossTarget *target, float *logits, const float *bias, float *dbias, void *operand) {
    (void)operand;
    int64_t columns = target->columns;
    double total = 0, rows = (double)target->rows;
    for (int64_t i = 0; i < target->rows; i++) {
        float *row = logits + i * columns;
        double maximum, normaliser = log_sum_exp(columns, row, bias, &maximum);
        for (int64_t j = 0; j < columns; j++) {
            double logit = (double)(row[j] + bias[j]), smoothing = (double)target->smoothing;
            double wanted = smoothing / (double)columns + (j == target->labels[i] ? (1 - smoothing) * (double)target->lambda : 0);
            if (target->others != NULL && j == target->others[i]) {
                wanted += (1 - smoothing) * (1 - (double)target->lambda);
            }
            total += wanted * (normaliser - logit);
            row[j] = (float)((exp(logit - normaliser) - wanted) / rows);
        }
    }
    column_sums(target->rows, columns, logits, dbias);
    return (float)(total / rows);
}

static void loss_measure(const LossTarget *target, const float *logits, const float *bias, double *loss_sum, int64_t *errors) {
    for (int64_t i = 0; i < target->rows; i++) {
        const float *row = logits + i * target->columns;
        int64_t label = target->labels[i], predicted = 0;
        double maximum, normaliser = log_sum_exp(target->columns, row, bias, &maximum);
        *loss_sum += normaliser - (double)(row[label] + bias[label]);
        while (predicted < target->columns && !((double)(row[predicted] + bias[predicted]) >= maximum)) {
            predicted++;
        }
        *errors += predicted != label;
    }
}

const KernelTable kernels_reference = {
    "reference",   operand_round, bias_forward,  bias_backward, norm_forward,
    norm_backward, gelu_forward,  gelu_backward, loss_gradient, loss_measure,
};
