/* The objective and its derivatives, eight points at a time. Compiled once per vector extension, with EVALUATE_VARIANT its name.
 *
 * The loops call no library: exp is 2^n times a Taylor polynomial on |r| <= ln 2 / 2, degree 13 (truncated at 4e-18 of the value), and log
 * is the series of 2 artanh((m - 1) / (m + 1)) on a mantissa m between 1/sqrt 2 and sqrt 2, ended at 2e-18. Lanes are added up in a fixed
 * order, so that a variant repeats its results bit for bit.
 *
 * The log-sum-exp is taken as the logarithm of the plain sum: exp is held between e^-700 and e^700, of which three fit into a double. */
#include "surface.h"

#include <stdint.h>
#include <string.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_(a, b)

typedef double Lanes __attribute__((vector_size(SURFACE_LANES * sizeof(double))));
typedef uint64_t Bits __attribute__((vector_size(SURFACE_LANES * sizeof(uint64_t))));
typedef int64_t Mask __attribute__((vector_size(SURFACE_LANES * sizeof(int64_t))));

#define INLINE static inline __attribute__((always_inline))

INLINE Lanes lanes_all(double value) {
    return (Lanes){value, value, value, value, value, value, value, value};
}

INLINE Lanes lanes_select(Mask mask, Lanes yes, Lanes no) {
    return (Lanes)(((Bits)mask & (Bits)yes) | (~(Bits)mask & (Bits)no));
}

INLINE Lanes lanes_clamp(Lanes x, double limit) {
    Lanes high = lanes_all(limit), low = -high;
    x = lanes_select((Mask)(x < low), low, x);
    return lanes_select((Mask)(x > high), high, x);
}

INLINE Lanes lanes_exp(Lanes x) {
    static const double coefficients[] = {1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720,
                                          1.0 / 120,       1.0 / 24,       1.0 / 6,       0.5,          1,           1};
    const double round_shift = 0x1.8p52; /* adding it leaves the nearest integer in the low bits */
    x = lanes_clamp(x, 700);
    Lanes shifted = x * 0x1.71547652b82fep0 + round_shift, n = shifted - round_shift;
    Lanes r = x - n * 0x1.62e42fefa38p-1;
    r = r - n * 0x1.ef35793c7673p-45;
    Lanes power = lanes_all(1.0 / 6227020800);
    for (size_t i = 0; i < sizeof coefficients / sizeof *coefficients; i++) {
        power = power * r + coefficients[i];
    }
    return (Lanes)((Bits)power + ((Bits)shifted << 52));
}

/* Of positive normal numbers. */
INLINE Lanes lanes_log(Lanes x) {
    const Bits mantissa = (Bits){0} + 0xfffffffffffffu, one = (Bits){0} + 0x3ff0000000000000u, magic = (Bits){0} + 0x4330000000000000u;
    Bits bits = (Bits)x;
    Lanes m = (Lanes)((bits & mantissa) | one), exponent = (Lanes)((bits >> 52) | magic) - (0x1p52 + 1023);
    Mask high = (Mask)(m > 0x1.6a09e667f3bcdp0);
    m = lanes_select(high, m * 0.5, m);
    exponent = lanes_select(high, exponent + 1, exponent);
    Lanes z = (m - 1) / (m + 1), square = z * z, sum = lanes_all(1.0 / 23);
    for (int k = 21; k >= 1; k -= 2) {
        sum = sum * square + 1.0 / k;
    }
    return exponent * 0x1.62e42fefa39efp-1 + 2 * z * sum;
}

INLINE double lanes_total(Lanes x) {
    return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]));
}

INLINE Lanes lanes_load(const double *from) {
    Lanes x;
    memcpy(&x, from, sizeof x);
    return x;
}

typedef struct LaneSums {
    Lanes value, gradient[SURFACE_VARIABLES], hessian[SURFACE_TRIANGLE], along[2], majorant[SURFACE_TRIANGLE];
} LaneSums;

