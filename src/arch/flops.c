/* FLOPs of a training step, counted from what the model layer's kernels and the optimizers execute.
 *
 * One addition, subtraction, multiplication, division or square root is one flop; a fused multiply-add is two. Comparisons,
 * selections, sign changes, absolute values, conversions and bit operations are none. docs/flops.md takes each constant
 * apart; a kernel of src/model that changes its arithmetic changes its constant here and its line there. */
#include "sweepd/arch.h"

/* Flops per element of the matrix that an operation passes over, or per row where the name says so. */
enum {
    FLOPS_BIAS = 1,
    FLOPS_BIAS_GRADIENT = 1,
    FLOPS_RESIDUAL = 0, /* the contracting product accumulates onto the stream: its own additions do it */
    FLOPS_RESIDUAL_GRADIENT = 1,
    FLOPS_RELU = 0,
    FLOPS_RELU_GRADIENT = 0,
    FLOPS_GELU = 38, /* the value and the derivative that the backward pass will want */
    FLOPS_GELU_GRADIENT = 1,
    FLOPS_DROPOUT = 2,
    FLOPS_NORM = 7,
    FLOPS_NORM_ROW = 5,
    FLOPS_NORM_GRADIENT = 11,
    FLOPS_NORM_GRADIENT_ROW = 2,
    FLOPS_LOSS = 20, /* softmax, smoothed cross-entropy, and the gradient of the logits */
    FLOPS_LOSS_ROW = 10,
};

enum { PAPER_FLOPS_PER_NORM_ELEMENT = 5 };

static uint64_t layer_bias_flops(int64_t outputs) {
    return (uint64_t)outputs * (FLOPS_BIAS + FLOPS_BIAS_GRADIENT);
}

static uint64_t norm_flops(int64_t width) {
    return (uint64_t)width * (FLOPS_NORM + FLOPS_NORM_GRADIENT) + FLOPS_NORM_ROW + FLOPS_NORM_GRADIENT_ROW;
}

static uint64_t gelu_flops(int64_t elements) {
    return (uint64_t)elements * (FLOPS_GELU + FLOPS_GELU_GRADIENT);
}

static uint64_t block_flops(const Architecture *arch) {
    int64_t width = arch->width, hidden = arch->expansion * width;
    uint64_t dropped = arch->dropout > 0 ? (uint64_t)(arch->kind == MODEL_BMLP ? hidden : width) * FLOPS_DROPOUT : 0;
    uint64_t common = norm_flops(width) + layer_bias_flops(width) + dropped;
    if (arch->kind == MODEL_BMLP) {
        return common + layer_bias_flops(hidden) + gelu_flops(hidden) + (uint64_t)width * (FLOPS_RESIDUAL + FLOPS_RESIDUAL_GRADIENT);
    }
    return common + (arch->form == SMLP_TEXT ? (uint64_t)width * (FLOPS_RELU + FLOPS_RELU_GRADIENT) : gelu_flops(width));
}

/* Of everything but the matrix products and the optimizer, for one example. */
static uint64_t example_elementwise_flops(const Architecture *arch) {
    uint64_t loss = (uint64_t)arch->classes * FLOPS_LOSS + FLOPS_LOSS_ROW;
    return layer_bias_flops(arch->width) + (uint64_t)arch->depth * block_flops(arch) + layer_bias_flops(arch->classes) + loss;
}

uint64_t arch_forward_gemm_flops(const Architecture *arch, int64_t batch) {
    return 2 * (uint64_t)batch * (uint64_t)arch_forward_macs(arch);
}

uint64_t arch_step_gemm_flops(const Architecture *arch, int64_t batch) {
    uint64_t first_input_gradient = 2 * (uint64_t)batch * (uint64_t)arch->inputs * (uint64_t)arch->width;
    return 3 * arch_forward_gemm_flops(arch, batch) - first_input_gradient;
}

uint64_t arch_step_flops(const Architecture *arch, int64_t batch, int64_t optimizer) {
    return arch_step_gemm_flops(arch, batch) + (uint64_t)batch * example_elementwise_flops(arch) +
           (uint64_t)arch_params_total(arch) * (uint64_t)optimizer;
}

