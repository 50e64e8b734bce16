/* Compiled once per vector extension, with UPDATE_VARIANT the extension's name (see meson.build); the compiler vectorises the loops. */
#include "update.h"

#include <math.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_(a, b)
#define TEXT_(a)    #a
#define TEXT(a)     TEXT_(a)

static void lion(const UpdateScalars *scalars, size_t count, float *restrict p, const float *restrict g, float *restrict m) {
    const UpdateScalars s = *scalars;
    for (size_t i = 0; i < count; i++) {
        float blend = s.beta1 * m[i] + s.one_minus_beta1 * g[i];
        float sign = blend > 0 ? 1.0F : (blend < 0 ? -1.0F : 0.0F);
        p[i] -= s.lr * (sign + s.weight_decay * p[i]);
        m[i] = s.beta2 * m[i] + s.one_minus_beta2 * g[i];
    }
}

static void adamw(const UpdateScalars *scalars, size_t count, float *restrict p, const float *restrict g, float *restrict m,
                  float *restrict v) {
    const UpdateScalars s = *scalars;
    for (size_t i = 0; i < count; i++) {
        float mean = s.beta1 * m[i] + s.one_minus_beta1 * g[i];
        float square = s.beta2 * v[i] + s.one_minus_beta2 * g[i] * g[i];
        p[i] = s.decay * p[i] - s.step_size * mean / (sqrtf(square) * s.denominator + s.epsilon);
        m[i] = mean;
        v[i] = square;
    }
}

static void sgd(const UpdateScalars *scalars, size_t count, float *restrict p, const float *restrict g, float *restrict m) {
    const UpdateScalars s = *scalars;
    for (size_t i = 0; i < count; i++) {
        float velocity = s.momentum * m[i] + (g[i] + s.weight_decay * p[i]);
        p[i] -= s.lr * velocity;
        m[i] = velocity;
    }
}

extern const UpdateTable JOIN(update_table_, UPDATE_VARIANT);
const UpdateTable JOIN(update_table_, UPDATE_VARIANT) = {TEXT(UPDATE_VARIANT), lion, adamw, sgd};
