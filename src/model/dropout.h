/* dropout (private). */
#pragma once

#include "kernels.h"

typedef struct Dropout {
    double share; /* that is dropped; 0: none */
    uint64_t seed;
    int64_t step;
} Dropout;

/* operand: [rows, columns]; numbers become 0, or are divided by 1 - share. The same arguments drop the same places. */
void dropout_apply(const Dropout *dropout, int64_t block, int64_t rows, int64_t columns, OperandType type, void *operand);