int64_t arch_batch(const Training *training) {
    return count_at_most(training->batch, training->examples);
}

int64_t arch_steps_per_epoch(const Training *training) {
    int64_t batch = arch_batch(training);
    return batch > 0 ? training->examples / batch : 0;
}

int64_t arch_steps(const Training *training) {
    return arch_steps_per_epoch(training) * training->epochs;
}

Flops arch_training_flops(const Architecture *arch, const Training *training) {
    int64_t batch = arch_batch(training);
    double steps = (double)arch_steps(training);
    double shown = (double)training->examples * (double)training->epochs;
    double paper_example = (double)arch_forward_macs(arch) + (double)(PAPER_FLOPS_PER_NORM_ELEMENT * arch->depth * arch->width);
    return (Flops){
        .exact = steps * (double)arch_step_flops(arch, batch, training->optimizer),
        .gemm = steps * (double)arch_step_gemm_flops(arch, batch),
        .paper = 3 * shown * paper_example,
        .nd6 = 6 * shown * (double)arch_params_total(arch),
    };
}

/* ---- a new head on a frozen body ---- */

uint64_t arch_head_params(const Architecture *arch) {
    return (uint64_t)arch->width * (uint64_t)arch->classes + (uint64_t)arch->classes;
}

uint64_t arch_head_step_gemm_flops(const Architecture *arch, int64_t batch) {
    return 4 * (uint64_t)batch * (uint64_t)arch->width * (uint64_t)arch->classes;
}

uint64_t arch_head_step_flops(const Architecture *arch, int64_t batch, int64_t optimizer) {
    uint64_t example = layer_bias_flops(arch->classes) + (uint64_t)arch->classes * FLOPS_LOSS + FLOPS_LOSS_ROW;
    return arch_head_step_gemm_flops(arch, batch) + (uint64_t)batch * example + arch_head_params(arch) * (uint64_t)optimizer;
}

static int64_t features_macs(const Architecture *arch) {
    return arch_forward_macs(arch) - arch->width * arch->classes;
}

uint64_t arch_features_gemm_flops(const Architecture *arch, int64_t batch) {
    return 2 * (uint64_t)batch * (uint64_t)features_macs(arch);
}

uint64_t arch_features_flops(const Architecture *arch, int64_t batch) {
    uint64_t width = (uint64_t)arch->width, hidden = (uint64_t)arch->expansion * width;
    uint64_t block = width * FLOPS_NORM + FLOPS_NORM_ROW + width * FLOPS_BIAS;
    if (arch->kind == MODEL_BMLP)
        block += hidden * (FLOPS_BIAS + FLOPS_GELU) + width * FLOPS_RESIDUAL;
    else
        block += width * (uint64_t)(arch->form == SMLP_TEXT ? FLOPS_RELU : FLOPS_GELU);
    uint64_t example = width * FLOPS_BIAS + (uint64_t)arch->depth * block;
    return arch_features_gemm_flops(arch, batch) + (uint64_t)batch * example;
}

Flops arch_head_training_flops(const Architecture *arch, const Training *training, bool keeps_features) {
    int64_t batch = arch_batch(training);
    double steps = (double)arch_steps(training), examples = (double)training->examples;
    double looked = keeps_features ? examples : steps * (double)batch; /* examples that the body sees */
    double shown = examples * (double)training->epochs, passed = keeps_features ? examples : shown;
    double macs = (double)(arch->width * arch->classes), head = (double)arch_head_params(arch);
    double norms = (double)(PAPER_FLOPS_PER_NORM_ELEMENT * arch->depth * arch->width);
    return (Flops){
        .exact = steps * (double)arch_head_step_flops(arch, batch, training->optimizer) + looked * (double)arch_features_flops(arch, 1),
        .gemm = steps * (double)arch_head_step_gemm_flops(arch, batch) + looked * (double)arch_features_gemm_flops(arch, 1),
        .paper = 3 * shown * macs + passed * ((double)features_macs(arch) + norms),
        .nd6 = 6 * shown * head + 2 * passed * ((double)arch_params_total(arch) - head),
    };
}
