#include "panels.h"

#include <stdlib.h>

#ifdef HAVE_PANELS
bool panels_has_float(void) {
    return machine_vector_level() >= VECTOR_AVX512;
}

bool panels_has_bfloat16(void) {
    return panels_has_float() && __builtin_cpu_supports("avx512bf16");
}
#else
bool panels_has_float(void) {
    return false;
}

bool panels_has_bfloat16(void) {
    return false;
}

int panels_multiply_float(Panels *panels, const Product *product) {
    (void)panels, (void)product;
    return 1;
}

int panels_multiply_bfloat16(Panels *panels, const Product *product) {
    (void)panels, (void)product;
    return 1;
}
#endif

void *panels_room(Panels *panels, size_t words) {
    size_t bytes = words * sizeof(uint32_t);
    if (bytes > panels->bytes) {
        panels_deinit(panels);
        panels->memory = pages_new(bytes);
        panels->bytes = panels->memory != NULL ? bytes : 0;
    }
    return panels->memory;
}

void panels_deinit(Panels *panels) {
    free(panels->memory);
    *panels = (Panels){0};
}
