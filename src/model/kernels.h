/* Everything a layer does besides its matrix product, each in one pass over its rows.
 *
 * Matrices are [rows, columns], row-major, without gaps; vectors are [columns] unless said otherwise. Arrays do not overlap unless they are
 * one argument that is read and written. A gradient of a vector is set, not added to. docs/flops.md counts each operation from these
 * kernels.
 *
 * What a product reads, and what it writes for one kernel to read, is an operand: a void pointer to floats in one set of tables, to
 * bfloat16 in the other. The rest is float in both. Where a kernel's result stays float and is an operand too, it has an argument `operand`
 * that takes the rounded copy; the float tables do not touch it, as there the result is the operand. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* PyTorch's. */
#define NORM_EPSILON 1e-5F

/* One LayerNorm on one batch: its parameters, and what its backward pass keeps from its forward pass. */
typedef struct Norm {
    int64_t columns;
    const float *gain, *shift;
    float *normal;  /* [rows, columns]: (z - mean) / deviation */
    float *inverse; /* [rows]: 1 / deviation */
} Norm;

/* What the loss needs besides the logits; [rows] examples of [columns] classes. */
typedef struct LossTarget {
    int64_t rows, columns;
    const uint16_t *labels; /* [rows] */
    float smoothing;
    float *scratch;         /* [loss_scratch_floats(columns)] */
    const uint16_t *others; /* [rows]: second labels, of the share 1 - lambda; NULL: none. The loss's gradient alone heeds them */
    float lambda;           /* 1 without others */
} LossTarget;

/* Up to LOSS_BLOCK_COLUMNS classes, LOSS_LANES rows are taken at a time. */
enum { LOSS_LANES = 16, LOSS_BLOCK_COLUMNS = 64 };

static inline int64_t loss_scratch_floats(int64_t columns) {
    return columns <= LOSS_BLOCK_COLUMNS ? columns * LOSS_LANES : columns + LOSS_LANES;
}

typedef struct KernelTable {
    const char *name;

    /* Rounds `count` floats to operands. */
    void (*operand_round)(int64_t count, const float *values, void *operand);

    /* z += bias; with relu, z = max(z, 0) after it. operand: a copy of z, or NULL. */
    void (*bias_forward)(int64_t rows, int64_t columns, float *z, const float *bias, bool relu, void *operand);
    /* dz = 0 where relu_output (NULL: no relu) is 0; dbias: the sum of its rows. operand: a copy of dz. */
    void (*bias_backward)(int64_t rows, int64_t columns, float *dz, const float *relu_output, float *dbias, void *operand);

    /* z as bias_forward leaves it; out: operand, gain * normal + shift. */
    void (*norm_forward)(const Norm *norm, int64_t rows, float *z, const float *bias, bool relu, void *out);
    /* From dout (operand, overwritten): dgain, dshift and the gradient of z, which is added to dz when there is a residual, else set; then
     * dz, dbias and operand as bias_backward leaves them. */
    void (*norm_backward)(const Norm *norm, int64_t rows, void *dout, bool residual, const float *relu_output, float *dz, float *dgain,
                          float *dshift, float *dbias, void *operand);

    /* out = gelu(x + bias), exact; x becomes the derivative there. Both are operands. bias may be NULL. */
    void (*gelu_forward)(int64_t rows, int64_t columns, void *x, const float *bias, void *out);
    /* dout *= derivative, both operands; dbias, unless NULL: the sum of its rows. */
    void (*gelu_backward)(int64_t rows, int64_t columns, void *dout, const void *derivative, float *dbias);

    /* logits + bias become the gradient of the batch's mean smoothed cross-entropy, dbias the sum of its rows; returns the mean. operand: a
     * copy of the gradient. */
    float (*loss_gradient)(const LossTarget *target, float *logits, const float *bias, float *dbias, void *operand);
    /* logits + bias; adds the unsmoothed cross-entropies and the wrong top-1 predictions (the first of equals counts as predicted). */
    void (*loss_measure)(const LossTarget *target, const float *logits, const float *bias, double *loss_sum, int64_t *errors);
} KernelTable;

/* Plain loops and the C library's erf, exp and log in double precision: the kernels' test. */
extern const KernelTable kernels_reference;

/* All that a pass through a network calls, doing nothing. */
extern const KernelTable kernels_idle;

typedef enum { OPERAND_FLOAT, OPERAND_BFLOAT16 } OperandType;

static inline size_t operand_size(OperandType type) {
    return type == OPERAND_FLOAT ? sizeof(float) : sizeof(uint16_t);
}

/* The compiled variants that this machine can run, slowest first; NULL past the last. */
const KernelTable *kernels_table(OperandType type, size_t index);
const KernelTable *kernels_fastest(OperandType type);
