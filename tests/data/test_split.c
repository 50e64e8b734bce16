#include "fixture.h"

#include "../../src/data/dataset.h"

enum { TRAIN = 1000, CLASSES = 5 };

/* Classes of very different sizes, in no order: 500, 250, 150, 90 and 10 examples. */
static uint8_t labels[TRAIN];
static const int sizes[CLASSES] = {500, 250, 150, 90, 10};
static DatasetMap *data;

static int setup(void **state) {
    scratch_setup(state);
    uint32_t order[TRAIN];
    epoch_order(5, 0, order, TRAIN);
    for (int c = 0, at = 0; c < CLASSES; c++)
        for (int i = 0; i < sizes[c]; i++)
            labels[order[at++]] = (uint8_t)c;
    Error error = {0};
    return dataset_map(&data, fixture_pack("split.pack", labels, TRAIN, 10), true, &error);
}

static int teardown(void **state) {
    dataset_free(data);
    return scratch_teardown(state);
}

static Split split(int64_t validation, int64_t examples, uint64_t seed) {
    Split out;
    Error error = {0};
    if (split_make(&out, data, validation, examples, seed, &error))
        fail_msg("%s", error.text);
    assert_int_equal(out.validation_count, validation);
    assert_int_equal(out.train_count, examples);
    return out;
}

static bool same(const uint32_t *a, const uint32_t *b, int64_t count) {
    return !memcmp(a, b, (size_t)count * sizeof *a);
}

static void test_nested(void **state) {
    (void)state;
    Split all = split(100, 900, 3);
    for (int64_t n = 1; n < 900; n += 37) {
        Split part = split(100, n, 3);
        assert_true(same(part.train, all.train, n));
        split_deinit(&part);
    }
    split_deinit(&all);
}

/* At every size: below one example from the share, so exact where the share is whole. */
static void test_proportional(void **state) {
    (void)state;
    Split all = split(0, TRAIN, 8);
    int64_t counts[CLASSES] = {0};
    for (int64_t n = 1; n <= TRAIN; n++) {
        counts[labels[all.train[n - 1]]]++;
        for (int c = 0; c < CLASSES; c++)
            assert_true(llabs(counts[c] * TRAIN - n * sizes[c]) < TRAIN);
    }
    split_deinit(&all);
}

static void test_validation_is_apart(void **state) {
    (void)state;
    Split first = split(100, 900, 1), second = split(100, 10, 2);
    assert_true(same(first.validation, second.validation, 100));
    uint8_t seen[TRAIN] = {0};
    int64_t counts[CLASSES] = {0};
    for (int i = 0; i < 100; i++) {
        seen[first.validation[i]]++;
        counts[labels[first.validation[i]]]++;
    }
    for (int i = 0; i < 900; i++)
        seen[first.train[i]]++;
    for (int i = 0; i < TRAIN; i++)
        assert_int_equal(seen[i], 1);
    for (int c = 0; c < CLASSES; c++)
        assert_int_equal(counts[c], sizes[c] / 10);
    split_deinit(&first);
    split_deinit(&second);
}

static void test_seeds(void **state) {
    (void)state;
    Split first = split(100, 200, 1), again = split(100, 200, 1), other = split(100, 200, 2);
    assert_true(same(first.train, again.train, 200));
    int64_t shared = 0;
    for (int i = 0; i < 200; i++)
        for (int j = 0; j < 200; j++)
            shared += first.train[i] == other.train[j];
    assert_true(shared > 0 && shared < 100); /* 2/9 of them are expected */
    split_deinit(&first);
    split_deinit(&again);
    split_deinit(&other);
}

static void test_too_many(void **state) {
    (void)state;
    static const int64_t wrong[][2] = {{0, 1001}, {100, 901}, {1000, 1}, {-1, 10}, {0, 0}, {INT64_MAX, 1}, {0, INT64_MAX}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        Split out;
        Error error = {0};
        assert_int_equal(split_make(&out, data, wrong[i][0], wrong[i][1], 0, &error), DATA_REFUSED);
        assert_null(out.train);
        assert_non_null(strstr(error.text, wrong[i][0] < 0 || wrong[i][0] >= 1000 ? "validation: " : "examples: "));
    }
}

static void test_epoch_order(void **state) {
    (void)state;
    uint32_t first[TRAIN], again[TRAIN], next[TRAIN], other[TRAIN];
    epoch_order(1, 0, first, TRAIN);
    epoch_order(1, 0, again, TRAIN);
    epoch_order(1, 1, next, TRAIN);
    epoch_order(2, 0, other, TRAIN);
    assert_true(same(first, again, TRAIN));
    assert_false(same(first, next, TRAIN));
    assert_false(same(first, other, TRAIN));
    uint8_t seen[TRAIN] = {0};
    for (int i = 0; i < TRAIN; i++)
        seen[first[i]]++;
    for (int i = 0; i < TRAIN; i++)
        assert_int_equal(seen[i], 1);
}

/* The order of classes against the rule as the essay in split.c states it, class by class; more classes than a byte can number. */
static void test_many_classes(void **state) {
    (void)state;
    enum { MANY = 300, COUNT = 4000 };
    DataInfo info = {
        .name = "many", .height = 1, .width = 1, .channels = 1, .inputs = 1, .classes = MANY, .train_count = COUNT, .test_count = 1};
    PackWriter writer;
    Error error = {0};
    Rng rng;
    int64_t size[MANY] = {0}, taken[MANY] = {0};
    char path[PATH_TEXT_MAX];
    rng_init(&rng, 1, 1);
    text_copy(path, sizeof path, scratch_path("many.pack"));
    assert_int_equal(pack_writer_open(&writer, &info, path, &error), 0);
    for (int i = 0; i < COUNT; i++) {
        uint64_t label = rng_below(&rng, MANY) * rng_below(&rng, MANY) / MANY;
        size[label]++;
        *pack_writer_row(&writer, DATA_TRAIN, i) = (uint8_t)i;
        pack_writer_keep(&writer, DATA_TRAIN, i, (uint16_t)label);
    }
    pack_writer_keep(&writer, DATA_TEST, 0, MANY - 1);
    assert_int_equal(pack_writer_finish(&writer, NULL, NULL, &info, &error), 0);
    pack_writer_deinit(&writer);
    DatasetMap *many;
    Split split;
    assert_int_equal(dataset_map(&many, path, true, &error), 0);
    assert_int_equal(split_make(&split, many, 0, COUNT, 3, &error), 0);
    for (int64_t n = 0; n < COUNT; n++) {
        int64_t best = -1, best_deadline = INT64_MAX;
        for (int64_t c = 0; c < MANY; c++) {
            if (taken[c] == size[c] || taken[c] * COUNT > n * size[c] + size[c] - 1)
                continue;
            int64_t deadline = ((taken[c] + 1) * COUNT + size[c] - 1) / size[c];
            if (deadline < best_deadline) {
                best = c;
                best_deadline = deadline;
            }
        }
        assert_int_equal(dataset_label(many, DATA_TRAIN, split.train[n]), best);
        taken[best]++;
    }
    split_deinit(&split);
    dataset_free(many);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nested),       cmocka_unit_test(test_proportional), cmocka_unit_test(test_validation_is_apart),
        cmocka_unit_test(test_seeds),        cmocka_unit_test(test_too_many),     cmocka_unit_test(test_epoch_order),
        cmocka_unit_test(test_many_classes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
