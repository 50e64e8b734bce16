/* arch: shapes of the two multi-layer perceptrons, and the arithmetic of their parameters and FLOPs. Nothing else.
 *
 * Both models are those of Bachmann, Anagnostidis and Hofmann, "Scaling MLPs: A Tale of Inductive Bias" (NeurIPS 2023):
 *   B-MLP: z = W_in x + b_in; depth times z <- z + Wc gelu(We LN(z) + be) + bc; logits = W_head z + b_head,
 *          We: [expansion*width, width], Wc: [width, expansion*width];
 *   S-MLP: z = W_in x + b_in; depth times z <- relu(W LN(z) + b) (SMLP_TEXT, as the paper is written)
 *          or z <- W gelu(LN(z)) + b (SMLP_CODE, as its authors' code runs); logits = W_head z + b_head.
 * LN has a scale and a shift. */
#pragma once

#include "sweepd/base.h"

typedef enum { MODEL_BMLP, MODEL_SMLP } ModelKind;
typedef enum { SMLP_TEXT, SMLP_CODE } SmlpForm;

typedef struct Architecture {
    ModelKind kind;
    SmlpForm form;  /* S-MLP only; SMLP_TEXT otherwise */
    int64_t inputs; /* values an example has, e.g. 784 */
    int64_t classes;
    int64_t depth;     /* blocks, >= 1 */
    int64_t width;     /* >= 1 */
    int64_t expansion; /* B-MLP only, >= 1; 0 otherwise */
    double dropout; /* in training, this share, [0, 1), of what a block's last linear layer reads is dropped, the rest divided by 1 - it */
} Architecture;

const char *model_kind_text(ModelKind kind); /* "bmlp", "smlp"; static, as every _text in these headers that takes an enum */
const char *smlp_form_text(SmlpForm form);   /* "text", "code" */

/* "B_6-Wi_256" (expansion 4), "B_6-Wi_256_2", "S_6-Wi_1024". */
enum { ARCH_NAME_MAX = 64 };
void arch_name(const Architecture *arch, char out[ARCH_NAME_MAX]);

int64_t arch_params_total(const Architecture *arch);
int64_t arch_params_body(const Architecture *arch);  /* without input layer and head */
int64_t arch_forward_macs(const Architecture *arch); /* multiply-adds of the matrix products, one example */

enum { ARCH_TENSOR_NAME_MAX = 48 };

/* A tensor of parameters. In the order of arch_tensor they are: in, blocks 0.., head; weight before bias; ln, expand, contract (S-MLP: ln,
 * linear). */
typedef struct ArchTensor {
    char name[ARCH_TENSOR_NAME_MAX]; /* "in.weight", "blocks.0.ln.bias", "head.weight", ... */
    int64_t rows, columns;           /* weight: [out, in]; bias and LayerNorm: [1, n] */
    bool is_vector;                  /* the latter: stored in files with the one dimension n */
} ArchTensor;

enum { ARCH_HEAD_TENSORS = 2 }; /* the last */

size_t arch_tensor_count(const Architecture *arch);
void arch_tensor(const Architecture *arch, size_t index, ArchTensor *out); /* index in [0, arch_tensor_count) */

/* FLOPs in three conventions, plus the part of `exact` that matrix products do. */
typedef struct Flops {
    double exact; /* what the trainer executes, 2 per multiply-add: forward, backward (no input gradient at the first layer),
                     normalisation, activation, loss, optimizer. Training steps only; evaluation is not counted. */
    double gemm;  /* the matrix products' part of exact: the sum of 2 m n k */
    double paper; /* 3 N T (MACs + 5 per LayerNorm element): one flop per multiply-add, as the paper's code counts */
    double nd6;   /* 6 P N T, P the total number of parameters; written "6nd" outside C */
} Flops;

/* FLOPs of one training step on `batch` examples, each exact as an integer.
 * gemm: per layer [out, in]: 2*batch*in*out forward, the same for the weight gradient, the same for the input gradient
 * except at the first layer. The element-wise costs per element are the constants in src/arch/flops.c, one by one, and
 * docs/flops.md says what each counts. optimizer: flops per parameter (optim's optimizer_flops). */
uint64_t arch_step_gemm_flops(const Architecture *arch, int64_t batch);
uint64_t arch_step_flops(const Architecture *arch, int64_t batch, int64_t optimizer);
/* FLOPs of the matrix products of a forward pass over `batch` examples, as evaluation runs it. */
uint64_t arch_forward_gemm_flops(const Architecture *arch, int64_t batch);

/* FLOPs of training a new head alone: on what the frozen body makes of a batch, the head's forward product and weight gradient, loss and
 * optimizer; and of the body's forward pass that makes it. */
uint64_t arch_head_params(const Architecture *arch);
uint64_t arch_head_step_gemm_flops(const Architecture *arch, int64_t batch);
uint64_t arch_head_step_flops(const Architecture *arch, int64_t batch, int64_t optimizer);
uint64_t arch_features_gemm_flops(const Architecture *arch, int64_t batch);
uint64_t arch_features_flops(const Architecture *arch, int64_t batch);

/* Bytes of memory that a training holds; what each allocation is rounded up by is left out. bf16: products multiply bfloat16 numbers.
 * states: single-precision numbers that the optimizer keeps for each parameter (optim's optimizer_states). Exact below 2^53. */
double arch_parameter_bytes(const Architecture *arch, int64_t states, bool bf16); /* parameters, gradients, optimizer; bf16: rounded ones */
double arch_batch_bytes(const Architecture *arch, int64_t batch, bool bf16);      /* a batch of examples and its activations */

/* The plan of a training: N distinct examples, T epochs. An epoch drops its last partial batch; a batch larger than N is
 * cut to N. */
typedef struct Training {
    int64_t examples, epochs, batch;
    int64_t optimizer; /* flops per parameter */
} Training;

int64_t arch_batch(const Training *training); /* examples in a step */
int64_t arch_steps_per_epoch(const Training *training);
int64_t arch_steps(const Training *training);
/* Totals as doubles: exact and gemm are correct to the last flop below 2^53. paper and 6nd count N in full. */
Flops arch_training_flops(const Architecture *arch, const Training *training);
/* The same for a new head on a frozen body, which looks at each example once when its features are kept, else in every epoch. paper and 6nd
 * count a third of a training for what is only looked at: MACs + 5 per LayerNorm element, 2 P. */
Flops arch_head_training_flops(const Architecture *arch, const Training *training, bool keeps_features);