/* The entries below the diagonal of gradient gradient', weighted twice. */
INLINE void add_outer(const Lanes *gradient, Lanes exact, Lanes majorizing, LaneSums *sums) {
    for (int i = 0, k = 0; i < SURFACE_VARIABLES; i++) {
        for (int j = 0; j <= i; j++, k++) {
            Lanes outer = gradient[i] * gradient[j];
            sums->hessian[k] += exact * outer;
            sums->majorant[k] += majorizing * outer;
        }
    }
}

/* One point's log-sum-exp has, with shares s_k of the three terms in the sum and their gradients g_k, the gradient sum s_k g_k and the
 * Hessian sum s_k g_k g_k' - (gradient)(gradient)'. The g_k are (1, 0, 0, -x, 0), (0, 1, 0, 0, -y) and (0, 0, 1, 0, 0): of the first part,
 * slope sum s_k g_k g_k', all but two entries are sums that the gradient has already. */
INLINE void add_points(const Surface *surface, const double *variables, double e_term, size_t at, bool curved, LaneSums *sums) {
    const double per_delta = 1 / HUBER_DELTA;
    Lanes x = lanes_load(surface->x + at), y = lanes_load(surface->y + at), weight = lanes_load(surface->weight + at);
    Lanes of_params = lanes_exp(variables[SURFACE_A] - variables[SURFACE_ALPHA] * x);
    Lanes of_examples = lanes_exp(variables[SURFACE_B] - variables[SURFACE_BETA] * y);
    Lanes predicted = of_params + of_examples + e_term, share = 1 / predicted;
    Lanes residual = (lanes_log(predicted) - lanes_load(surface->target + at)) * per_delta;
    Lanes clipped = lanes_clamp(residual, surface->threshold);
    weight *= lanes_select((Mask)(residual > 0), lanes_all(surface->below), lanes_all(1));
    sums->value += weight * clipped * (residual - 0.5 * clipped);
    Lanes slope = weight * clipped * per_delta;
    Lanes gradient[SURFACE_VARIABLES] = {of_params * share, of_examples * share, e_term * share};
    gradient[SURFACE_ALPHA] = -gradient[SURFACE_A] * x;
    gradient[SURFACE_BETA] = -gradient[SURFACE_B] * y;
    for (int i = 0; i < SURFACE_VARIABLES; i++) {
        sums->gradient[i] += slope * gradient[i];
    }
    if (curved) {
        Mask inside = (Mask)(clipped == residual);
        Lanes full = weight * (per_delta * per_delta), none = lanes_all(0);
        sums->along[0] -= slope * gradient[SURFACE_ALPHA] * x;
        sums->along[1] -= slope * gradient[SURFACE_BETA] * y;
        add_outer(gradient, lanes_select(inside, full, none) - slope, lanes_select(inside, full, full * (clipped / residual)), sums);
    }
}

INLINE void evaluate_either(const Surface *surface, const double *variables, bool curved, SurfaceSums *out) {
    LaneSums sums;
    memset(&sums, 0, sizeof sums);
    double e_term = lanes_exp(lanes_all(variables[SURFACE_E]))[0];
    for (size_t at = 0; at < surface->count; at += SURFACE_LANES) {
        add_points(surface, variables, e_term, at, curved, &sums);
    }
    out->value = lanes_total(sums.value);
    for (int i = 0; i < SURFACE_VARIABLES; i++) {
        out->gradient[i] = lanes_total(sums.gradient[i]);
    }
    for (int i = 0; curved && i < SURFACE_TRIANGLE; i++) {
        out->hessian[i] = lanes_total(sums.hessian[i]);
        out->majorant[i] = lanes_total(sums.majorant[i]);
    }
    for (int i = 0; curved && i < 2; i++) {
        out->along[i] = lanes_total(sums.along[i]);
    }
}

static void evaluate(const Surface *surface, const double *variables, bool curved, SurfaceSums *sums) {
    if (curved) {
        evaluate_either(surface, variables, true, sums);
    } else {
        evaluate_either(surface, variables, false, sums);
    }
}

extern const SurfaceKernels JOIN(surface_kernels_, EVALUATE_VARIANT);
const SurfaceKernels JOIN(surface_kernels_, EVALUATE_VARIANT) = {evaluate};
