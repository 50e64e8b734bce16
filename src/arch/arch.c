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

/* ---- tensors ---- */

static size_t block_tensors(const Architecture *arch) {
    return arch->kind == MODEL_BMLP ? 6 : 4;
}

size_t arch_tensor_count(const Architecture *arch) {
    return 2 + (size_t)arch->depth * block_tensors(arch) + ARCH_HEAD_TENSORS;
}

/* Of a layer normalisation, or of a linear layer. */
static void set_shape(ArchTensor *out, bool is_weight, bool is_norm, int64_t outputs, int64_t inputs) {
    out->is_vector = is_norm || !is_weight;
    out->rows = out->is_vector ? 1 : outputs;
    out->columns = out->is_vector ? outputs : inputs;
}

void arch_tensor(const Architecture *arch, size_t index, ArchTensor *out) {
    static const char *const bmlp_parts[] = {"ln", "expand", "contract"}, *const smlp_parts[] = {"ln", "linear"};
    bool bmlp = arch->kind == MODEL_BMLP, is_weight = index % 2 == 0;
    int64_t width = arch->width, hidden = bmlp ? arch->expansion * width : width;
    size_t last = arch_tensor_count(arch) - ARCH_HEAD_TENSORS;
    const char *kind = is_weight ? "weight" : "bias";
    if (index < 2 || index >= last) {
        snprintf(out->name, sizeof out->name, "%s.%s", index < 2 ? "in" : "head", kind);
        set_shape(out, is_weight, false, index < 2 ? width : arch->classes, index < 2 ? arch->inputs : width);
        return;
    }
    size_t block = (index - 2) / block_tensors(arch), part = (index - 2) % block_tensors(arch) / 2;
    snprintf(out->name, sizeof out->name, "blocks.%zu.%s.%s", block, (bmlp ? bmlp_parts : smlp_parts)[part], kind);
    bool expands = bmlp && part == 1;
    set_shape(out, is_weight, part == 0, expands ? hidden : width, expands ? width : hidden);
}
