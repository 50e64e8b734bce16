/* Kernels that do nothing: what stays of a training step is its matrix products. */
#include "kernels.h"

static void operand_round(int64_t count, const float *values, void *operand) {
    (void)count, (void)values, (void)operand;
}

static void bias_forward(int64_t rows, int64_t columns, float *z, const float *bias, bool relu, void *operand) {
    (void)rows, (void)columns, (void)z, (void)bias, (void)relu, (void)operand;
}

static void bias_backward(int64_t rows, int64_t columns, float *dz, const float *relu_output, float *dbias, void *operand) {
    (void)rows, (void)columns, (void)dz, (void)relu_output, (void)dbias, (void)operand;
}

static void norm_forward(const Norm *norm, int64_t rows, float *z, const float *bias, bool relu, void *out) {
    (void)norm, (void)rows, (void)z, (void)bias, (void)relu, (void)out;
}

static void norm_backward(const Norm *norm, int64_t rows, void *dout, bool residual, const float *relu_output, float *dz, float *dgain,
                          float *dshift, float *dbias, void *operand) {
    (void)norm, (void)rows, (void)dout, (void)residual, (void)relu_output, (void)dz;
    (void)dgain, (void)dshift, (void)dbias, (void)operand;
}

static void gelu_forward(int64_t rows, int64_t columns, void *x, const float *bias, void *out) {
    (void)rows, (void)columns, (void)x, (void)bias, (void)out;
}

static void gelu_backward(int64_t rows, int64_t columns, void *dout, const void *derivative, float *dbias) {
    (void)rows, (void)columns, (void)dout, (void)derivative, (void)dbias;
}

const KernelTable kernels_idle = {
    .name = "idle",
    .operand_round = operand_round,
    .bias_forward = bias_forward,
    .bias_backward = bias_backward,
    .norm_forward = norm_forward,
    .norm_backward = norm_backward,
    .gelu_forward = gelu_forward,
    .gelu_backward = gelu_backward,
};
