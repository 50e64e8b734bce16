/* Products by our own AVX-512 kernels, for the sizes that libraries multiply slowly: small ones and large ones. */
#pragma once

#include "backend.h"

/* What a model's products are packed in; grows in the first step and stays. Zeroed before its first use. */
typedef struct Panels {
    void *memory;
    size_t bytes;
} Panels;

/* Whether this processor has the instructions: AVX-512, and its BF16 part. */
bool panels_has_float(void);
bool panels_has_bfloat16(void);

/* One thread multiplies. 0; 1: not taken (pairs do not begin at whole words, or there was no memory), and c is as it was. */
int panels_multiply_float(Panels *panels, const Product *product);
int panels_multiply_bfloat16(Panels *panels, const Product *product);

/* Room for `words` words of 32 bits, which holds until the next call, or NULL. */
void *panels_room(Panels *panels, size_t words);
void panels_deinit(Panels *panels);
