/* model: B-MLP and S-MLP, forward and backward, on a matrix backend; a naive reference beside each fast kernel.
 *
 * One allocation holds all parameters, one all gradients, one all activations of a batch; tensors point into them. Nothing is allocated
 * after model_new. */
#pragma once

#include "sweepd/arch.h"
#include "sweepd/base.h"

/* ---- the matrix backend: row-major products ---- */

/* With BACKEND_ONEDNN_BF16 a model's products multiply bfloat16 numbers and add in single precision; parameters, gradients, normalisation,
 * loss and the residual stream stay in single precision. */
typedef enum { BACKEND_OPENBLAS, BACKEND_NAIVE, BACKEND_ONEDNN, BACKEND_ONEDNN_BF16 } BackendKind;

/* What the products are wanted in; auto: bf16 where the processor has it, else fp32. */
typedef enum { BACKEND_FP32, BACKEND_BF16, BACKEND_AUTO } BackendPrecision;

/* The backend that trains fastest on this machine. 0, or BACKEND_REFUSED with the error set when it has no bf16. */
enum { BACKEND_REFUSED = 1 };
int backend_choose(BackendPrecision precision, BackendKind *out, Error *error);
/* The backend of that library in place of the fastest: "openblas", which has no bf16, so that BACKEND_AUTO is fp32; "onednn"; NULL: as
 * backend_choose. 0, or BACKEND_REFUSED with the error set: no such library, or not here. */
int backend_choose_named(const char *name, BackendPrecision precision, BackendKind *out, Error *error);
/* Whether this build and this machine have it. */
bool backend_available(BackendKind kind);

/* "openblas 0.3.21 SkylakeX", "onednn 2.6.3 avx512_core_bf16, bf16": the library, its version and the kernel it chose on this machine.
 * Static.
 */
const char *backend_text(BackendKind kind);
/* Threads that a product may use, 1 until it is called; a worker sets it once, before its first model. The same bits come out
 * on the same machine type with the same number of threads. */
void backend_set_threads(int threads);

/* ---- models ---- */

typedef struct Tensor {
    const char *name;      /* "in.weight", "blocks.0.ln.bias", "head.weight", ... */
    int64_t rows, columns; /* weight: [out, in]; bias and LayerNorm: [1, n], stored in files with the one dimension n */
    bool is_vector;
    float *data; /* owned by the model */
    float *gradient;
} Tensor;

typedef struct Model Model;

/* batch_max: the most examples that one call takes. An error when the sizes are out of range, the memory or the
 * backend is not there. */
int model_new(Model **out, const Architecture *arch, int64_t batch_max, BackendKind backend, Error *error);
void model_free(Model *model);
const Architecture *model_architecture(const Model *model);

/* PyTorch's default: Linear weights and biases U(-1/sqrt(fan_in), 1/sqrt(fan_in)), LayerNorm 1 and 0; drawn from `seed` alone. */
void model_init_weights(Model *model, uint64_t seed);

size_t model_tensor_count(const Model *model);
Tensor *model_tensor(Model *model, size_t index); /* in, blocks 0.., head; weight before bias; ln, expand, contract (S-MLP: ln, linear) */

/* All parameters as one array of model_parameter_count floats (arch_params_total), in tensor order, and their gradients. */
size_t model_parameter_count(const Model *model);
float *model_parameters(Model *model);
float *model_gradients(Model *model);

/* The parameters rounded to bfloat16, as bf16 products read them; NULL in other models. The model rounds them anew for each pass, unless
 * whoever changed the parameters wrote the rounded ones too and said so: model_rounded_is_current holds until the next call of
 * model_parameters, model_tensor or model_init_weights. */
uint16_t *model_rounded_parameters(Model *model);
void model_rounded_is_current(Model *model);

/* Where whoever can make a batch in bfloat16 writes it, [batch_max, inputs], before a call whose x is NULL; NULL in models whose products
 * read floats. */
uint16_t *model_rounded_inputs(Model *model);

/* Forward and backward on one batch. x: [batch, inputs] row-major, or NULL (model_rounded_inputs); labels: [batch], < classes. Fills the
 * gradients of the mean loss (cross-entropy against (1 - smoothing) one-hot + smoothing / classes) and returns that loss. */
float model_train_step(Model *model, const float *x, const uint16_t *labels, int64_t batch, float smoothing);
/* What dropout drops in the training steps from here on follows from these; 0, 0 until they are given. */
void model_set_step(Model *model, uint64_t seed, int64_t step);
/* The same with a mixed target: lambda times the loss against labels plus (1 - lambda) times that against others [batch]. */
float model_train_step_mixed(Model *model, const float *x, const uint16_t *labels, const uint16_t *others, float lambda, int64_t batch,
                             float smoothing);

/* ---- training a new head on a frozen body ---- */

/* Where the head reads what the body makes of a batch, its features: [batch_max, width] as products read them, model_feature_bytes a row.
 */
void *model_features(Model *model);
size_t model_feature_bytes(const Model *model);
/* Forward without the head: fills model_features. Its products count as training. */
void model_forward_features(Model *model, const float *x, int64_t batch);
/* Forward and backward of the head on what stands in model_features. Fills the gradients of the head alone and returns the mean loss; with
 * `others`, of a mixed target. */
float model_train_head_step(Model *model, const uint16_t *labels, const uint16_t *others, float lambda, int64_t batch, float smoothing);

/* The matrix products of model_train_step alone, in its order and on its arrays, for measuring what they take. What the model holds of a
 * batch, gradients included, means nothing afterwards. */
void model_multiply_only(Model *model, const float *x, int64_t batch);

/* Forward only. Adds to loss_sum the cross-entropy (nats, no smoothing) and to errors the wrong top-1 predictions of the batch; of equal
 * logits the first class is the prediction, and a NaN is always wrong. */
void model_evaluate(Model *model, const float *x, const uint16_t *labels, int64_t batch, double *loss_sum, int64_t *errors);
/* Of the batch that model_evaluate saw last: the examples with `top` or more classes likelier than their own. Of equal logits the first
 * class is the likelier, and an example whose logit is NaN has all of them likelier. */
int64_t model_evaluated_beyond(const Model *model, const uint16_t *labels, int64_t batch, int64_t top);
/* Forward only; logits: [batch, classes], owned by the model, valid until the next call. */
const float *model_forward(Model *model, const float *x, int64_t batch);

/* The sum of 2 m n k over every matrix product called so far, by training steps and by the rest. */
uint64_t model_gemm_flops(const Model *model);
uint64_t model_gemm_flops_forward_only(const Model *model);
/* Bytes allocated. */
size_t model_bytes(const Model *model);
