/* gelu and its derivative: x Phi(x) and Phi(x) + x phi(x), Phi and phi the normal distribution's function and density (kernels_vector.h).
 *
 * Where a processor rounds to bfloat16 itself, both come from a table. With h(s) = s Q(s), Q = 1 - Phi the upper tail, s = |x|,
 *     gelu(x) = max(x, 0) - h(s),   gelu'(x) = h'(s) for x < 0 and 1 - h'(s) for x >= 0,
 * and h is a cubic on each of 32 intervals, whose derivative is a parabola of the same coefficients. Its errors, 8e-7 and 1.2e-4, are far
 * below what rounding to bfloat16 leaves (up to 4e-3). Two registers hold a coefficient of all intervals, and one instruction picks from
 * them.
 *
 * Elsewhere the tail is computed:
 *     Q(s) = exp(-s^2/2) r(t),  t = 1 / (1 + p s),
 * where r, a polynomial in t without a constant term, is fitted to erfcx(s / sqrt 2) / 2 with relative error 7e-7 (minimax, by Lawson's
 * reweighted least squares). The form shares its exponential with the derivative. */
#include "kernels_vector.h"

#if defined KERNEL_BFLOAT16 && defined __AVX512BF16__

#include <immintrin.h>

enum { LANES = 16, INTERVALS = 32, COEFFICIENTS = 4 };
static const float intervals_of_one = 5; /* of s */

/* By power of v = 5 s - k, for s from (k - 1/2) / 5 to (k + 1/2) / 5: scripts/make-gelu-table. */
static const float tail_table[COEFFICIENTS][INTERVALS] = {
    {0.0000000e+00F, 8.4147301e-02F, 1.3783075e-01F, 1.6455159e-01F, 1.6948433e-01F, 1.5865551e-01F, 1.3808401e-01F, 1.1305978e-01F,
     8.7679292e-02F, 6.4674911e-02F, 4.5500489e-02F, 3.0587704e-02F, 1.9674123e-02F, 1.2119072e-02F, 7.1543214e-03F, 4.0496434e-03F,
     2.1987953e-03F, 1.1455231e-03F, 5.7276502e-04F, 2.7490560e-04F, 1.2667463e-04F, 5.6046247e-05F, 2.3812023e-05F, 9.7156820e-06F,
     3.8072010e-06F, 1.4329045e-06F, 5.1799687e-07F, 1.7986712e-07F, 5.9993598e-08F, 1.9221982e-08F, 5.9161801e-09F, 1.7492142e-09F},
    {1.0000041e-01F,  6.8506379e-02F,  3.9454090e-02F,  1.4863730e-02F,  -3.9795139e-03F, -1.6663054e-02F, -2.3590699e-02F,
     -2.5772357e-02F, -2.4534822e-02F, -2.1236014e-02F, -1.7046383e-02F, -1.2828151e-02F, -9.1098810e-03F, -6.1309142e-03F,
     -3.9216300e-03F, -2.3891294e-03F, -1.3883872e-03F, -7.7052105e-04F, -4.0874568e-04F, -2.0740849e-04F, -1.0072884e-04F,
     -4.6842330e-05F, -2.0866454e-05F, -8.9068661e-06F, -3.6440642e-06F, -1.4293320e-06F, -5.3759250e-07F, -1.9391950e-07F,
     -6.7097074e-08F, -2.2271886e-08F, -7.0930407e-09F, -2.1675787e-09F},
    {-1.5972616e-02F, -1.5304649e-02F, -1.3534525e-02F, -1.0920830e-02F, -7.8799384e-03F, -4.8474590e-03F, -2.1878265e-03F, -1.3443089e-04F,
     1.2287084e-03F,  1.9472023e-03F,  2.1524383e-03F,  2.0111351e-03F,  1.6828888e-03F,  1.2936306e-03F,  9.2591664e-04F,  6.2208107e-04F,
     3.9437382e-04F,  2.3676490e-04F,  1.3495783e-04F,  7.3179164e-05F,  3.7803097e-05F,  1.8626103e-05F,  8.7614338e-06F,  3.9374579e-06F,
     1.6916722e-06F,  6.9519030e-07F,  2.7338276e-07F,  1.0291607e-07F,  3.7100679e-08F,  1.2811221e-08F,  4.2385477e-09F,  1.3438679e-09F},
    {7.9651471e-05F,  4.1202669e-04F,  7.5262197e-04F,  9.6846364e-04F,  1.0364997e-03F,  9.6659326e-04F,  7.9472830e-04F,
     5.7012201e-04F,  3.4117434e-04F,  1.4468066e-04F,  7.1909993e-07F,  -8.6795076e-05F, -1.2568951e-04F, -1.2971063e-04F,
     -1.1337555e-04F, -8.8636714e-05F, -6.3525746e-05F, -4.2298863e-05F, -2.6380371e-05F, -1.5492870e-05F, -8.6001224e-06F,
     -4.5246281e-06F, -2.2607916e-06F, -1.0745625e-06F, -4.8646076e-07F, -2.0996923e-07F, -8.6481431e-08F, -3.4013898e-08F,
     -1.2782493e-08F, -4.5922092e-09F, -1.5778491e-09F, -5.1869575e-10F},
};

typedef struct TailTable {
    __m512 low[COEFFICIENTS], high[COEFFICIENTS];
} TailTable;

static inline TailTable tail_table_load(void) {
    TailTable table;
#pragma GCC unroll 4
    for (int i = 0; i < COEFFICIENTS; i++) {
        table.low[i] = _mm512_loadu_ps(tail_table[i]);
        table.high[i] = _mm512_loadu_ps(tail_table[i] + LANES);
    }
    return table;
}

