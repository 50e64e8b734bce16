#include "worker.h"

#include <math.h>

enum { BACKOFF_STREAM = 1 };

void backoff_init(Backoff *backoff, double first, double cap, uint64_t seed) {
    *backoff = (Backoff){.first = first, .cap = cap};
    rng_init(&backoff->rng, seed, BACKOFF_STREAM);
}

void backoff_reset(Backoff *backoff) {
    backoff->failures = 0;
}

double backoff_next(Backoff *backoff) {
    double full = fmin(backoff->cap, ldexp(backoff->first, backoff->failures));
    if (backoff->failures < 64)
        backoff->failures++;
    return full * (0.5 + 0.5 * rng_uniform(&backoff->rng));
}
