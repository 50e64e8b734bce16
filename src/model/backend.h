/* The seam of matrix products: everything that multiplies matrices does it through one of these tables. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sweepd/model.h"

/* c = op(a) op(b), or c += op(a) op(b). op(a): [m, k], op(b): [k, n], c: [m, n]; row-major and without gaps, so that a transposed a is
 * stored as [k, m] and a transposed b as [n, k]. Sizes fit an int. */
typedef struct Product {
    bool transpose_a, transpose_b, accumulate;
    int64_t m, n, k;
    const float *a, *b;
    float *c;
} Product;

typedef struct MatrixBackend {
    const char *name;
    void (*multiply)(const Product *product);
    void (*set_threads)(int threads);
    /* Library, version, kernel. */
    const char *(*text)(void);
} MatrixBackend;

extern const MatrixBackend backend_openblas, backend_naive;

const MatrixBackend *backend_table(BackendKind kind);
/* The threads of backend_set_threads, 1 when it was never called. */
void backend_apply_threads(void);