/* A coefficient of each lane's interval; of its number the lowest five bits count. */
static inline __m512 coefficient_take(const TailTable *table, int power, __m512i interval) {
    return _mm512_permutex2var_ps(table->low[power], interval, table->high[power]);
}

/* Past the last interval h is as good as 0. A NaN stays one: of two, the minimum is the second where one is a NaN. */
static inline void gelu_vector(const TailTable *table, __m512 x, __m512 *value, __m512 *slope) {
    const __m512 round_shift = _mm512_set1_ps(12582912.0F), last = _mm512_set1_ps(INTERVALS - 1); /* 1.5 * 2^23: as in exp2_negative */
    const __m512 per_one = _mm512_set1_ps(intervals_of_one);
    __m512 place = _mm512_min_ps(last, _mm512_mul_ps(_mm512_abs_ps(x), per_one)), shifted = _mm512_add_ps(place, round_shift);
    __m512 v = _mm512_sub_ps(place, _mm512_sub_ps(shifted, round_shift));
    __m512i interval = _mm512_castps_si512(shifted);
    __m512 third = coefficient_take(table, 3, interval);
    __m512 second = _mm512_fmadd_ps(third, v, coefficient_take(table, 2, interval));
    __m512 first = _mm512_fmadd_ps(second, v, coefficient_take(table, 1, interval));
    __m512 tail = _mm512_fmadd_ps(first, v, coefficient_take(table, 0, interval));
    __m512 tail_slope = _mm512_mul_ps(_mm512_fmadd_ps(_mm512_fmadd_ps(third, v, second), v, first), per_one);
    __mmask16 positive = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_GE_OQ);
    *value = _mm512_sub_ps(_mm512_maskz_mov_ps(positive, x), tail);
    *slope = _mm512_mask_sub_ps(tail_slope, positive, _mm512_set1_ps(1), tail_slope);
}

static inline __m512 operands_load(__mmask16 mask, const Operand *operands) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, operands)), 16));
}

static inline void operands_store(__mmask16 mask, Operand *operands, __m512 values) {
    _mm256_mask_storeu_epi16(operands, mask, (__m256i)_mm512_cvtneps_pbh(values));
}

static inline void gelu_lanes(const TailTable *table, __mmask16 mask, Operand *x, const float *bias, Operand *out) {
    __m512 value, slope, sum = operands_load(mask, x);
    if (bias != NULL) {
        sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, bias));
    }
    gelu_vector(table, sum, &value, &slope);
    operands_store(mask, out, value);
    operands_store(mask, x, slope);
}

static inline void gelu_row(int64_t columns, Operand *restrict x, const float *restrict bias, bool has_bias, Operand *restrict out) {
    const TailTable table = tail_table_load();
    int64_t j = 0;
    for (; j + LANES <= columns; j += LANES) {
        gelu_lanes(&table, 0xffff, x + j, has_bias ? bias + j : NULL, out + j);
    }
    if (j < columns) {
        gelu_lanes(&table, (__mmask16)((1U << (columns - j)) - 1), x + j, has_bias ? bias + j : NULL, out + j);
    }
}

#else

static const float inverse_sqrt_two_pi = 0.398942280F;

/* The normal distribution function; *gaussian becomes exp(-x^2/2). */
static inline float normal_distribution(float x, float *gaussian) {
    float u = fabsf(x);
    float e = exp2_negative(-0.5F * log2_e * (x * x));
    float t = 1.0F / (1.0F + 0.36F * u);
    float r = 4.76492619e-2F;
    r = r * t - 1.81793942e-1F;
    r = r * t + 1.83717180e-1F;
    r = r * t + 2.46438663e-2F;
    r = r * t + 1.40416990e-1F;
    r = r * t + 1.41644536e-1F;
    r = r * t + 1.43722179e-1F;
    float tail = r * t * e;
    *gaussian = e;
    return x < 0 ? tail : 1.0F - tail;
}

static inline void gelu_row(int64_t columns, Operand *restrict x, const float *restrict bias, bool has_bias, Operand *restrict out) {
    for (int64_t j = 0; j < columns; j++) {
        float e, value = operand_value(x[j]) + (has_bias ? bias[j] : 0);
        float phi = normal_distribution(value, &e);
        out[j] = operand_from(value * phi);
        x[j] = operand_from(phi + inverse_sqrt_two_pi * (value * e));
    }
}

#endif

void VARIANT_NAME(gelu_forward)(int64_t rows, int64_t columns, void *restrict x, const float *restrict bias, void *restrict out) {
    if (bias == NULL) {
        gelu_row(rows * columns, x, NULL, false, out);
        return;
    }
    for (int64_t i = 0; i < rows; i++) {
        gelu_row(columns, (Operand *)x + i * columns, bias, true, (Operand *)out + i * columns);
    }
}

void VARIANT_NAME(gelu_backward)(int64_t rows, int64_t columns, void *restrict dout, const void *restrict derivative,
                                 float *restrict dbias) {
    if (dbias == NULL) {
        Operand *restrict d = dout;
        const Operand *restrict slope = derivative;
        for (int64_t j = 0; j < rows * columns; j++) {
            d[j] = operand_from(operand_value(d[j]) * operand_value(slope[j]));
        }
        return;
    }
    memset(dbias, 0, (size_t)columns * sizeof *dbias);
    for (int64_t i = 0; i < rows; i++) {
        Operand *restrict d = (Operand *)dout + i * columns;
        const Operand *restrict slope = (const Operand *)derivative + i * columns;
        for (int64_t j = 0; j < columns; j++) {
            float value = operand_value(d[j]) * operand_value(slope[j]);
            d[j] = operand_from(value);
            dbias[j] += value;
        }
    }
}
