/* Dropout: a counter's hash for each number, so that what is dropped follows from (seed, step, block, row, column) alone. The hash mixes 32
 * bits as MurmurHash3 ends, which a compiler turns into vectors. */
#include "dropout.h"

#include "sweepd/bfloat16.h"

static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline uint32_t number(uint32_t column, uint64_t key) {
    uint32_t x = column * 0x9e3779b9u + (uint32_t)key;
    x = (x ^ (x >> 16)) * 0x85ebca6bu;
    x = (x ^ (x >> 13) ^ (uint32_t)(key >> 32)) * 0xc2b2ae35u;
    x = (x ^ (x >> 16)) * 0x85ebca6bu;
    return x ^ (x >> 13);
}

static void drop_floats(float *row, int64_t columns, uint64_t key, uint32_t limit, float scale) {
    for (int64_t j = 0; j < columns; j++) {
        row[j] = number((uint32_t)j, key) < limit ? 0 : row[j] * scale;
    }
}

static void drop_rounded(Bfloat16 *row, int64_t columns, uint64_t key, uint32_t limit, float scale) {
    for (int64_t j = 0; j < columns; j++) {
        row[j] = number((uint32_t)j, key) < limit ? 0 : bfloat16_from_float(bfloat16_to_float(row[j]) * scale);
    }
}

void dropout_apply(const Dropout *dropout, int64_t block, int64_t rows, int64_t columns, OperandType type, void *operand) {
    const uint32_t limit = (uint32_t)(dropout->share * 0x1p32);
    const float scale = (float)(1 / (1 - dropout->share));
    uint64_t key = mix(mix(mix(dropout->seed + 0x64726f706f7574u) + (uint64_t)dropout->step) + (uint64_t)block);
    for (int64_t i = 0; i < rows; i++) {
        uint64_t own = mix(key + (uint64_t)(i + 1) * 0x9e3779b97f4a7c15u);
        if (type == OPERAND_FLOAT) {
            drop_floats((float *)operand + i * columns, columns, own, limit, scale);
        } else {
            drop_rounded((Bfloat16 *)operand + i * columns, columns, own, limit, scale);
        }
    }
}
