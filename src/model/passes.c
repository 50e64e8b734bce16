/* Forward and backward passes. B: examples of the batch, I: inputs, m: width, k m: hidden width, C: classes.
 *
 * A linear layer's product leaves its bias to the pass that reads the result next, which adds it while the row is in cache: the norm of the
 * following block, gelu, or the head's bias pass. The backward pass mirrors this: whoever finishes dz also sums the bias gradient of the
 * layer that made z, and makes the rounded copy of dz that products read. The first layer's input gradient is never computed.
 *
 * Products read operands (kernels.h). They write floats where a sum or the residual stream continues (z, logits, weight gradients), and
 * operands where one kernel reads the result and hands it on rounded (hidden, dhidden, dnormed). */
#include "network.h"

#include <assert.h>
#include <math.h>

/* Every matrix product of a model goes through here and is counted. */
static void multiply(const Model *model, Product product, uint64_t *flops) {
    *flops += 2 * (uint64_t)product.m * (uint64_t)product.n * (uint64_t)product.k;
    product.operands = model->backend->operands;
    model->backend->multiply(model->backend_state, &product);
}

/* out: [B, outputs] = in: [B, inputs] times weight^T; a sum (float) is added to where `accumulate` says so. */
static void linear_forward(const Model *model, const Linear *linear, int64_t batch, const void *in, bool accumulate, float *out,
                           uint64_t *flops) {
    multiply(model, (Product){false, true, accumulate, batch, linear->outputs, linear->inputs, in, linear->operand, out, 0, OPERAND_FLOAT},
             flops);
}

/* The same with operands as the result. */
static void linear_forward_operand(const Model *model, const Linear *linear, int64_t batch, const void *in, void *out, uint64_t *flops) {
    OperandType type = model->backend->operands;
    multiply(model, (Product){false, true, false, batch, linear->outputs, linear->inputs, in, linear->operand, out, 0, type}, flops);
}

/* dweight: [outputs, inputs] = dout^T: [outputs, B] times in: [B, inputs]. */
static void linear_backward_weight(Model *model, const Linear *linear, int64_t batch, const void *dout, const void *in) {
    multiply(model, (Product){true, false, false, linear->outputs, linear->inputs, batch, dout, in, linear->dweight, 0, OPERAND_FLOAT},
             &model->gemm_training);
}

/* din: [B, inputs] = dout: [B, outputs] times weight. */
static void linear_backward_input(Model *model, const Linear *linear, int64_t batch, const void *dout, void *din, OperandType type) {
    multiply(model, (Product){false, false, false, batch, linear->inputs, linear->outputs, dout, linear->operand, din, 0, type},
             &model->gemm_training);
}

/* The layer that made the stream as block `index` finds it; index depth: as the head finds it. */
static const Linear *stream_source(const Model *model, int64_t index) {
    return index == 0 ? &model->input : &model->blocks[index - 1].last;
}

/* The input layer's output has no relu, every text-form block's has. */
static bool stream_has_relu(const Model *model, int64_t index) {
    return index > 0 && network_has_relu(model);
}

/* What is dropped after gelu is dropped from its derivative too, so that the backward pass has nothing more to do. */
static void block_drop(const Model *model, int64_t index, int64_t batch) {
    const Block *block = &model->blocks[index];
    const int64_t hidden = block->last.inputs;
    const OperandType type = model->backend->operands;
    if (network_has_relu(model)) {
        dropout_apply(&model->dropout, index, batch, hidden, type, block->normed);
        return;
    }
    dropout_apply(&model->dropout, index, batch, hidden, type, block->activated);
    dropout_apply(&model->dropout, index, batch, hidden, type, model->arch.kind == MODEL_BMLP ? block->hidden : block->normed);
}

static void block_forward(const Model *model, int64_t index, int64_t batch, float *out, uint64_t *flops) {
    const KernelTable *kernels = model->kernels;
    const Block *block = &model->blocks[index];
    const int64_t hidden = block->last.inputs;
    const void *last_input = block->activated;
    kernels->norm_forward(&block->norm, batch, block->z, stream_source(model, index)->bias, stream_has_relu(model, index), block->normed);
    if (model->arch.kind == MODEL_BMLP) {
        linear_forward_operand(model, &block->expand, batch, block->normed, block->hidden, flops);
        kernels->gelu_forward(batch, hidden, block->hidden, block->expand.bias, block->activated);
    } else if (model->arch.form == SMLP_CODE) {
        kernels->gelu_forward(batch, hidden, block->normed, NULL, block->activated);
    } else {
        last_input = block->normed;
    }
    if (model->is_dropping) {
        block_drop(model, index, batch);
    }
    linear_forward(model, &block->last, batch, last_input, model->arch.kind == MODEL_BMLP, out, flops);
}

