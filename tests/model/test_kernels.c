#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kernels.h"
#include "sweepd/base.h"
#include "sweepd/bfloat16.h"

enum { ROWS = 21, COLUMNS_MAX = 70, SIZE = ROWS * COLUMNS_MAX };

/* Below, at and past one vector of each extension, with and without a remainder. */
static const int64_t widths[] = {1, 5, 8, 10, 16, 17, 32, 70};
enum { WIDTHS = sizeof widths / sizeof widths[0] };

static void fill(float *values, size_t count, uint64_t stream) {
    Rng rng;
    rng_init(&rng, 1, stream);
    for (size_t i = 0; i < count; i++) {
        values[i] = (float)rng_normal(&rng);
    }
}

static void assert_close(const float *values, const float *expected, int64_t count, float tolerance) {
    for (int64_t i = 0; i < count; i++) {
        if (!(fabsf(values[i] - expected[i]) <= tolerance * (1 + fabsf(expected[i])))) {
            fail_msg("value %lld is %.9g, not %.9g", (long long)i, (double)values[i], (double)expected[i]);
        }
    }
}

/* ---- gelu's accuracy over its whole range, against erff and against double precision ---- */

static void assert_gelu_accuracy(const KernelTable *kernels) {
    enum { POINTS = 40001 };
    static float x[POINTS], slope[POINTS], out[POINTS];
    for (int i = 0; i < POINTS; i++) {
        x[i] = slope[i] = (float)(i - POINTS / 2) * 1e-3F;
    }
    kernels->gelu_forward(1, POINTS, slope, NULL, out);
    for (int i = 0; i < POINTS; i++) {
        double v = (double)x[i], phi = 0.5 * erfc(-v / sqrt(2)), density = exp(-v * v / 2) / sqrt(2 * acos(-1));
        assert_true(fabs((double)out[i] - v * phi) < 5e-7 * (1 + fabs(v)));
        assert_true(fabs((double)slope[i] - (phi + v * density)) < 1e-6);
        assert_true(fabsf(out[i] - 0.5F * x[i] * (1 + erff(x[i] * 0.70710678F))) < 1e-6F * (1 + fabsf(x[i])));
    }
}

static void test_gelu_accuracy(void **state) {
    (void)state;
    for (size_t i = 0; kernels_table(OPERAND_FLOAT, i) != NULL; i++) {
        assert_gelu_accuracy(kernels_table(OPERAND_FLOAT, i));
    }
}

/* What rounding leaves, and what the table of src/model/kernels_gelu.c may miss by. */
static void assert_bfloat16_gelu_accuracy(const KernelTable *kernels) {
    enum { POINTS = 40001 };
    static Bfloat16 x[POINTS], slope[POINTS], out[POINTS];
    for (int i = 0; i < POINTS; i++) {
        x[i] = slope[i] = bfloat16_from_float((float)(i - POINTS / 2) * 1e-3F);
    }
    kernels->gelu_forward(1, POINTS, slope, NULL, out);
    for (int i = 0; i < POINTS; i++) {
        double v = (double)bfloat16_to_float(x[i]), phi = 0.5 * erfc(-v / sqrt(2)), density = exp(-v * v / 2) / sqrt(2 * acos(-1));
        assert_true(fabs((double)bfloat16_to_float(out[i]) - v * phi) <= 0x1.02p-8 * fabs(v * phi) + 8e-7);
        assert_true(fabs((double)bfloat16_to_float(slope[i]) - (phi + v * density)) <= 0x1p-8 * fabs(phi + v * density) + 1.3e-4);
    }
}

