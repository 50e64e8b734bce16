#include "network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int open_backend(Model *model, BackendKind kind, Error *error) {
    model->backend = backend_table(kind);
    if (model->backend == NULL) {
        return error_set(error, "this machine or build has no such matrix backend");
    }
    model->kernels = kind == BACKEND_NAIVE ? &kernels_reference : kernels_fastest(model->backend->operands);
    return model->backend->open != NULL ? model->backend->open(&model->backend_state, error) : 0;
}

int model_new(Model **out, const Architecture *arch, int64_t batch_max, BackendKind backend, Error *error) {
    *out = NULL;
    Model *model = calloc(1, sizeof *model);
    if (model == NULL) {
        return error_set_memory(error, "out of memory for a model");
    }
    model->arch = *arch;
    model->batch_max = batch_max;
    model->dropout.share = arch->dropout;
    model->bytes = sizeof *model;
    backend_apply_threads();
    if (open_backend(model, backend, error) < 0 || network_layout(model, error) < 0) {
        model_free(model);
        return -1;
    }
    *out = model;
    return 0;
}

void model_free(Model *model) {
    if (model == NULL) {
        return;
    }
    if (model->backend_state != NULL) {
        model->backend->close(model->backend_state);
    }
    free(model->parameters);
    free(model->rounded);
    free(model->gradients);
    free(model->activations);
    free(model->tensors);
    free(model->names);
    free(model->blocks);
    free(model);
}

const Architecture *model_architecture(const Model *model) {
    return &model->arch;
}

/* ---- initial weights ---- */

/* A tensor has a random stream of its own, its index, so that no tensor's weights depend on another's size. */
static void init_uniform(const Tensor *tensor, int64_t fan_in, uint64_t seed, uint64_t stream) {
    Rng rng;
    double bound = 1 / sqrt((double)fan_in);
    rng_init(&rng, seed, stream);
    for (int64_t i = 0; i < tensor->rows * tensor->columns; i++) {
        tensor->data[i] = (float)(bound * (2 * rng_uniform(&rng) - 1));
    }
}

static void init_constant(const Tensor *tensor, float value) {
    for (int64_t i = 0; i < tensor->columns; i++) {
        tensor->data[i] = value;
    }
}

/* Tensors come in pairs, weight and bias; a weight that is a vector is a norm's. */
void model_init_weights(Model *model, uint64_t seed) {
    model->rounded_is_current = false;
    for (size_t i = 0; i < model->tensor_count; i += 2) {
        const Tensor *weight = &model->tensors[i], *bias = &model->tensors[i + 1];
        if (weight->is_vector) {
            init_constant(weight, 1);
            init_constant(bias, 0);
        } else {
            init_uniform(weight, weight->columns, seed, i);
            init_uniform(bias, weight->columns, seed, i + 1);
        }
    }
}

/* ---- what is inside ---- */

size_t model_tensor_count(const Model *model) {
    return model->tensor_count;
}

Tensor *model_tensor(Model *model, size_t index) {
    model->rounded_is_current = false;
    return &model->tensors[index];
}

size_t model_parameter_count(const Model *model) {
    return model->parameter_count;
}

float *model_parameters(Model *model) {
    model->rounded_is_current = false;
    return model->parameters;
}

uint16_t *model_rounded_parameters(Model *model) {
    return model->rounded;
}

void model_rounded_is_current(Model *model) {
    model->rounded_is_current = true;
}

uint16_t *model_rounded_inputs(Model *model) {
    return model->x_operand;
}

float *model_gradients(Model *model) {
    return model->gradients;
}

uint64_t model_gemm_flops(const Model *model) {
    return model->gemm_training;
}

uint64_t model_gemm_flops_forward_only(const Model *model) {
    return model->gemm_forward_only;
}

size_t model_bytes(const Model *model) {
    return model->bytes;
}