/* Rounds what the products of a pass read and no kernel has rounded yet. The batch as they read it comes back. */
static const void *operands_prepare(const Model *model, const float *x, int64_t batch) {
    if (model->rounded != NULL && !model->rounded_is_current) {
        model->kernels->operand_round((int64_t)model->parameter_count, model->parameters, model->rounded);
    }
    if (model->x_operand == NULL) {
        return x;
    }
    if (x != NULL) {
        model->kernels->operand_round(batch * model->arch.inputs, x, model->x_operand);
    }
    return model->x_operand;
}

/* x comes from operands_prepare. Leaves what the head reads. */
static void body_forward(const Model *model, const void *x, int64_t batch, uint64_t *flops) {
    const int64_t depth = model->arch.depth;
    assert(batch > 0 && batch <= model->batch_max);
    linear_forward(model, &model->input, batch, x, false, model->blocks[0].z, flops);
    for (int64_t i = 0; i < depth; i++) {
        block_forward(model, i, batch, i + 1 < depth ? model->blocks[i + 1].z : model->z, flops);
    }
    model->kernels->bias_forward(batch, model->arch.width, model->z, stream_source(model, depth)->bias, network_has_relu(model),
                                 model->z_operand);
}

/* Leaves the logits without the head's bias, which the loss adds. */
static void network_forward(const Model *model, const void *x, int64_t batch, uint64_t *flops) {
    body_forward(model, x, batch, flops);
    linear_forward(model, &model->head, batch, model->z_operand, false, model->logits, flops);
}

/* dz comes in as the gradient of the block's output before its relu and bias, and leaves as that of its input's. */
static void block_backward(Model *model, int64_t index, int64_t batch) {
    const KernelTable *kernels = model->kernels;
    const Block *block = &model->blocks[index];
    const int64_t hidden = block->last.inputs;
    const bool bmlp = model->arch.kind == MODEL_BMLP;
    linear_backward_weight(model, &block->last, batch, model->dz_operand, block->activated != NULL ? block->activated : block->normed);
    linear_backward_input(model, &block->last, batch, model->dz_operand, bmlp ? model->dhidden : model->dnormed, model->backend->operands);
    if (bmlp) {
        kernels->gelu_backward(batch, hidden, model->dhidden, block->hidden, block->expand.dbias);
        linear_backward_weight(model, &block->expand, batch, model->dhidden, block->normed);
        linear_backward_input(model, &block->expand, batch, model->dhidden, model->dnormed, model->backend->operands);
    } else if (model->arch.form == SMLP_CODE) {
        kernels->gelu_backward(batch, hidden, model->dnormed, block->normed, NULL);
    } else if (model->is_dropping) {
        dropout_apply(&model->dropout, index, batch, hidden, model->backend->operands, model->dnormed);
    }
    kernels->norm_backward(&block->norm, batch, model->dnormed, bmlp, stream_has_relu(model, index) ? block->z : NULL, model->dz,
                           block->dgain, block->dshift, stream_source(model, index)->dbias, model->dz_operand);
}

/* From the logits' gradient. */
static void network_backward(Model *model, const void *x, int64_t batch) {
    const int64_t depth = model->arch.depth;
    linear_backward_weight(model, &model->head, batch, model->logits_operand, model->z_operand);
    linear_backward_input(model, &model->head, batch, model->logits_operand, model->dz, OPERAND_FLOAT);
    model->kernels->bias_backward(batch, model->arch.width, model->dz, network_has_relu(model) ? model->z : NULL,
                                  stream_source(model, depth)->dbias, model->dz_operand);
    for (int64_t i = depth; i-- > 0;) {
        block_backward(model, i, batch);
    }
    linear_backward_weight(model, &model->input, batch, model->dz_operand, x);
}

