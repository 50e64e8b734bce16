/* The seam of matrix products: everything that multiplies matrices does it through one of these tables. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernels.h"
#include "sweepd/model.h"

/* c = op(a) op(b), or c += op(a) op(b). op(a): [m, k], op(b): [k, n], c: [m, n]; row-major and without gaps, so that a transposed a is
 * stored as [k, m] and a transposed b as [n, k]. Sizes fit an int. Sums are float, whatever the elements; what is added to is float. */
typedef struct Product {
    bool transpose_a, transpose_b, accumulate;
    int64_t m, n, k;
    const void *a, *b;
    void *c;
    OperandType operands, result; /* of a and b; of c */
} Product;

typedef struct MatrixBackend {
    const char *name;
    OperandType operands; /* that models on it multiply */
    void (*multiply)(void *state, const Product *product);
    void (*set_threads)(int threads);
    /* Library, version, kernel. */
    const char *(*text)(void);
    /* What multiply keeps from call to call, one for each model; NULL: nothing. */
    int (*open)(void **state, Error *error);
    void (*close)(void *state);
} MatrixBackend;

extern const MatrixBackend backend_openblas, backend_naive;
/* Whether it multiplies with kernels that neither copy nor pack, if the product is small, which cost nothing but their work. */
bool backend_openblas_has_small_kernels(void);
#ifdef HAVE_ONEDNN
extern const MatrixBackend backend_onednn, backend_onednn_bfloat16;

bool backend_onednn_gains(void);
bool backend_onednn_has_bfloat16(void);
/* "avx512_core": the instructions that the library will use. */
const char *backend_onednn_instructions(void);

/* Whether factors are brought to the library's own layout before a product; always and never also mean that no product is left to OpenBLAS.
 */
typedef enum { PACK_WHERE_IT_GAINS, PACK_ALWAYS, PACK_NEVER } PackPolicy;
/* For states opened later; a test's means to run on one machine what another runs. */
void backend_onednn_set_packing(PackPolicy policy);
#endif

/* NULL when this build or this machine does not have it. */
const MatrixBackend *backend_table(BackendKind kind);
/* The threads of backend_set_threads, 1 when it was never called. */
void backend_apply_threads(void);