static void test_bfloat16_gelu(void **state) {
    (void)state;
    for (size_t i = 0; kernels_table(OPERAND_BFLOAT16, i) != NULL; i++) {
        const KernelTable *kernels = kernels_table(OPERAND_BFLOAT16, i);
        Bfloat16 x[20], out[20];
        assert_bfloat16_gelu_accuracy(kernels);
        for (size_t j = 0; j < 20; j++) {
            x[j] = bfloat16_from_float(NAN);
        }
        x[3] = x[18] = bfloat16_from_float(INFINITY);
        kernels->gelu_forward(1, 20, x, NULL, out);
        assert_true(isnan(bfloat16_to_float(out[0])) && isnan(bfloat16_to_float(out[19])) && isnan(bfloat16_to_float(x[0])));
        assert_true(isinf(bfloat16_to_float(out[3])) && isinf(bfloat16_to_float(out[18])));
    }
}

static void test_gelu_not_finite(void **state) {
    (void)state;
    for (size_t i = 0; kernels_table(OPERAND_FLOAT, i) != NULL; i++) {
        float x[20], out[20];
        for (size_t j = 0; j < 20; j++) {
            x[j] = NAN;
        }
        x[3] = INFINITY;
        kernels_table(OPERAND_FLOAT, i)->gelu_forward(1, 20, x, NULL, out);
        assert_true(isnan(out[0]) && isnan(out[19]) && isinf(out[3]));
    }
}

/* ---- every other kernel of every variant against the reference ---- */

static void compare_bias(const KernelTable *fast, int64_t columns, bool relu) {
    float z[2][SIZE], dz[2][SIZE], bias[COLUMNS_MAX], dbias[2][COLUMNS_MAX];
    const KernelTable *tables[2] = {fast, &kernels_reference};
    fill(bias, COLUMNS_MAX, 1);
    for (int i = 0; i < 2; i++) {
        fill(z[i], SIZE, 2);
        fill(dz[i], SIZE, 3);
        tables[i]->bias_forward(ROWS, columns, z[i], bias, relu, NULL);
        tables[i]->bias_backward(ROWS, columns, dz[i], relu ? z[i] : NULL, dbias[i], NULL);
    }
    assert_close(z[0], z[1], SIZE, 0);
    assert_close(dz[0], dz[1], SIZE, 0);
    assert_close(dbias[0], dbias[1], columns, 1e-6F);
}

static void compare_norm(const KernelTable *fast, int64_t columns, bool residual, bool relu) {
    float z[2][SIZE], normal[2][SIZE], inverse[2][ROWS], out[2][SIZE], dout[2][SIZE], dz[2][SIZE];
    float gain[COLUMNS_MAX], shift[COLUMNS_MAX], bias[COLUMNS_MAX], sums[2][3][COLUMNS_MAX] = {0};
    const KernelTable *tables[2] = {fast, &kernels_reference};
    fill(gain, COLUMNS_MAX, 4);
    fill(shift, COLUMNS_MAX, 5);
    fill(bias, COLUMNS_MAX, 6);
    memset(normal, 0, sizeof normal);
    memset(out, 0, sizeof out);
    for (int i = 0; i < 2; i++) {
        Norm norm = {columns, gain, shift, normal[i], inverse[i]};
        fill(z[i], SIZE, 7);
        fill(dout[i], SIZE, 8);
        fill(dz[i], SIZE, 9);
        tables[i]->norm_forward(&norm, ROWS, z[i], bias, relu, out[i]);
        tables[i]->norm_backward(&norm, ROWS, dout[i], residual, relu ? z[i] : NULL, dz[i], sums[i][0], sums[i][1], sums[i][2], NULL);
    }
    /* A row of one column has no deviation but epsilon: 1 / sqrt(1e-5) magnifies what rounding leaves. */
    float tolerance = columns == 1 ? 1e-3F : 1e-5F;
    assert_close(z[0], z[1], SIZE, 0);
    assert_close(out[0], out[1], SIZE, tolerance);
    assert_close(inverse[0], inverse[1], ROWS, tolerance);
    assert_close(dz[0], dz[1], SIZE, tolerance);
    for (int i = 0; i < 3; i++) {
        assert_close(sums[0][i], sums[1][i], columns, tolerance);
    }
}

