#include "sweepd/base.h"
#include "update.h"

extern const UpdateTable update_table_generic, update_table_avx2, update_table_avx512;

const UpdateTable *update_table(size_t index) {
#ifdef VECTOR_VARIANTS
    static const UpdateTable *const tables[] = {&update_table_generic, &update_table_avx2, &update_table_avx512};
#else
    static const UpdateTable *const tables[] = {&update_table_generic};
#endif
    return index <= (size_t)machine_vector_level() ? tables[index] : NULL;
}
