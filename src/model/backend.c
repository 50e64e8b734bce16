#include "backend.h"

#include <stddef.h>

static int thread_count = 1;

const MatrixBackend *backend_table(BackendKind kind) {
    return kind == BACKEND_NAIVE ? &backend_naive : &backend_openblas;
}

const char *backend_text(BackendKind kind) {
    return backend_table(kind)->text();
}

void backend_apply_threads(void) {
    backend_openblas.set_threads(thread_count);
    backend_naive.set_threads(thread_count);
}

void backend_set_threads(int threads) {
    thread_count = threads > 1 ? threads : 1;
    backend_apply_threads();
}

/* ---- the naive reference ---- */

static void multiply_naive(const Product *p) {
    for (int64_t i = 0; i < p->m; i++) {
        for (int64_t j = 0; j < p->n; j++) {
            double sum = p->accumulate ? (double)p->c[i * p->n + j] : 0;
            for (int64_t l = 0; l < p->k; l++) {
                double a = (double)(p->transpose_a ? p->a[l * p->m + i] : p->a[i * p->k + l]);
                double b = (double)(p->transpose_b ? p->b[j * p->k + l] : p->b[l * p->n + j]);
                sum += a * b;
            }
            p->c[i * p->n + j] = (float)sum;
        }
    }
}

static void set_threads_naive(int threads) {
    (void)threads;
}

static const char *text_naive(void) {
    return "naive reference";
}

const MatrixBackend backend_naive = {"naive", multiply_naive, set_threads_naive, text_naive};