static void compare_gelu(const KernelTable *fast, int64_t columns, bool has_bias) {
    float x[2][SIZE], out[2][SIZE], dout[2][SIZE], bias[COLUMNS_MAX], dbias[2][COLUMNS_MAX] = {{0}};
    const KernelTable *tables[2] = {fast, &kernels_reference};
    fill(bias, COLUMNS_MAX, 10);
    memset(out, 0, sizeof out);
    for (int i = 0; i < 2; i++) {
        fill(x[i], SIZE, 11);
        fill(dout[i], SIZE, 12);
        tables[i]->gelu_forward(ROWS, columns, x[i], has_bias ? bias : NULL, out[i]);
        tables[i]->gelu_backward(ROWS, columns, dout[i], x[i], has_bias ? dbias[i] : NULL);
    }
    assert_close(out[0], out[1], SIZE, 1e-6F);
    assert_close(x[0], x[1], SIZE, 1e-6F);
    assert_close(dout[0], dout[1], SIZE, 2e-6F);
    assert_close(dbias[0], dbias[1], columns, 1e-5F);
}

static void compare_loss(const KernelTable *fast, int64_t columns, float smoothing) {
    float logits[2][SIZE], bias[COLUMNS_MAX], dbias[2][COLUMNS_MAX], loss[2], scratch[COLUMNS_MAX * LOSS_LANES];
    double sums[2] = {0, 0};
    int64_t errors[2] = {0, 0};
    uint16_t labels[ROWS];
    const KernelTable *tables[2] = {fast, &kernels_reference};
    fill(bias, COLUMNS_MAX, 13);
    for (int i = 0; i < ROWS; i++) {
        labels[i] = (uint16_t)(i * 7 % columns);
    }
    LossTarget target = {ROWS, columns, labels, smoothing, scratch, NULL, 1};
    for (int i = 0; i < 2; i++) {
        fill(logits[i], SIZE, 14);
        for (int j = 0; j < SIZE; j++) {
            logits[i][j] *= 10;
        }
        tables[i]->loss_measure(&target, logits[i], bias, &sums[i], &errors[i]);
        loss[i] = tables[i]->loss_gradient(&target, logits[i], bias, dbias[i], NULL);
    }
    assert_close(&loss[0], &loss[1], 1, 1e-6F);
    assert_close(logits[0], logits[1], SIZE, 1e-6F);
    assert_close(dbias[0], dbias[1], columns, 1e-6F);
    assert_true(fabs(sums[0] - sums[1]) <= 1e-5 * (1 + sums[1]));
    assert_int_equal(errors[0], errors[1]);
}

/* By PyTorch 1.13 in double precision: F.cross_entropy(label_smoothing=0.1), 0.3 of it against labels and 0.7 against others. */
static void check_mixed_loss(const KernelTable *table) {
    static const float logits[12] = {0.5F, -1.25F, 2.0F, 0.75F, 1.5F, 0.25F, -0.5F, -2.0F, -0.75F, 3.0F, 0.125F, 1.0F};
    static const uint16_t labels[3] = {2, 0, 3}, others[3] = {1, 0, 2};
    static const double gradient[12] = {0.03970094709999494,    -0.2099862270016293,  0.11694137628626755,  0.053343903615366825,
                                        -0.07877084496235494,   0.057437420764113595, 0.02273457105085464,  -0.0014011468526133656,
                                        -0.0018827059157680457, 0.26595432404081343,  -0.20285908259074917, -0.06121253553429622};
    float d[12], scratch[4 * LOSS_LANES], bias[4] = {0}, dbias[4];
    LossTarget target = {3, 4, labels, 0.1F, scratch, others, 0.3F};
    memcpy(d, logits, sizeof d);
    float loss = table->loss_gradient(&target, d, bias, dbias, NULL);
    assert_true(fabs((double)loss - 1.979428788733799) < 1e-6);
    for (int i = 0; i < 12; i++) {
        assert_true(fabs((double)d[i] - gradient[i]) < 1e-7);
    }
    for (int j = 0; j < 4; j++) {
        assert_true(fabs((double)dbias[j] - gradient[j] - gradient[4 + j] - gradient[8 + j]) < 2e-7);
    }
}

