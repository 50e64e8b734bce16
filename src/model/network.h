/* What a model is made of. layout.c places it in memory, passes.c runs it. */
#pragma once

#include "backend.h"
#include "kernels.h"
#include "sweepd/model.h"

enum { TENSOR_NAME_MAX = 48 };

typedef struct Linear {
    int64_t inputs, outputs;
    float *weight, *bias; /* [outputs, inputs], [outputs] */
    float *dweight, *dbias;
} Linear;

/* A batch's activations stay until the next forward pass; the backward pass reads them.
 * B-MLP: z <- z + contract gelu(expand norm(z)). S-MLP text: z <- relu(last norm(z)), the relu done by whoever reads z next.
 * S-MLP code: z <- last gelu(norm(z)). */
typedef struct Block {
    Norm norm;
    float *dgain, *dshift;
    Linear expand;    /* B-MLP */
    Linear last;      /* contract, or the S-MLP's one */
    float *z;         /* [batch, width]: the stream as the block finds it; all B-MLP blocks share one */
    float *normed;    /* [batch, width]; S-MLP code: after gelu, gelu's derivative */
    float *hidden;    /* [batch, expansion width], B-MLP: after gelu, gelu's derivative */
    float *activated; /* [batch, inputs of last]: gelu's output */
} Block;

struct Model {
    Architecture arch;
    int64_t batch_max;
    const MatrixBackend *backend;
    const KernelTable *kernels;

    size_t parameter_count, tensor_count, bytes;
    float *parameters, *gradients, *activations; /* the three allocations */
    Tensor *tensors;
    char (*names)[TENSOR_NAME_MAX];

    Linear input, head;
    Block *blocks;
    float *z;       /* [batch, width]: what the head reads */
    float *logits;  /* [batch, classes], then their gradient */
    float *dz;      /* [batch, width] */
    float *dnormed; /* [batch, width] */
    float *dhidden; /* [batch, expansion width], B-MLP */
    float *scratch; /* [classes rounded up to LOSS_LANES] */

    uint64_t gemm_training, gemm_forward_only;
};

/* Fills everything of a zeroed model that has its arch, batch_max, backend and kernels. The error's owner frees the model. */
int network_layout(Model *model, Error *error);

static inline bool network_has_relu(const Model *model) {
    return model->arch.kind == MODEL_SMLP && model->arch.form == SMLP_TEXT;
}
