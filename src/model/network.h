/* What a model is made of. layout.c places it in memory, passes.c runs it. */
#pragma once

#include "backend.h"
#include "dropout.h"
#include "kernels.h"
#include "sweepd/model.h"

typedef struct Linear {
    int64_t inputs, outputs;
    float *weight, *bias; /* [outputs, inputs], [outputs] */
    float *dweight, *dbias;
    const void *operand; /* the weight as products read it: itself, or rounded */
} Linear;

/* A batch's activations stay until the next forward pass; the backward pass reads them. Those of type void are operands (kernels.h).
 * B-MLP: z <- z + contract gelu(expand norm(z)). S-MLP text: z <- relu(last norm(z)), the relu done by whoever reads z next.
 * S-MLP code: z <- last gelu(norm(z)). */
typedef struct Block {
    Norm norm;
    float *dgain, *dshift;
    Linear expand;   /* B-MLP */
    Linear last;     /* contract, or the S-MLP's one */
    float *z;        /* [batch, width]: the stream as the block finds it; all B-MLP blocks share one */
    void *normed;    /* [batch, width]; S-MLP code: after gelu, gelu's derivative */
    void *hidden;    /* [batch, expansion width], B-MLP: after gelu, gelu's derivative */
    void *activated; /* [batch, inputs of last]: gelu's output */
} Block;

struct Model {
    Architecture arch;
    int64_t batch_max;
    const MatrixBackend *backend;
    void *backend_state;
    const KernelTable *kernels;

    size_t parameter_count, tensor_count, bytes;
    float *parameters, *gradients, *activations; /* the three allocations */
    uint16_t *rounded;                           /* and a fourth with bfloat16 operands: the parameters */
    bool rounded_is_current;
    Tensor *tensors;
    char (*names)[ARCH_TENSOR_NAME_MAX];

    Linear input, head;
    Block *blocks;
    float *z;       /* [batch, width]: what the head reads */
    float *logits;  /* [batch, classes], then their gradient */
    float *dz;      /* [batch, width] */
    void *dnormed;  /* [batch, width] */
    void *dhidden;  /* [batch, expansion width], B-MLP */
    float *scratch; /* [loss_scratch_floats(classes)] */
    /* As products read them: the arrays themselves, or rounded copies. */
    void *x_operand; /* [batch, inputs]; NULL: x itself */
    void *z_operand, *logits_operand, *dz_operand;

    Dropout dropout;
    bool is_dropping; /* a training step is under way whose model drops */

    uint64_t gemm_training, gemm_forward_only;
};

/* Fills everything of a zeroed model that has its arch, batch_max, backend and kernels. The error's owner frees the model. */
int network_layout(Model *model, Error *error);

static inline bool network_has_relu(const Model *model) {
    return model->arch.kind == MODEL_SMLP && model->arch.form == SMLP_TEXT;
}