static void test_mixed_loss_against_pytorch(void **state) {
    (void)state;
    check_mixed_loss(&kernels_reference);
    for (size_t i = 0; kernels_table(OPERAND_FLOAT, i) != NULL; i++) {
        check_mixed_loss(kernels_table(OPERAND_FLOAT, i));
    }
}

static void test_variants_against_reference(void **state) {
    (void)state;
    for (size_t i = 0; kernels_table(OPERAND_FLOAT, i) != NULL; i++) {
        for (size_t j = 0; j < WIDTHS; j++) {
            for (int flags = 0; flags < 4; flags++) {
                compare_bias(kernels_table(OPERAND_FLOAT, i), widths[j], flags & 1);
                compare_norm(kernels_table(OPERAND_FLOAT, i), widths[j], flags & 1, flags & 2);
                compare_gelu(kernels_table(OPERAND_FLOAT, i), widths[j], flags & 1);
                compare_loss(kernels_table(OPERAND_FLOAT, i), widths[j], 0.1F * (float)flags);
            }
        }
    }
}

/* ---- kernels of bfloat16 operands: what the reference makes of the same rounded numbers, but for one more rounding ---- */

static void round_all(float *values, Bfloat16 *rounded, size_t count) {
    for (size_t i = 0; i < count; i++) {
        rounded[i] = bfloat16_from_float(values[i]);
        values[i] = bfloat16_to_float(rounded[i]);
    }
}

static void assert_close_rounded(const Bfloat16 *values, const float *expected, int64_t count) {
    float wide[SIZE] = {0};
    for (int64_t i = 0; i < count; i++) {
        wide[i] = bfloat16_to_float(values[i]);
    }
    assert_close(wide, expected, count, 0x1p-8F);
}

static void compare_bfloat16_stream(const KernelTable *fast, int64_t columns, bool residual) {
    float z[2][SIZE], dz[2][SIZE], dout[SIZE], normal[2][SIZE], inverse[2][ROWS], out[SIZE], sums[2][3][COLUMNS_MAX];
    float gain[COLUMNS_MAX], shift[COLUMNS_MAX], bias[COLUMNS_MAX];
    Bfloat16 rounded_out[SIZE], rounded_dout[SIZE], copy[SIZE];
    float *const vectors[] = {gain, shift, bias};
    int64_t size = ROWS * columns;
    for (uint64_t i = 0; i < 3; i++) {
        fill(vectors[i], COLUMNS_MAX, 20 + i);
    }
    fill(dout, SIZE, 23);
    round_all(dout, rounded_dout, SIZE);
    for (int i = 0; i < 2; i++) {
        const KernelTable *table = i == 0 ? fast : &kernels_reference;
        Norm norm = {columns, gain, shift, normal[i], inverse[i]};
        fill(z[i], SIZE, 24);
        fill(dz[i], SIZE, 25);
        table->norm_forward(&norm, ROWS, z[i], bias, residual, i == 0 ? (void *)rounded_out : out);
        table->norm_backward(&norm, ROWS, i == 0 ? (void *)rounded_dout : dout, residual, residual ? z[i] : NULL, dz[i], sums[i][0],
                             sums[i][1], sums[i][2], copy);
    }
    float tolerance = columns == 1 ? 1e-3F : 1e-5F;
    assert_close_rounded(rounded_out, out, size);
    assert_close(dz[0], dz[1], size, tolerance);
    assert_close_rounded(copy, dz[0], size);
    for (int i = 0; i < 3; i++) {
        assert_close(sums[0][i], sums[1][i], columns, tolerance);
    }
    fast->bias_forward(ROWS, columns, z[0], bias, true, copy);
    assert_close_rounded(copy, z[0], size);
    fast->bias_backward(ROWS, columns, dz[0], z[0], sums[0][0], copy);
    assert_close_rounded(copy, dz[0], size);
    fast->operand_round(size, dout, copy);
    assert_memory_equal(copy, rounded_dout, (size_t)size * sizeof *copy);
}

