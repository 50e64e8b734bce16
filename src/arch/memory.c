/* What src/model/layout.c places for a batch, array by array, and what src/train/builtin.c gathers it into. tests/train/test_memory.c holds
 * these sums against the allocations themselves. */
#include "sweepd/arch.h"

enum { BFLOAT16_BYTES = 2, LABEL_BYTES = 2, INDEX_BYTES = 4 };

/* Numbers that a batch takes per example: those that stay in single precision, and operands of products. */
typedef struct Numbers {
    double floats, operands;
} Numbers;

static Numbers block_numbers(const Architecture *arch) {
    double width = (double)arch->width, hidden = (double)arch->expansion * width;
    Numbers numbers = {width + 1, width}; /* the normal form with its row's factor; the norm's output */
    if (arch->kind == MODEL_BMLP)
        numbers.operands += 2 * hidden; /* before and after gelu */
    else if (arch->form == SMLP_CODE)
        numbers.operands += width;
    return numbers;
}

static Numbers example_numbers(const Architecture *arch, bool bf16) {
    double width = (double)arch->width, inputs = (double)arch->inputs, classes = (double)arch->classes, depth = (double)arch->depth;
    bool bmlp = arch->kind == MODEL_BMLP;
    Numbers block = block_numbers(arch);
    double streams = bmlp ? 1 : depth + 1; /* S-MLP keeps each block's input */
    Numbers numbers = {
        inputs + streams * width + depth * block.floats + classes + width, /* the gradient of the stream comes last */
        depth * block.operands + width + (bmlp ? (double)arch->expansion * width : 0),
    };
    if (bf16)
        numbers.operands += inputs + classes + 2 * width; /* rounded copies of the batch, the logits, the stream and its gradient */
    return numbers;
}

double arch_parameter_bytes(const Architecture *arch, int64_t states, bool bf16) {
    double each = (double)sizeof(float) * (2 + (double)states) + (bf16 ? BFLOAT16_BYTES : 0);
    return each * (double)arch_params_total(arch);
}

double arch_batch_bytes(const Architecture *arch, int64_t batch, bool bf16) {
    Numbers numbers = example_numbers(arch, bf16);
    double operand = bf16 ? BFLOAT16_BYTES : sizeof(float);
    return (double)batch * (sizeof(float) * numbers.floats + operand * numbers.operands + LABEL_BYTES + INDEX_BYTES);
}
