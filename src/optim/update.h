/* The optimizers' arithmetic: one fused pass over flat arrays, compiled once for each vector extension. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Every scalar that a pass needs, ready to use in its loop. */
typedef struct UpdateScalars {
    float lr, weight_decay;
    float beta1, one_minus_beta1, beta2, one_minus_beta2;
    float decay;       /* lion, adamw: 1 - lr weight_decay */
    float step_size;   /* adamw: lr / (1 - beta1^t) */
    float denominator; /* adamw: 1 / sqrt(1 - beta2^t) */
    float epsilon, momentum;
} UpdateScalars;

/* All arrays are [count] and do not overlap; m and v are the optimizer's state. copy, unless NULL, takes the new p rounded to bfloat16. */
typedef struct UpdateTable {
    const char *name; /* "generic", "avx2", "avx512" */
    void (*lion)(const UpdateScalars *scalars, size_t count, float *p, const float *g, float *m, uint16_t *copy);
    void (*adamw)(const UpdateScalars *scalars, size_t count, float *p, const float *g, float *m, float *v, uint16_t *copy);
    void (*sgd)(const UpdateScalars *scalars, size_t count, float *p, const float *g, float *m, uint16_t *copy);
} UpdateTable;

/* The tables that this machine can run, slowest first; NULL past the last. */
const UpdateTable *update_table(size_t index);
