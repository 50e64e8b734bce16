/* A home with a small data set of its own: three classes of 4 x 3 pixels that a width of 8 learns in a few epochs. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sweepd/safetensors.h"
#include "sweepd/train.h"

enum { FIXTURE_TRAIN = 300, FIXTURE_TEST = 60, FIXTURE_INPUTS = 12, FIXTURE_CLASSES = 3 };

static char fixture_home[64];
static char fixture_digest[SHA256_HEX_MAX];

static inline const char *fixture_path(const char *name) {
    static char paths[8][PATH_TEXT_MAX];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, PATH_TEXT_MAX, "%s/%s", fixture_home, name);
    return path;
}

static inline void fixture_write(const char *path, const void *bytes, size_t size) {
    remove(path); /* some file systems write through when a file is cut and written anew */
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static inline uint8_t *fixture_read(const char *path, size_t *size) {
    Buffer buffer;
    Error error;
    buffer_init(&buffer, 1 << 22);
    assert_int_equal(file_read(path, 1 << 22, &buffer, &error), 0);
    *size = buffer.size;
    return (uint8_t *)buffer.data;
}

/* Images of class c are bright in the four pixels from 4 c on, under noise. */
static inline void fixture_section(const char *images, const char *labels, int count, uint64_t seed) {
    uint8_t image_bytes[16 + FIXTURE_TRAIN * FIXTURE_INPUTS] = {0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 3};
    uint8_t label_bytes[8 + FIXTURE_TRAIN] = {0, 0, 8, 1};
    image_bytes[6] = label_bytes[6] = (uint8_t)(count >> 8);
    image_bytes[7] = label_bytes[7] = (uint8_t)count;
    Rng rng;
    rng_init(&rng, seed, 0);
    for (int i = 0; i < count; i++) {
        label_bytes[8 + i] = (uint8_t)(i % FIXTURE_CLASSES);
        for (int j = 0; j < FIXTURE_INPUTS; j++) {
            double value = 100 + 40 * (j / 4 == i % FIXTURE_CLASSES) + 30 * rng_normal(&rng);
            image_bytes[16 + i * FIXTURE_INPUTS + j] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
        }
    }
    fixture_write(images, image_bytes, 16 + (size_t)(count * FIXTURE_INPUTS));
    fixture_write(labels, label_bytes, 8 + (size_t)count);
}

static inline int fixture_setup(void **state) {
    (void)state;
    strcpy(fixture_home, "/tmp/sweepd-train-XXXXXX");
    if (!mkdtemp(fixture_home))
        return -1;
    const char *parts[] = {fixture_path("a"), fixture_path("b"), fixture_path("c"), fixture_path("d")};
    const char *made = fixture_path("small.pack");
    fixture_section(parts[0], parts[1], FIXTURE_TRAIN, 1);
    fixture_section(parts[2], parts[3], FIXTURE_TEST, 2);
    DatasetMap *data;
    Error error = {0};
    if (dataset_pack_idx("small", parts[0], parts[1], parts[2], parts[3], 0.4f, 0.2f, made, &error) ||
        dataset_map(&data, made, true, &error)) {
        fprintf(stderr, "%s\n", error.text);
        return -1;
    }
    strcpy(fixture_digest, dataset_info(data)->digest);
    dataset_free(data);
    char path[PATH_TEXT_MAX];
    snprintf(path, sizeof path, "%s/data/small-%s.pack", fixture_home, fixture_digest);
    return mkdir(fixture_path("data"), 0755) || rename(made, path);
}

static inline int fixture_remove(const char *path, const struct stat *status, int type, struct FTW *walk) {
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static inline int fixture_teardown(void **state) {
    (void)state;
    return nftw(fixture_home, fixture_remove, 8, FTW_DEPTH | FTW_PHYS);
}

/* 200 examples in batches of 32, 6 steps an epoch, 4 epochs: 24 steps; the last 8 examples of an epoch's order are dropped. */
static inline Run fixture_run(void) {
    Run run = {
        .model = {.kind = MODEL_BMLP, .inputs = FIXTURE_INPUTS, .classes = FIXTURE_CLASSES, .depth = 1, .width = 8, .expansion = 4},
        .data_name = "small",
        .validation = 50,
        .subset_seed = 7,
        .examples = 200,
        .seed = 7,
        .epochs = 4,
        .batch = 32,
        .evaluations = 3,
        .schedule = {.kind = SCHEDULE_COSINE, .warmup = 0.1},
        .label_smoothing = 0.1,
    };
    strcpy(run.data_digest, fixture_digest);
    optimizer_settings_default(OPTIMIZER_LION, &run.optimizer);
    run.optimizer.lr = 0.003;
    run.optimizer.weight_decay = 0.1;
    return run;
}

static inline Trainer *fixture_trainer(const Run *run) {
    Trainer *trainer;
    Error error = {0};
    TrainerOptions options = {.home = fixture_home, .threads = 1};
    if (trainer_new(&trainer, run, &options, &error))
        fail_msg("%s", error.text);
    return trainer;
}

/* The points of a run, as they are given. */
typedef struct FixturePoints {
    Point points[64];
    size_t count;
    int64_t stop_at; /* should_stop says so from this step on; -1: never */
    int64_t step;
    int64_t looks;
} FixturePoints;

static inline int fixture_on_point(void *context, const Point *point, Error *error) {
    (void)error;
    FixturePoints *points = context;
    assert_true(points->count < 64);
    points->points[points->count++] = *point;
    return 0;
}

static inline void fixture_on_progress(void *context, const Trainer *trainer) {
    FixturePoints *points = context;
    points->step = trainer->step;
    points->looks++;
}

static inline bool fixture_should_stop(void *context) {
    const FixturePoints *points = context;
    return points->stop_at >= 0 && points->step >= points->stop_at;
}

static inline TrainLoop fixture_loop(FixturePoints *points, const char *checkpoint_path) {
    *points = (FixturePoints){.stop_at = -1};
    return (TrainLoop){
        .checkpoint_path = checkpoint_path,
        .checkpoint_seconds = 1e9,
        .should_stop = fixture_should_stop,
        .on_progress = fixture_on_progress,
        .on_point = fixture_on_point,
        .context = points,
    };
}

/* Everything but the seconds, bit for bit. */
static inline void fixture_assert_same_point(const Point *a, const Point *b) {
    assert_int_equal(a->step, b->step);
    assert_true(a->examples == b->examples && a->flops == b->flops);
    assert_int_equal(a->metric_count, b->metric_count);
    for (size_t i = 0; i < a->metric_count; i++) {
        assert_string_equal(a->metrics[i].name, b->metrics[i].name);
        assert_memory_equal(&a->metrics[i].value, &b->metrics[i].value, sizeof a->metrics[i].value);
    }
}

static inline void fixture_assert_same_weights(Trainer *a, Trainer *b) {
    Model *first = trainer_model(a), *second = trainer_model(b);
    assert_int_equal(model_parameter_count(first), model_parameter_count(second));
    assert_memory_equal(model_parameters(first), model_parameters(second), model_parameter_count(first) * sizeof(float));
}
