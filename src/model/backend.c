#include "backend.h"

#include "sweepd/bfloat16.h"

#include <string.h>

static int thread_count = 1;

const MatrixBackend *backend_table(BackendKind kind) {
    switch (kind) {
    case BACKEND_OPENBLAS:
        return &backend_openblas;
    case BACKEND_NAIVE:
        return &backend_naive;
#ifdef HAVE_ONEDNN
    case BACKEND_ONEDNN:
        return &backend_onednn;
    case BACKEND_ONEDNN_BF16:
        return backend_onednn_has_bfloat16() ? &backend_onednn_bfloat16 : NULL;
#else
    case BACKEND_ONEDNN:
    case BACKEND_ONEDNN_BF16:
        break;
#endif
    }
    return NULL;
}

bool backend_available(BackendKind kind) {
    return backend_table(kind) != NULL;
}

static BackendKind fastest_float(void) {
#ifdef HAVE_ONEDNN
    if (backend_onednn_gains()) {
        return BACKEND_ONEDNN;
    }
#endif
    return BACKEND_OPENBLAS;
}

static int refuse_bfloat16(Error *error) {
#ifdef HAVE_ONEDNN
    error_set(
        error,
        "precision bf16 needs a processor that multiplies bfloat16 (AVX-512 BF16 or AMX); this one offers %s. Use fp32, or auto, which "
        "takes bf16 only where it is",
        backend_onednn_instructions());
#else
    error_set(error, "precision bf16 needs oneDNN, which this build is without. Use fp32, or auto, which takes bf16 only where it is");
#endif
    return BACKEND_REFUSED;
}

int backend_choose(BackendPrecision precision, BackendKind *out, Error *error) {
    *out = fastest_float();
    if (precision == BACKEND_FP32) {
        return 0;
    }
    if (backend_available(BACKEND_ONEDNN_BF16)) {
        *out = BACKEND_ONEDNN_BF16;
        return 0;
    }
    return precision == BACKEND_AUTO ? 0 : refuse_bfloat16(error);
}

int backend_choose_named(const char *name, BackendPrecision precision, BackendKind *out, Error *error) {
    bool openblas = name && !strcmp(name, "openblas");
    if (name && !openblas && strcmp(name, "onednn") != 0) {
        error_set(error, "there is no backend '%s': openblas or onednn", name);
        return BACKEND_REFUSED;
    }
    if (openblas && precision == BACKEND_BF16) {
        error_set(error, "OpenBLAS has no bf16 products; onednn has");
        return BACKEND_REFUSED;
    }
    int result = backend_choose(openblas ? BACKEND_FP32 : precision, out, error);
    if (result || !name || *out == BACKEND_ONEDNN_BF16)
        return result;
    *out = openblas ? BACKEND_OPENBLAS : BACKEND_ONEDNN;
    if (backend_available(*out))
        return 0;
    error_set(error, "this build is without oneDNN");
    return BACKEND_REFUSED;
}

const char *backend_text(BackendKind kind) {
    const MatrixBackend *backend = backend_table(kind);
    return backend != NULL ? backend->text() : "none";
}

void backend_apply_threads(void) {
    backend_openblas.set_threads(thread_count);
#ifdef HAVE_ONEDNN
    backend_onednn.set_threads(thread_count);
#endif
}

void backend_set_threads(int threads) {
    thread_count = threads > 1 ? threads : 1;
    backend_apply_threads();
}

/* ---- the naive reference ---- */

static double element(OperandType type, const void *values, int64_t index) {
    return (double)(type == OPERAND_FLOAT ? ((const float *)values)[index] : bfloat16_to_float(((const Bfloat16 *)values)[index]));
}

static void element_set(OperandType type, void *values, int64_t index, float value) {
    if (type == OPERAND_FLOAT) {
        ((float *)values)[index] = value;
    } else {
        ((Bfloat16 *)values)[index] = bfloat16_from_float(value);
    }
}

static void multiply_naive(void *state, const Product *p) {
    (void)state;
    for (int64_t i = 0; i < p->m; i++) {
        for (int64_t j = 0; j < p->n; j++) {
            double sum = p->accumulate ? element(p->result, p->c, i * p->n + j) : 0;
            for (int64_t l = 0; l < p->k; l++) {
                double a = element(p->operands, p->a, p->transpose_a ? l * p->m + i : i * p->k + l);
                double b = element(p->operands, p->b, p->transpose_b ? j * p->k + l : l * p->n + j);
                sum += a * b;
            }
            element_set(p->result, p->c, i * p->n + j, (float)sum);
        }
    }
}

static void set_threads_naive(int threads) {
    (void)threads;
}

static const char *text_naive(void) {
    return "naive reference";
}

const MatrixBackend backend_naive = {.name = "naive", .multiply = multiply_naive, .set_threads = set_threads_naive, .text = text_naive};
