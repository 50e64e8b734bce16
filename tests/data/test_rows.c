/* Rows read around the page cache are the map's, byte for byte, in whatever order batches are asked for and taken. */
#include "fixture.h"

#include "dataset.h"

enum { TRAIN = 3000, TEST = 700, INPUTS = 6, BATCH = 500 };

/* The same pack twice: by its map, and with a reader; false where the file system has no direct reads. */
static bool open_both(DatasetMap **map, DatasetMap **direct) {
    static uint8_t labels[TRAIN];
    Error error = {0};
    for (int i = 0; i < TRAIN; i++)
        labels[i] = (uint8_t)(i % 4);
    const char *path = fixture_pack("rows.pack", labels, TRAIN, TEST);
    assert_int_equal(dataset_map(map, path, true, &error), 0);
    assert_int_equal(dataset_map(direct, path, true, &error), 0);
    assert_null((*map)->reader);
    (*direct)->exceeds_memory = true;
    (*direct)->reader = row_reader_new(*direct, path);
    return (*direct)->reader != NULL;
}

static void close_both(DatasetMap *map, DatasetMap *direct) {
    dataset_free(map);
    dataset_free(direct);
}

static void assert_same(const DatasetMap *map, const DatasetMap *direct, DataSection section, const uint32_t *indices, int64_t count) {
    static float x[2][TRAIN * INPUTS];
    static uint16_t rounded[2][TRAIN * INPUTS], labels[2][TRAIN];
    batch_gather(map, section, indices, count, x[0], labels[0]);
    batch_gather(direct, section, indices, count, x[1], labels[1]);
    assert_memory_equal(x[0], x[1], (size_t)count * INPUTS * sizeof *x[0]);
    assert_memory_equal(labels[0], labels[1], (size_t)count * sizeof *labels[0]);
    batch_gather_rounded(map, section, indices, count, rounded[0], labels[0]);
    batch_gather_rounded(direct, section, indices, count, rounded[1], labels[1]);
    assert_memory_equal(rounded[0], rounded[1], (size_t)count * INPUTS * sizeof *rounded[0]);
}

static void draw(Rng *rng, uint32_t *indices, int64_t count, uint32_t examples) {
    for (int64_t i = 0; i < count; i++)
        indices[i] = (uint32_t)rng_below(rng, examples);
}

/* As a training asks: the next batch before this one is gathered. */
static void test_batches(void **state) {
    (void)state;
    DatasetMap *map, *direct;
    uint32_t indices[2][BATCH];
    Rng rng;
    if (!open_both(&map, &direct)) {
        close_both(map, direct);
        skip();
    }
    rng_init(&rng, 1, 0);
    draw(&rng, indices[0], BATCH, TRAIN);
    indices[0][3] = TRAIN - 1;
    for (int i = 0; i < 20; i++) {
        uint32_t *now = indices[i % 2], *next = indices[(i + 1) % 2];
        draw(&rng, next, BATCH, TRAIN);
        batch_expect(direct, DATA_TRAIN, next, BATCH);
        assert_non_null(batch_rows(direct, DATA_TRAIN, now, BATCH).staged);
        assert_same(map, direct, DATA_TRAIN, now, BATCH);
    }
    close_both(map, direct);
}

/* Asked for and never taken, taken and never asked for, of the other section, the last row of the file, more than a buffer holds, none. */
static void test_any_order(void **state) {
    (void)state;
    DatasetMap *map, *direct;
    static uint32_t indices[TRAIN];
    if (!open_both(&map, &direct)) {
        close_both(map, direct);
        skip();
    }
    for (uint32_t i = 0; i < TRAIN; i++)
        indices[i] = TRAIN - 1 - i;
    batch_expect(direct, DATA_TRAIN, indices, 10);
    batch_expect(direct, DATA_TRAIN, indices + 10, 10);
    batch_expect(direct, DATA_TRAIN, indices + 20, 10);
    assert_same(map, direct, DATA_TRAIN, indices + 40, 10);
    assert_same(map, direct, DATA_TRAIN, indices + 20, 10);
    assert_same(map, direct, DATA_TEST, indices + TRAIN - TEST, TEST);
    batch_expect(direct, DATA_TEST, indices + TRAIN - 1, 1);
    assert_same(map, direct, DATA_TRAIN, indices + TRAIN - 1, 1);
    assert_same(map, direct, DATA_TEST, indices + TRAIN - 1, 1);
    batch_expect(direct, DATA_TRAIN, indices, TRAIN);
    assert_null(batch_rows(direct, DATA_TRAIN, indices, TRAIN).staged);
    assert_same(map, direct, DATA_TRAIN, indices, TRAIN);
    batch_expect(direct, DATA_TRAIN, indices, 0);
    batch_expect(direct, DATA_TRAIN, indices, 200); /* under way when all is freed */
    close_both(map, direct);
}

/* A disk that does not deliver costs time alone. */
static void test_failing_reads(void **state) {
    (void)state;
    DatasetMap *map, *direct;
    uint32_t indices[BATCH];
    Rng rng;
    if (!open_both(&map, &direct)) {
        close_both(map, direct);
        skip();
    }
    row_reader_free(direct->reader);
    scratch_write(scratch_path("empty.pack"), "", 0);
    direct->reader = row_reader_new(direct, scratch_path("empty.pack"));
    assert_non_null(direct->reader);
    rng_init(&rng, 3, 0);
    for (int i = 0; i < 3; i++) {
        draw(&rng, indices, BATCH, TRAIN);
        assert_int_equal(row_reader_ask(direct->reader, DATA_TRAIN, indices, BATCH), i == 0);
        assert_null(batch_rows(direct, DATA_TRAIN, indices, BATCH).staged);
        assert_same(map, direct, DATA_TRAIN, indices, BATCH);
    }
    close_both(map, direct);
}

static void test_augmented(void **state) {
    (void)state;
    DatasetMap *map, *direct;
    Augmenter *augmenters[2];
    uint32_t indices[BATCH];
    static float x[2][BATCH * INPUTS];
    uint16_t labels[2][BATCH];
    Error error = {0};
    Rng rng;
    const Augmentation settings = {.flip = 1, .scale = {0.3, 1}, .ratio = {0.75, 1.3333}};
    if (!open_both(&map, &direct)) {
        close_both(map, direct);
        skip();
    }
    rng_init(&rng, 2, 0);
    draw(&rng, indices, BATCH, TRAIN);
    assert_int_equal(augmenter_new(&augmenters[0], map, &settings, 5, &error), 0);
    assert_int_equal(augmenter_new(&augmenters[1], direct, &settings, 5, &error), 0);
    batch_expect(direct, DATA_TRAIN, indices, BATCH);
    for (int i = 0; i < 2; i++)
        augmenter_gather(augmenters[i], indices, BATCH, 1, 1, x[i], labels[i], NULL);
    assert_memory_equal(x[0], x[1], sizeof x[0]);
    for (int i = 0; i < 2; i++)
        augmenter_free(augmenters[i]);
    close_both(map, direct);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_failing_reads),
        cmocka_unit_test(test_augmented),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
