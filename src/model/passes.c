/* Forward and backward passes. B: examples of the batch, I: inputs, m: width, k m: hidden width, C: classes.
 *
 * A linear layer's product leaves its bias to the pass that reads the result next, which adds it while the row is in cache: the norm of the
 * following block, gelu, or the head's bias pass. The backward pass mirrors this: whoever finishes dz also sums the bias gradient of the
 * layer that made z. The first layer's input gradient is never computed. */
#include "network.h"

#include <assert.h>

/* Every matrix product of a model goes through here and is counted. */
static void multiply(const Model *model, const Product *product, uint64_t *flops) {
    *flops += 2 * (uint64_t)product->m * (uint64_t)product->n * (uint64_t)product->k;
    model->backend->multiply(product);
}

/* out: [B, outputs] = in: [B, inputs] times weight^T, or added to it. */
static void linear_forward(const Model *model, const Linear *linear, int64_t batch, const float *in, bool accumulate, float *out,
                           uint64_t *flops) {
    Product product = {false, true, accumulate, batch, linear->outputs, linear->inputs, in, linear->weight, out};
    multiply(model, &product, flops);
}

/* dweight: [outputs, inputs] = dout^T: [outputs, B] times in: [B, inputs]. */
static void linear_backward_weight(Model *model, const Linear *linear, int64_t batch, const float *dout, const float *in) {
    Product product = {true, false, false, linear->outputs, linear->inputs, batch, dout, in, linear->dweight};
    multiply(model, &product, &model->gemm_training);
}

/* din: [B, inputs] = dout: [B, outputs] times weight. */
static void linear_backward_input(Model *model, const Linear *linear, int64_t batch, const float *dout, float *din) {
    Product product = {false, false, false, batch, linear->inputs, linear->outputs, dout, linear->weight, din};
    multiply(model, &product, &model->gemm_training);
}

/* The layer that made the stream as block `index` finds it; index depth: as the head finds it. */
static const Linear *stream_source(const Model *model, int64_t index) {
    return index == 0 ? &model->input : &model->blocks[index - 1].last;
}

/* The input layer's output has no relu, every text-form block's has. */
static bool stream_has_relu(const Model *model, int64_t index) {
    return index > 0 && network_has_relu(model);
}

static void block_forward(const Model *model, int64_t index, int64_t batch, float *out, uint64_t *flops) {
    const KernelTable *kernels = model->kernels;
    const Block *block = &model->blocks[index];
    const int64_t hidden = block->last.inputs;
    const float *last_input = block->activated;
    kernels->norm_forward(&block->norm, batch, block->z, stream_source(model, index)->bias, stream_has_relu(model, index), block->normed);
    if (model->arch.kind == MODEL_BMLP) {
        linear_forward(model, &block->expand, batch, block->normed, false, block->hidden, flops);
        kernels->gelu_forward(batch, hidden, block->hidden, block->expand.bias, block->activated);
    } else if (model->arch.form == SMLP_CODE) {
        kernels->gelu_forward(batch, hidden, block->normed, NULL, block->activated);
    } else {
        last_input = block->normed;
    }
    linear_forward(model, &block->last, batch, last_input, model->arch.kind == MODEL_BMLP, out, flops);
}

/* Leaves the logits without the head's bias, which the loss adds. */
static void network_forward(const Model *model, const float *x, int64_t batch, uint64_t *flops) {
    const int64_t depth = model->arch.depth;
    assert(batch > 0 && batch <= model->batch_max);
    linear_forward(model, &model->input, batch, x, false, model->blocks[0].z, flops);
    for (int64_t i = 0; i < depth; i++) {
        block_forward(model, i, batch, i + 1 < depth ? model->blocks[i + 1].z : model->z, flops);
    }
    model->kernels->bias_forward(batch, model->arch.width, model->z, stream_source(model, depth)->bias, network_has_relu(model));
    linear_forward(model, &model->head, batch, model->z, false, model->logits, flops);
}

/* dz comes in as the gradient of the block's output before its relu and bias, and leaves as that of its input's. */
static void block_backward(Model *model, int64_t index, int64_t batch) {
    const KernelTable *kernels = model->kernels;
    const Block *block = &model->blocks[index];
    const int64_t hidden = block->last.inputs;
    const bool bmlp = model->arch.kind == MODEL_BMLP;
    linear_backward_weight(model, &block->last, batch, model->dz, block->activated != NULL ? block->activated : block->normed);
    linear_backward_input(model, &block->last, batch, model->dz, bmlp ? model->dhidden : model->dnormed);
    if (bmlp) {
        kernels->gelu_backward(batch, hidden, model->dhidden, block->hidden, block->expand.dbias);
        linear_backward_weight(model, &block->expand, batch, model->dhidden, block->normed);
        linear_backward_input(model, &block->expand, batch, model->dhidden, model->dnormed);
    } else if (model->arch.form == SMLP_CODE) {
        kernels->gelu_backward(batch, hidden, model->dnormed, block->normed, NULL);
    }
    kernels->norm_backward(&block->norm, batch, model->dnormed, bmlp, stream_has_relu(model, index) ? block->z : NULL, model->dz,
                           block->dgain, block->dshift, stream_source(model, index)->dbias);
}

/* From the logits' gradient. */
static void network_backward(Model *model, const float *x, int64_t batch) {
    const int64_t depth = model->arch.depth;
    linear_backward_weight(model, &model->head, batch, model->logits, model->z);
    linear_backward_input(model, &model->head, batch, model->logits, model->dz);
    model->kernels->bias_backward(batch, model->arch.width, model->dz, network_has_relu(model) ? model->z : NULL,
                                  stream_source(model, depth)->dbias);
    for (int64_t i = depth; i-- > 0;) {
        block_backward(model, i, batch);
    }
    linear_backward_weight(model, &model->input, batch, model->dz, x);
}

static LossTarget loss_target(const Model *model, const uint16_t *labels, int64_t batch, float smoothing) {
    return (LossTarget){batch, model->arch.classes, labels, smoothing, model->scratch};
}

float model_train_step(Model *model, const float *x, const uint16_t *labels, int64_t batch, float smoothing) {
    LossTarget target = loss_target(model, labels, batch, smoothing);
    network_forward(model, x, batch, &model->gemm_training);
    float loss = model->kernels->loss_gradient(&target, model->logits, model->head.bias, model->head.dbias);
    network_backward(model, x, batch);
    return loss;
}

void model_evaluate(Model *model, const float *x, const uint16_t *labels, int64_t batch, double *loss_sum, int64_t *errors) {
    LossTarget target = loss_target(model, labels, batch, 0);
    network_forward(model, x, batch, &model->gemm_forward_only);
    model->kernels->loss_measure(&target, model->logits, model->head.bias, loss_sum, errors);
}

const float *model_forward(Model *model, const float *x, int64_t batch) {
    network_forward(model, x, batch, &model->gemm_forward_only);
    model->kernels->bias_forward(batch, model->arch.classes, model->logits, model->head.bias, false);
    return model->logits;
}
