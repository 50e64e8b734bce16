#include "update.h"

extern const UpdateTable update_table_generic, update_table_avx2, update_table_avx512;

const UpdateTable *update_table(size_t index) {
    const UpdateTable *tables[4] = {&update_table_generic};
    size_t count = 1;
#ifdef UPDATE_X86
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")) {
        tables[count++] = &update_table_avx2;
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
            tables[count++] = &update_table_avx512;
        }
    }
#endif
    return index < count ? tables[index] : NULL;
}
