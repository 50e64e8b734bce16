#include "kernels.h"
#include "sweepd/base.h"

extern const KernelTable kernels_generic, kernels_avx2, kernels_avx512;
extern const KernelTable kernels_generic_bfloat16, kernels_avx2_bfloat16, kernels_avx512_bfloat16, kernels_avx512bf16_bfloat16;

/* How many of a type's tables this machine can run. */
static size_t tables_usable(OperandType type) {
    size_t usable = (size_t)machine_vector_level() + 1;
#ifdef VECTOR_VARIANTS
    usable += type == OPERAND_BFLOAT16 && machine_vector_level() >= VECTOR_AVX512 && __builtin_cpu_supports("avx512bf16");
#else
    (void)type;
#endif
    return usable;
}

const KernelTable *kernels_table(OperandType type, size_t index) {
#ifdef VECTOR_VARIANTS
    static const KernelTable *const floats[] = {&kernels_generic, &kernels_avx2, &kernels_avx512};
    static const KernelTable *const rounded[] = {&kernels_generic_bfloat16, &kernels_avx2_bfloat16, &kernels_avx512_bfloat16,
                                                 &kernels_avx512bf16_bfloat16};
#else
    static const KernelTable *const floats[] = {&kernels_generic}, *const rounded[] = {&kernels_generic_bfloat16};
#endif
    if (index >= tables_usable(type)) {
        return NULL;
    }
    return type == OPERAND_FLOAT ? floats[index] : rounded[index];
}

const KernelTable *kernels_fastest(OperandType type) {
    return kernels_table(type, tables_usable(type) - 1);
}
