#include "backend.h"

#include <cblas.h>
#include <stdio.h>

static void multiply_openblas(const Product *p) {
    cblas_sgemm(CblasRowMajor, p->transpose_a ? CblasTrans : CblasNoTrans, p->transpose_b ? CblasTrans : CblasNoTrans, (blasint)p->m,
                (blasint)p->n, (blasint)p->k, 1.0F, p->a, (blasint)(p->transpose_a ? p->m : p->k), p->b,
                (blasint)(p->transpose_b ? p->k : p->n), p->accumulate ? 1.0F : 0.0F, p->c, (blasint)p->n);
}

static void set_threads_openblas(int threads) {
    openblas_set_num_threads(threads);
}

static const char *text_openblas(void) {
    static char text[96];
    /* The configuration reads "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ...". */
    char version[32] = "";
    sscanf(openblas_get_config(), "%*s %31s", version);
    snprintf(text, sizeof text, "openblas %s %s", version, openblas_get_corename());
    return text;
}

const MatrixBackend backend_openblas = {"openblas", multiply_openblas, set_threads_openblas, text_openblas};