static LossTarget loss_target(const Model *model, const uint16_t *labels, int64_t batch, float smoothing) {
    return (LossTarget){batch, model->arch.classes, labels, smoothing, model->scratch, NULL, 1};
}

static float train_step(Model *model, const float *x, const LossTarget *target) {
    const int64_t batch = target->rows;
    const void *operand = operands_prepare(model, x, batch);
    model->is_dropping = model->dropout.share > 0;
    network_forward(model, operand, batch, &model->gemm_training);
    float loss = model->kernels->loss_gradient(target, model->logits, model->head.bias, model->head.dbias, model->logits_operand);
    network_backward(model, operand, batch);
    model->is_dropping = false;
    return loss;
}

void model_set_step(Model *model, uint64_t seed, int64_t step) {
    model->dropout.seed = seed;
    model->dropout.step = step;
}

float model_train_step(Model *model, const float *x, const uint16_t *labels, int64_t batch, float smoothing) {
    LossTarget target = loss_target(model, labels, batch, smoothing);
    return train_step(model, x, &target);
}

float model_train_step_mixed(Model *model, const float *x, const uint16_t *labels, const uint16_t *others, float lambda, int64_t batch,
                             float smoothing) {
    LossTarget target = loss_target(model, labels, batch, smoothing);
    target.others = others;
    target.lambda = lambda;
    return train_step(model, x, &target);
}

/* ---- a new head on a frozen body ---- */

void *model_features(Model *model) {
    return model->z_operand;
}

size_t model_feature_bytes(const Model *model) {
    return (size_t)model->arch.width * operand_size(model->backend->operands);
}

void model_forward_features(Model *model, const float *x, int64_t batch) {
    body_forward(model, operands_prepare(model, x, batch), batch, &model->gemm_training);
}

float model_train_head_step(Model *model, const uint16_t *labels, const uint16_t *others, float lambda, int64_t batch, float smoothing) {
    LossTarget target = loss_target(model, labels, batch, smoothing);
    target.others = others;
    target.lambda = lambda;
    operands_prepare(model, NULL, 0);
    linear_forward(model, &model->head, batch, model->z_operand, false, model->logits, &model->gemm_training);
    float loss = model->kernels->loss_gradient(&target, model->logits, model->head.bias, model->head.dbias, model->logits_operand);
    linear_backward_weight(model, &model->head, batch, model->logits_operand, model->z_operand);
    return loss;
}

/* A step whose kernels do nothing. */
void model_multiply_only(Model *model, const float *x, int64_t batch) {
    const KernelTable *kernels = model->kernels;
    model->kernels = &kernels_idle;
    const void *operand = operands_prepare(model, x, batch);
    network_forward(model, operand, batch, &model->gemm_training);
    network_backward(model, operand, batch);
    model->kernels = kernels;
}

void model_evaluate(Model *model, const float *x, const uint16_t *labels, int64_t batch, double *loss_sum, int64_t *errors) {
    LossTarget target = loss_target(model, labels, batch, 0);
    network_forward(model, operands_prepare(model, x, batch), batch, &model->gemm_forward_only);
    model->kernels->loss_measure(&target, model->logits, model->head.bias, loss_sum, errors);
}

int64_t model_evaluated_beyond(const Model *model, const uint16_t *labels, int64_t batch, int64_t top) {
    const int64_t classes = model->arch.classes;
    const float *bias = model->head.bias;
    int64_t beyond = 0;
    for (int64_t i = 0; i < batch; i++) {
        const float *row = model->logits + i * classes;
        const float own = row[labels[i]] + bias[labels[i]];
        int32_t likelier = 0;
        for (int64_t j = 0; j < labels[i]; j++) {
            likelier += !(row[j] + bias[j] < own);
        }
        for (int64_t j = labels[i] + 1; j < classes; j++) {
            likelier += !(row[j] + bias[j] <= own);
        }
        beyond += likelier >= top || isnan(own);
    }
    return beyond;
}

const float *model_forward(Model *model, const float *x, int64_t batch) {
    network_forward(model, operands_prepare(model, x, batch), batch, &model->gemm_forward_only);
    model->kernels->bias_forward(batch, model->arch.classes, model->logits, model->head.bias, false, NULL);
    return model->logits;
}
