#include "kernels.h"

extern const KernelTable kernels_generic, kernels_avx2, kernels_avx512;

const KernelTable *kernels_table(size_t index) {
    const KernelTable *tables[4] = {&kernels_generic};
    size_t count = 1;
#ifdef KERNEL_X86
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")) {
        tables[count++] = &kernels_avx2;
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
            tables[count++] = &kernels_avx512;
        }
    }
#endif
    return index < count ? tables[index] : NULL;
}

const KernelTable *kernels_fastest(void) {
    size_t index = 0;
    while (kernels_table(index + 1) != NULL) {
        index++;
    }
    return kernels_table(index);
}
