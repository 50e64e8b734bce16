/* A home with a small data set of its own: three classes of 4 x 3 pixels that a width of 8 learns in a few epochs. */
#pragma once

#include "../scratch.h"

#include <math.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "sweepd/safetensors.h"
#include "sweepd/train.h"

enum { FIXTURE_TRAIN = 300, FIXTURE_TEST = 60, FIXTURE_INPUTS = 12, FIXTURE_CLASSES = 3 };

static char fixture_digest[SHA256_HEX_MAX];

/* Images of class c are bright in the four pixels from 4 c on, under noise. */
static inline void fixture_section(const char *images, const char *labels, int count, uint64_t seed) {
    uint8_t pixels[FIXTURE_TRAIN * FIXTURE_INPUTS], classes[FIXTURE_TRAIN];
    Rng rng;
    rng_init(&rng, seed, 0);
    for (int i = 0; i < count; i++) {
        classes[i] = (uint8_t)(i % FIXTURE_CLASSES);
        for (int j = 0; j < FIXTURE_INPUTS; j++) {
            double value = 100 + 40 * (j / 4 == i % FIXTURE_CLASSES) + 30 * rng_normal(&rng);
            pixels[i * FIXTURE_INPUTS + j] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
        }
    }
    idx_write_section(images, labels, pixels, classes, (const int[]){count, 4, 3});
}

static inline int fixture_setup(void **state) {
    if (scratch_setup(state))
        return -1;
    const char *parts[] = {scratch_path("a"), scratch_path("b"), scratch_path("c"), scratch_path("d")};
    const char *made = scratch_path("small.pack");
    fixture_section(parts[0], parts[1], FIXTURE_TRAIN, 1);
    fixture_section(parts[2], parts[3], FIXTURE_TEST, 2);
    DataInfo info;
    Error error = {0};
    if (dataset_pack_idx("small", parts, 0.4f, 0.2f, NULL, made, &info, &error)) {
        fprintf(stderr, "%s\n", error.text);
        return -1;
    }
    strcpy(fixture_digest, info.digest);
    char name[sizeof "data/small-.pack" + SHA256_HEX_MAX];
    snprintf(name, sizeof name, "data/small-%s.pack", fixture_digest);
    return mkdir(scratch_path("data"), 0755) || rename(made, scratch_path(name));
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
    TrainerOptions options = {.home = scratch_root, .threads = 1};
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

/* A change of any of these bytes is refused. */
static inline void fixture_assert_protected(Trainer *trainer, const char *path, size_t from, size_t until) {
    size_t size;
    uint8_t *bytes = scratch_read(path, &size);
    assert_true(until <= size);
    for (size_t at = from; at < until; at++) {
        Error error = {0};
        bytes[at] ^= 1; /* a digit becomes a digit */
        scratch_write(path, bytes, size);
        if (trainer->interface->load(trainer, path, &error) != TRAIN_REFUSED)
            fail_msg("byte %zu may be '%c'", at, bytes[at]);
        bytes[at] ^= 1;
    }
    scratch_write(path, bytes, size);
    free(bytes);
    assert_int_equal(trainer->step, 0);
}

/* What is no fault of the file's does not condemn it. */
static inline void fixture_assert_unreadable(Trainer *trainer, const char *path) {
    Error error = {0};
    struct rlimit limit, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){0, limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int result = trainer->interface->load(trainer, path, &error);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(result, -1);
    assert_non_null(strstr(error.text, "cannot open"));
    assert_int_equal(trainer->interface->load(trainer, path, &error), 0);
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
