/* Softmax and cross-entropy: the kernels of the loss (kernels_vector.h). */
#include "kernels_vector.h"

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

float VARIANT_NAME(loss_gradient)(const LossTarget *target, float *restrict logits, const float *restrict bias, float *restrict dbias,
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

void VARIANT_NAME(loss_measure)(const LossTarget *target, const float *logits, const float *bias, double *loss_sum, int64_t *errors) {
    const int64_t in_blocks = loss_block_rows(target);
    for (int64_t i = 0; i < in_blocks; i += LOSS_LANES) {
        loss_measure_block(target, i, logits, bias, loss_sum, errors);
    }
    for (int64_t i = in_blocks; i < target->rows; i++) {
        loss_measure_row(target, i, logits + i * target->columns, bias, loss_sum, errors);
    }
}
