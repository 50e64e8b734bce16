#include "sweepd/base.h"

#include <math.h>

static uint64_t splitmix64(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t value, int bits) {
    return (value << bits) | (value >> (64 - bits));
}

/* The seed is mixed before the stream is added: neighbouring (seed, stream) pairs share no state. */
void rng_init(Rng *rng, uint64_t seed, uint64_t stream) {
    uint64_t state = seed;
    state = splitmix64(&state) ^ rotate_left(stream, 32);
    state = splitmix64(&state) + stream;
    for (int i = 0; i < 4; i++)
        rng->state[i] = splitmix64(&state);
}

uint64_t rng_next(Rng *rng) {
    uint64_t *s = rng->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

double rng_uniform(Rng *rng) {
    return (double)(rng_next(rng) >> 11) * 0x1.0p-53;
}

/* Lemire's multiplication method, with its rejection step. */
uint64_t rng_below(Rng *rng, uint64_t bound) {
    unsigned __int128 product = (unsigned __int128)rng_next(rng) * bound;
    if ((uint64_t)product < bound) {
        uint64_t threshold = -bound % bound;
        while ((uint64_t)product < threshold)
            product = (unsigned __int128)rng_next(rng) * bound;
    }
    return (uint64_t)(product >> 64);
}

double rng_normal(Rng *rng) {
    double u = 1.0 - rng_uniform(rng); /* (0, 1]: the logarithm is finite */
    return sqrt(-2.0 * log(u)) * cos(2.0 * M_PI * rng_uniform(rng));
}

void rng_shuffle(Rng *rng, uint32_t *items, size_t count) {
    for (size_t i = count; i > 1; i--) {
        size_t j = rng_below(rng, i);
        uint32_t item = items[i - 1];
        items[i - 1] = items[j];
        items[j] = item;
    }
}
