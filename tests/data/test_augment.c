/* Augmentation against its definition, pixel by pixel, and the statistics of what is drawn. */
#include "fixture.h"

#include <math.h>

enum { HEIGHT = 2, WIDTH = 3, EXAMPLES = 40, TALL = 31, WIDE = 37, PLANES = 3 };

static DatasetMap *small, *colour;
static uint8_t pixels[EXAMPLES][PLANES][TALL][WIDE];

/* Colour images by way of the IDX reader and a header of our own would test the header again; the private writer makes them. */
#include "../../src/data/dataset.h"

static int setup(void **state) {
    Error error = {0};
    Rng rng;
    DataInfo info = {.name = "colour",
                     .height = TALL,
                     .width = WIDE,
                     .channels = PLANES,
                     .inputs = PLANES * TALL * WIDE,
                     .classes = 5,
                     .train_count = EXAMPLES,
                     .test_count = 1};
    PackWriter writer;
    if (scratch_setup(state))
        return -1;
    rng_init(&rng, 3, 4);
    for (size_t i = 0; i < sizeof pixels; i++)
        ((uint8_t *)pixels)[i] = (uint8_t)rng_next(&rng);
    char path[PATH_TEXT_MAX];
    text_copy(path, sizeof path, scratch_path("colour.pack"));
    int result = pack_writer_open(&writer, &info, path, &error);
    for (int i = 0; i <= EXAMPLES && !result; i++) {
        DataSection section = i < EXAMPLES ? DATA_TRAIN : DATA_TEST;
        memcpy(pack_writer_row(&writer, section, i % EXAMPLES), pixels[i % EXAMPLES], sizeof pixels[0]);
        pack_writer_keep(&writer, section, i % EXAMPLES, (uint16_t)(i % 5));
    }
    if (!result)
        result = pack_writer_finish(&writer, NULL, NULL, &info, &error);
    pack_writer_deinit(&writer);
    uint8_t labels[EXAMPLES] = {0, 1, 2};
    return result || dataset_map(&colour, path, true, &error) || dataset_map(&small, fixture_pack("s.pack", labels, 6, 3), true, &error);
}

static int teardown(void **state) {
    dataset_free(small);
    dataset_free(colour);
    return scratch_teardown(state);
}

/* Pixel (y, x) of what is made of an image, as a byte's value. */
typedef double (*Slow)(const AugmentBox *box, const uint8_t plane[TALL][WIDE], int y, int x);

static double slow_padded(const AugmentBox *box, const uint8_t plane[TALL][WIDE], int y, int x) {
    int64_t row = y + box->top, column = (box->flip ? WIDE - 1 - x : x) + box->left;
    return row < 0 || row >= TALL || column < 0 || column >= WIDE ? 0 : plane[row][column];
}

/* The sum over all pixels of the crop, each with the weight of its distance from the result's centre. */
static double slow_resized(const AugmentBox *box, const uint8_t plane[TALL][WIDE], int y, int x) {
    double column = ((box->flip ? WIDE - 1 - x : x) + 0.5) * (double)box->width / WIDE - 0.5,
           row = (y + 0.5) * (double)box->height / TALL - 0.5;
    column = fmin(fmax(column, 0), (double)box->width - 1);
    row = fmin(fmax(row, 0), (double)box->height - 1);
    double sum = 0;
    for (int i = 0; i < box->height; i++)
        for (int j = 0; j < box->width; j++)
            sum += fmax(0, 1 - fabs(row - i)) * fmax(0, 1 - fabs(column - j)) * plane[box->top + i][box->left + j];
    return sum;
}

static void check(const Augmentation *settings, Slow slow) {
    enum { COUNT = 7 };
    static const uint32_t indices[COUNT] = {39, 0, 17, 17, 4, 5, 6};
    static float x[COUNT][PLANES][TALL][WIDE];
    const DataInfo *info = dataset_info(colour);
    Augmenter *augmenter;
    Error error = {0};
    assert_int_equal(augmenter_new(&augmenter, colour, settings, 11, &error), 0);
    for (int64_t epoch = 0; epoch < 6; epoch++) {
        uint16_t labels[COUNT];
        augmenter_gather(augmenter, indices, COUNT, epoch, 1, &x[0][0][0][0], labels, NULL);
        for (int i = 0; i < COUNT; i++) {
            AugmentBox box = augment_draw(settings, TALL, WIDE, 11, epoch, indices[i]);
            assert_int_equal(labels[i], indices[i] % 5);
            for (int c = 0; c < PLANES; c++)
                for (int y = 0; y < TALL; y++)
                    for (int column = 0; column < WIDE; column++) {
                        double byte = slow(&box, (const uint8_t(*)[WIDE])pixels[indices[i]][c], y, column);
                        double expected = (byte / 255 - (double)info->mean[c]) / (double)info->deviation[c];
                        if (fabs((double)x[i][c][y][column] - expected) > 2e-5)
                            fail_msg("epoch %d, example %d, channel %d, %d, %d: %g, not %g", (int)epoch, i, c, y, column,
                                     (double)x[i][c][y][column], expected);
                    }
        }
    }
    augmenter_free(augmenter);
}

