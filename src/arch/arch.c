#include "sweepd/arch.h"

#include <inttypes.h>
#include <stdio.h>

static const int64_t default_expansion = 4;

const char *model_kind_text(ModelKind kind) {
    return kind == MODEL_BMLP ? "bmlp" : "smlp";
}

const char *smlp_form_text(SmlpForm form) {
    return form == SMLP_TEXT ? "text" : "code";
}

void arch_name(const Architecture *arch, char out[ARCH_NAME_MAX]) {
    char letter = arch->kind == MODEL_BMLP ? 'B' : 'S';
    int size = snprintf(out, ARCH_NAME_MAX, "%c_%" PRId64 "-Wi_%" PRId64, letter, arch->depth, arch->width);
    if (arch->kind == MODEL_BMLP && arch->expansion != default_expansion) {
        snprintf(out + size, (size_t)(ARCH_NAME_MAX - size), "_%" PRId64, arch->expansion);
    }
}

/* Of a linear layer's weight and bias. */
static int64_t linear_params(int64_t inputs, int64_t outputs) {
    return inputs * outputs + outputs;
}

static int64_t block_params(const Architecture *arch) {
    int64_t width = arch->width, hidden = arch->expansion * width;
    int64_t norm = 2 * width;
    if (arch->kind == MODEL_SMLP) {
        return norm + linear_params(width, width);
    }
    return norm + linear_params(width, hidden) + linear_params(hidden, width);
}

int64_t arch_params_body(const Architecture *arch) {
    return arch->depth * block_params(arch);
}

int64_t arch_params_total(const Architecture *arch) {
    return linear_params(arch->inputs, arch->width) + arch_params_body(arch) + linear_params(arch->width, arch->classes);
}

int64_t arch_forward_macs(const Architecture *arch) {
    int64_t width = arch->width;
    int64_t block = arch->kind == MODEL_SMLP ? width * width : 2 * arch->expansion * width * width;
    return arch->inputs * width + arch->depth * block + width * arch->classes;
}
