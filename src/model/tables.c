#include "kernels.h"
#include "sweepd/base.h"

extern const KernelTable kernels_generic, kernels_avx2, kernels_avx512;
extern const KernelTable kernels_generic_bfloat16, kernels_avx2_bfloat16, kernels_avx512_bfloat16;

const KernelTable *kernels_table(OperandType type, size_t index) {
#ifdef VECTOR_VARIANTS
    static const KernelTable *const tables[][2] = {
        {&kernels_generic, &kernels_generic_bfloat16},
        {&kernels_avx2, &kernels_avx2_bfloat16},
        {&kernels_avx512, &kernels_avx512_bfloat16},
    };
#else
    static const KernelTable *const tables[][2] = {{&kernels_generic, &kernels_generic_bfloat16}};
#endif
    return index <= (size_t)machine_vector_level() ? tables[index][type] : NULL;
}

const KernelTable *kernels_fastest(OperandType type) {
    return kernels_table(type, (size_t)machine_vector_level());
}