static void test_pixels(void **state) {
    (void)state;
    check(&(Augmentation){.flip = 1}, slow_padded);
    check(&(Augmentation){.padding = 4}, slow_padded);
    check(&(Augmentation){.flip = 1, .padding = 40}, slow_padded);
    check(&(Augmentation){.scale = {0.08, 1}, .ratio = {0.75, 1.333}}, slow_resized);
    check(&(Augmentation){.flip = 1, .scale = {0.001, 0.01}, .ratio = {0.5, 2}}, slow_resized);
    check(&(Augmentation){.flip = 1, .scale = {1, 1}, .ratio = {1, 1}}, slow_resized);
}

/* With nothing to do it is batch_gather, bit for bit. */
static void test_nothing(void **state) {
    (void)state;
    static const uint32_t indices[] = {3, 1, 4};
    float x[3 * HEIGHT * WIDTH], plain[3 * HEIGHT * WIDTH];
    uint16_t labels[3], others[3];
    Augmentation none = {0};
    Augmenter *augmenter;
    Error error = {0};
    assert_false(augment_is_on(&none));
    assert_int_equal(augmenter_new(&augmenter, small, &none, 1, &error), 0);
    augmenter_gather(augmenter, indices, 3, 0, 1, x, labels, NULL);
    batch_gather(small, DATA_TRAIN, indices, 3, plain, others);
    assert_memory_equal(x, plain, sizeof x);
    assert_memory_equal(labels, others, sizeof labels);
    augmenter_free(augmenter);
    assert_int_equal(augmenter_new(&augmenter, small, &(Augmentation){.padding = 5}, 1, &error), DATA_REFUSED);
    assert_non_null(strstr(error.text, "crop.padding: 5"));
}

/* Neither the place in a batch nor what came before matters; epoch, seed and example do. */
static void test_depends_on_three_alone(void **state) {
    (void)state;
    enum { SIZE = PLANES * TALL * WIDE };
    static float x[3][SIZE], again[2][SIZE];
    uint16_t labels[3];
    Augmentation settings = {.flip = 1, .scale = {0.08, 1}, .ratio = {0.75, 1.333}};
    Augmenter *first, *second;
    Error error = {0};
    assert_int_equal(augmenter_new(&first, colour, &settings, 5, &error), 0);
    assert_int_equal(augmenter_new(&second, colour, &settings, 5, &error), 0);
    augmenter_gather(first, (const uint32_t[]){1, 2, 3}, 3, 0, 1, x[0], labels, NULL);
    augmenter_gather(first, (const uint32_t[]){7, 8, 9}, 3, 2, 1, x[0], labels, NULL);
    augmenter_gather(second, (const uint32_t[]){9, 7}, 2, 2, 1, again[0], labels, NULL);
    assert_memory_equal(x[2], again[0], sizeof again[0]);
    assert_memory_equal(x[0], again[1], sizeof again[1]);
    augmenter_gather(second, (const uint32_t[]){9}, 1, 3, 1, again[0], labels, NULL);
    assert_memory_not_equal(x[2], again[0], sizeof again[0]);
    augmenter_free(first);
    augmenter_free(second);
    AugmentBox here = augment_draw(&settings, TALL, WIDE, 5, 0, 1), other = augment_draw(&settings, TALL, WIDE, 6, 0, 1);
    assert_true(here.top != other.top || here.left != other.left || here.width != other.width);
}

