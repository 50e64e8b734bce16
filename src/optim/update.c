/* Compiled once per vector extension, with UPDATE_VARIANT the extension's name (see meson.build); the compiler vectorises the loops. */
#include "update.h"

#include "sweepd/bfloat16.h"

#include <math.h>
#include <stdbool.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_(a, b)
#define TEXT_(a)    #a
#define TEXT(a)     TEXT_(a)

#define INLINE static inline __attribute__((always_inline))

/* With the change c = g - m, the blend beta1 m + (1 - beta1) g is m + (1 - beta1) c and the new momentum m + (1 - beta2) c: two fused
 * operations where the formula's form has four. */
INLINE void lion_loop(UpdateScalars s, size_t count, float *restrict p, const float *restrict g, float *restrict m, bool copied,
                      uint16_t *restrict copy) {
    for (size_t i = 0; i < count; i++) {
        float change = g[i] - m[i];
        float blend = m[i] + s.one_minus_beta1 * change;
        float step = blend == 0 ? 0 : copysignf(s.lr, blend);
        p[i] = s.decay * p[i] - step;
        m[i] += s.one_minus_beta2 * change;
        if (copied) {
            copy[i] = bfloat16_from_result(p[i]);
        }
    }
}

static void lion(const UpdateScalars *scalars, size_t count, float *p, const float *g, float *m, uint16_t *copy) {
    if (copy != NULL) {
        lion_loop(*scalars, count, p, g, m, true, copy);
    } else {
        lion_loop(*scalars, count, p, g, m, false, NULL);
    }
}

INLINE void adamw_loop(UpdateScalars s, size_t count, float *restrict p, const float *restrict g, float *restrict m, float *restrict v,
                       bool copied, uint16_t *restrict copy) {
    for (size_t i = 0; i < count; i++) {
        float mean = s.beta1 * m[i] + s.one_minus_beta1 * g[i];
        float square = s.beta2 * v[i] + s.one_minus_beta2 * g[i] * g[i];
        p[i] = s.decay * p[i] - s.step_size * mean / (sqrtf(square) * s.denominator + s.epsilon);
        m[i] = mean;
        v[i] = square;
        if (copied) {
            copy[i] = bfloat16_from_result(p[i]);
        }
    }
}

static void adamw(const UpdateScalars *scalars, size_t count, float *p, const float *g, float *m, float *v, uint16_t *copy) {
    if (copy != NULL) {
        adamw_loop(*scalars, count, p, g, m, v, true, copy);
    } else {
        adamw_loop(*scalars, count, p, g, m, v, false, NULL);
    }
}

INLINE void sgd_loop(UpdateScalars s, size_t count, float *restrict p, const float *restrict g, float *restrict m, bool copied,
                     uint16_t *restrict copy) {
    for (size_t i = 0; i < count; i++) {
        float velocity = s.momentum * m[i] + (g[i] + s.weight_decay * p[i]);
        p[i] -= s.lr * velocity;
        m[i] = velocity;
        if (copied) {
            copy[i] = bfloat16_from_result(p[i]);
        }
    }
}

static void sgd(const UpdateScalars *scalars, size_t count, float *p, const float *g, float *m, uint16_t *copy) {
    if (copy != NULL) {
        sgd_loop(*scalars, count, p, g, m, true, copy);
    } else {
        sgd_loop(*scalars, count, p, g, m, false, NULL);
    }
}

extern const UpdateTable JOIN(update_table_, UPDATE_VARIANT);
const UpdateTable JOIN(update_table_, UPDATE_VARIANT) = {TEXT(UPDATE_VARIANT), lion, adamw, sgd};
