#include "kernels.h"
#include "sweepd/base.h"

extern const KernelTable kernels_generic, kernels_avx2, kernels_avx512;

const KernelTable *kernels_table(size_t index) {
#ifdef VECTOR_VARIANTS
    static const KernelTable *const tables[] = {&kernels_generic, &kernels_avx2, &kernels_avx512};
#else
    static const KernelTable *const tables[] = {&kernels_generic};
#endif
    return index <= (size_t)machine_vector_level() ? tables[index] : NULL;
}

const KernelTable *kernels_fastest(void) {
    return kernels_table((size_t)machine_vector_level());
}