/* Shares and means of many draws, within five standard deviations of what they should be. */
static void test_draws(void **state) {
    (void)state;
    enum { DRAWS = 20000, SIDE = 64 };
    Augmentation padded = {.flip = 1, .padding = 4}, cropped = {.scale = {0.08, 1}, .ratio = {0.75, 4.0 / 3}};
    int flips = 0, tops[9] = {0}, whole = 0;
    double area = 0, log_ratio = 0, place = 0;
    for (int i = 0; i < DRAWS; i++) {
        AugmentBox box = augment_draw(&padded, SIDE, SIDE, 1, i / 100, (uint32_t)(i % 100));
        flips += box.flip;
        assert_true(box.top >= -4 && box.top <= 4 && box.left >= -4 && box.left <= 4);
        tops[box.top + 4]++;
        box = augment_draw(&cropped, SIDE, SIDE, 1, i / 100, (uint32_t)(i % 100));
        assert_true(box.height >= 1 && box.width >= 1 && box.top >= 0 && box.left >= 0);
        assert_true(box.top + box.height <= SIDE && box.left + box.width <= SIDE);
        double share = (double)(box.height * box.width) / (SIDE * SIDE), ratio = (double)box.width / (double)box.height;
        assert_true(share > 0.07 && share <= 1 && ratio > 0.7 && ratio < 1.42);
        area += share;
        log_ratio += log(ratio);
        place += box.width < SIDE ? (double)box.left / (double)(SIDE - box.width) : 0.5;
        whole += share == 1;
    }
    assert_true(abs(flips - DRAWS / 2) < 5 * sqrt(DRAWS / 4.0));
    for (int i = 0; i < 9; i++)
        assert_true(abs(tops[i] - DRAWS / 9) < 5 * sqrt(DRAWS / 9.0));
    assert_true(fabs(log_ratio / DRAWS) < 0.01 && fabs(place / DRAWS - 0.5) < 0.015);
    /* Boxes that stick out are drawn again, so the mean lies below that of the uniform shares, 0.54. */
    assert_true(area / DRAWS > 0.48 && area / DRAWS < 0.54);
    assert_true(whole < DRAWS / 10);
    /* No box of such a ratio fits: the largest in the middle. */
    AugmentBox box = augment_draw(&(Augmentation){.scale = {1, 1}, .ratio = {3, 4}}, SIDE, SIDE, 1, 0, 0);
    assert_int_equal(box.width, SIDE);
    assert_int_equal(box.height, 21);
    assert_int_equal(box.top, 21);
}

/* Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1)); one for each step. */
static void test_lambda(void **state) {
    (void)state;
    static const double alphas[] = {0.05, 0.8, 1, 4};
    enum { DRAWS = 20000 };
    for (size_t k = 0; k < sizeof alphas / sizeof *alphas; k++) {
        Augmentation settings = {.mixup = alphas[k]};
        double sum = 0, squares = 0, variance = 1 / (4 * (2 * alphas[k] + 1));
        for (int64_t step = 0; step < DRAWS; step++) {
            double lambda = (double)augment_lambda(&settings, 9, step);
            assert_true(lambda >= 0 && lambda <= 1);
            sum += lambda;
            squares += (lambda - 0.5) * (lambda - 0.5);
        }
        assert_true(fabs(sum / DRAWS - 0.5) < 5 * sqrt(variance / DRAWS));
        assert_true(fabs(squares / DRAWS - variance) < 0.05 * variance);
        assert_true(augment_lambda(&settings, 9, 7) == augment_lambda(&settings, 9, 7));
    }
    assert_true(augment_lambda(&(Augmentation){0}, 9, 7) == 1);
}

static void test_mixing(void **state) {
    (void)state;
    static const uint32_t indices[] = {0, 1, 2, 3, 4};
    float x[5][HEIGHT * WIDTH], plain[5][HEIGHT * WIDTH];
    uint16_t labels[5], others[5], own[5];
    Augmenter *augmenter;
    Error error = {0};
    assert_int_equal(augmenter_new(&augmenter, small, &(Augmentation){.mixup = 0.8}, 1, &error), 0);
    augmenter_gather(augmenter, indices, 5, 0, 0.3F, x[0], labels, others);
    batch_gather(small, DATA_TRAIN, indices, 5, plain[0], own);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(labels[i], own[i]);
        assert_int_equal(others[i], own[4 - i]);
        for (int j = 0; j < HEIGHT * WIDTH; j++)
            assert_true(fabs((double)x[i][j] - (0.3 * (double)plain[i][j] + 0.7 * (double)plain[4 - i][j])) < 1e-5);
    }
    augmenter_free(augmenter);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pixels), cmocka_unit_test(test_nothing), cmocka_unit_test(test_depends_on_three_alone),
        cmocka_unit_test(test_draws),  cmocka_unit_test(test_lambda),  cmocka_unit_test(test_mixing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