static void compare_bfloat16_gelu(const KernelTable *fast, int64_t columns, bool has_bias) {
    float x[SIZE], out[SIZE], dout[SIZE], bias[COLUMNS_MAX], dbias[2][COLUMNS_MAX] = {{0}};
    Bfloat16 rounded_x[SIZE], rounded_out[SIZE], rounded_dout[SIZE];
    int64_t size = ROWS * columns;
    fill(x, SIZE, 30);
    fill(dout, SIZE, 31);
    fill(bias, COLUMNS_MAX, 32);
    round_all(x, rounded_x, SIZE);
    round_all(dout, rounded_dout, SIZE);
    fast->gelu_forward(ROWS, columns, rounded_x, has_bias ? bias : NULL, rounded_out);
    kernels_reference.gelu_forward(ROWS, columns, x, has_bias ? bias : NULL, out);
    assert_close_rounded(rounded_out, out, size);
    assert_close_rounded(rounded_x, x, size);
    round_all(x, rounded_x, SIZE);
    fast->gelu_backward(ROWS, columns, rounded_dout, rounded_x, has_bias ? dbias[0] : NULL);
    kernels_reference.gelu_backward(ROWS, columns, dout, x, has_bias ? dbias[1] : NULL);
    assert_close_rounded(rounded_dout, dout, size);
    assert_close(dbias[0], dbias[1], columns, 1e-5F);
}

static void test_bfloat16_against_reference(void **state) {
    (void)state;
    for (size_t i = 0; kernels_table(OPERAND_BFLOAT16, i) != NULL; i++) {
        for (size_t j = 0; j < WIDTHS; j++) {
            for (int flag = 0; flag < 2; flag++) {
                compare_bfloat16_stream(kernels_table(OPERAND_BFLOAT16, i), widths[j], flag);
                compare_bfloat16_gelu(kernels_table(OPERAND_BFLOAT16, i), widths[j], flag);
            }
        }
    }
}

/* Of equal logits the first counts as predicted; a NaN is never right. */
static void test_predictions(void **state) {
    (void)state;
    const float bias[3] = {0};
    const float logits[5][3] = {{1, 1, 0}, {1, 1, 0}, {0, 1, 2}, {NAN, 0, 0}, {0, NAN, 0}};
    const uint16_t labels[5] = {0, 1, 2, 0, 1};
    const int64_t wrong[5] = {0, 1, 0, 1, 1};
    float scratch[3 * LOSS_LANES], rows[LOSS_LANES + 1][3];
    uint16_t row_labels[LOSS_LANES + 1];
    for (size_t i = 0; kernels_table(OPERAND_FLOAT, i) != NULL; i++) {
        const KernelTable *tables[2] = {kernels_table(OPERAND_FLOAT, i), &kernels_reference};
        for (int j = 0; j < 10; j++) {
            double loss = 0;
            int64_t errors = 0;
            LossTarget target = {LOSS_LANES + 1, 3, row_labels, 0, scratch, NULL, 1};
            for (int l = 0; l <= LOSS_LANES; l++) {
                memcpy(rows[l], logits[j / 2], sizeof rows[l]);
                row_labels[l] = labels[j / 2];
            }
            tables[j % 2]->loss_measure(&target, rows[0], bias, &loss, &errors);
            assert_int_equal(errors, (LOSS_LANES + 1) * wrong[j / 2]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gelu_accuracy),
        cmocka_unit_test(test_gelu_not_finite),
        cmocka_unit_test(test_bfloat16_gelu),
        cmocka_unit_test(test_mixed_loss_against_pytorch),
        cmocka_unit_test(test_variants_against_reference),
        cmocka_unit_test(test_bfloat16_against_reference),
        cmocka_unit_test(test_predictions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
