/* What the end of a run measures on Fashion-MNIST whose test images are moved about: against the plainest way to compute it, image by image
 * and pixel by pixel; and that averaging over crops lowers the error. */
#include "fixture.h"

enum {
    SIDE = 28,
    CLASSES = 10,
    TRAIN = 2000,
    TEST = 1000,
    SHIFT = 3, /* pixels at most, in each direction */
    CROPS = 9,
    MANY_CROPS = 25,
};

static const char folder[] = "/usr/share/datasets/fashion-mnist";
static uint8_t images[TEST][SIDE][SIDE]; /* as the pack has them */
static uint8_t labels[TEST];
static char digest[SHA256_HEX_MAX];

static void read_part(Idx *out, const char *name) {
    char path[PATH_TEXT_MAX];
    Error error = {0};
    assert_int_equal(path_format(path, &error, "%s/%s.gz", folder, name), 0);
    if (idx_read(out, path, &error))
        fail_msg("%s", error.text);
}

static void shift_images(const uint8_t *source) {
    Rng rng;
    rng_init(&rng, 12, 0);
    for (int i = 0; i < TEST; i++) {
        int down = (int)rng_below(&rng, 2 * SHIFT + 1) - SHIFT, right = (int)rng_below(&rng, 2 * SHIFT + 1) - SHIFT;
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) {
                int from_y = y - down, from_x = x - right;
                bool inside = from_y >= 0 && from_y < SIDE && from_x >= 0 && from_x < SIDE;
                images[i][y][x] = inside ? source[(i * SIDE + from_y) * SIDE + from_x] : 0;
            }
    }
}

static void write_source(void) {
    Idx train, train_labels, test, test_labels;
    read_part(&train, "train-images-idx3-ubyte");
    read_part(&train_labels, "train-labels-idx1-ubyte");
    read_part(&test, "t10k-images-idx3-ubyte");
    read_part(&test_labels, "t10k-labels-idx1-ubyte");
    shift_images(test.bytes);
    memcpy(labels, test_labels.bytes, TEST);
    idx_write_section(scratch_path("a"), scratch_path("b"), train.bytes, train_labels.bytes, (const int[]){TRAIN, SIDE, SIDE});
    idx_write_section(scratch_path("c"), scratch_path("d"), images[0][0], labels, (const int[]){TEST, SIDE, SIDE});
    idx_deinit(&train);
    idx_deinit(&train_labels);
    idx_deinit(&test);
    idx_deinit(&test_labels);
}

static int setup(void **state) {
    if (fixture_setup(state))
        return -1;
    if (!file_exists("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz"))
        return 0;
    DataInfo info;
    Error error = {0};
    write_source();
    const char *const parts[] = {scratch_path("a"), scratch_path("b"), scratch_path("c"), scratch_path("d")};
    int result = dataset_pack_idx("shifted", parts, 0.286f, 0.353f, NULL, scratch_path("data/shifted.pack"), &info, &error);
    text_copy(digest, sizeof digest, info.digest);
    return result;
}

static Run shifted_run(void) {
    if (!*digest)
        skip();
    Run run = fixture_run();
    strcpy(run.data_name, "shifted");
    strcpy(run.data_digest, digest);
    run.model.inputs = SIDE * SIDE;
    run.model.classes = CLASSES;
    run.model.width = 32;
    run.validation = 0;
    run.examples = TRAIN;
    run.epochs = 6;
    run.batch = 100;
    run.evaluations = 2;
    return run;
}

/* ---- labels of which an image may have several ---- */

static bool real_is_given(int image) {
    return image % 3 != 0;
}

static bool real_holds(int image, int label) {
    return label == labels[image] || (image % 3 == 2 && label == (labels[image] + 2) % CLASSES);
}

static void write_real(RunFile *out) {
    static char text[TEST * 16];
    size_t used = 0;
    Error error = {0};
    for (int i = 0; i < TEST; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s[", i ? ", " : "[");
        for (int label = 0, count = 0; label < CLASSES && real_is_given(i); label++)
            if (real_holds(i, label))
                used += (size_t)snprintf(text + used, sizeof text - used, count++ ? ",%d" : "%d", label);
        used += (size_t)snprintf(text + used, sizeof text - used, "]");
    }
    used += (size_t)snprintf(text + used, sizeof text - used, "]\n");
    text_copy(out->path, sizeof out->path, scratch_path("real.json"));
    scratch_write(out->path, text, used);
    assert_int_equal(digest_file(DIGEST_SHA256, out->path, out->digest, &error), 0);
}

/* ---- the plainest way ---- */

typedef struct Expected {
    double loss, error, top_error, real_error;
} Expected;

/* crop -1: the image as it is. */
static void image_take(const Run *run, int image, int crop, float out[SIDE][SIDE]) {
    AugmentBox box = {0};
    if (crop >= 0)
        box = augment_draw(&run->test.augmentation, SIDE, SIDE, 0x7474612d63726f70u, crop, (uint32_t)image);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            int64_t row = y + box.top, column = (box.flip ? SIDE - 1 - x : x) + box.left;
            bool inside = row >= 0 && row < SIDE && column >= 0 && column < SIDE;
            out[y][x] = (float)(((inside ? images[image][row][column] : 0) / 255.0 - 0.286) / 0.353);
        }
}

static void outputs_mean(Trainer *trainer, int image, int crops, double out[CLASSES]) {
    bool softmax = crops > 0 && trainer->run.test.mean == MEAN_SOFTMAX;
    float x[SIDE][SIDE];
    memset(out, 0, CLASSES * sizeof *out);
    for (int crop = crops > 0 ? 0 : -1; crop < crops; crop++) {
        image_take(&trainer->run, image, crop, x);
        const float *logits = model_forward(trainer_model(trainer), x[0], 1);
        double sum = 0;
        for (int j = 0; j < CLASSES; j++)
            sum += exp((double)logits[j]);
        for (int j = 0; j < CLASSES; j++)
            out[j] += (softmax ? exp((double)logits[j]) / sum : (double)logits[j]) / (crops > 0 ? crops : 1);
        if (crops == 0)
            break;
    }
    for (int j = 0; j < CLASSES && softmax; j++)
        out[j] = log(out[j]);
}

static Expected expect(Trainer *trainer, int crops) {
    Expected sums = {0};
    int given = 0;
    for (int i = 0; i < TEST; i++) {
        double outputs[CLASSES], sum = 0;
        int best = 0, likelier = 0;
        outputs_mean(trainer, i, crops, outputs);
        for (int j = 0; j < CLASSES; j++) {
            sum += exp(outputs[j]);
            best = outputs[j] > outputs[best] ? j : best;
            likelier += outputs[j] > outputs[labels[i]];
        }
        sums.loss += (log(sum) - outputs[labels[i]]) / TEST;
        sums.error += (best != labels[i]) / (double)TEST;
        sums.top_error += (likelier >= 5) / (double)TEST;
        sums.real_error += real_is_given(i) && !real_holds(i, best);
        given += real_is_given(i);
    }
    sums.real_error /= given;
    return sums;
}

/* Another batch size may round two nearly equal outputs the other way. */
static void assert_near(const Point *point, const char *name, double expected) {
    double value = point_metric(point, name), tolerance = strstr(name, "loss") ? 1e-4 : 2.5 / (TEST - TEST / 3.0);
    if (!(fabs(value - expected) < tolerance))
        fail_msg("%s is %g, not %g", name, value, expected);
}

/* The run's last point. What is measured at its end is not measured on the way. */
static void train_to_end(Trainer *trainer, Point *out) {
    Error error = {0};
    FixturePoints points;
    TrainLoop loop = fixture_loop(&points, NULL);
    assert_int_equal(train_run(trainer, &loop, &error), 0);
    assert_int_equal(points.count, 2);
    for (size_t i = 0; i < points.points[0].metric_count; i++) {
        const char *name = points.points[0].metrics[i].name;
        assert_true(strncmp(name, "tta.", 4) && strncmp(name, "real.", 5));
    }
    *out = points.points[1];
}

static void check(Run run) {
    Point point;
    write_real(&run.test.real);
    Trainer *trainer = fixture_trainer(&run);
    train_to_end(trainer, &point);
    Expected plain = expect(trainer, 0), mean = expect(trainer, (int)run.test.crops);
    assert_near(&point, "test_loss", plain.loss);
    assert_near(&point, "test_error", plain.error);
    assert_near(&point, "test_top5_error", plain.top_error);
    assert_near(&point, "real.test_error", plain.real_error);
    assert_near(&point, "tta.test_loss", mean.loss);
    assert_near(&point, "tta.test_error", mean.error);
    assert_near(&point, "tta.test_top5_error", mean.top_error);
    assert_near(&point, "tta.real.test_error", mean.real_error);
    /* The ways to measure are told apart. */
    assert_true(fabs(mean.loss - plain.loss) > 0.01 && fabs(plain.real_error - plain.error) > 0.01);
    trainer_free(trainer);
}

static void test_mean_of_logits(void **state) {
    (void)state;
    Run run = shifted_run();
    run.test.crops = CROPS;
    run.test.augmentation = (Augmentation){.flip = 1, .padding = SHIFT};
    check(run);
}

static void test_mean_of_softmax(void **state) {
    (void)state;
    Run run = shifted_run();
    run.test.crops = CROPS;
    run.test.augmentation = (Augmentation){.padding = 2};
    run.test.mean = MEAN_SOFTMAX;
    check(run);
    run.precision = PRECISION_AUTO;
    check(run);
}

/* Trained on crops from all over its images, a model knows moved ones, but one look at an image is a noisy answer; the mean over crops as
 * it was trained on is not. The difference comes to a tenth of all images, three times what is asked for. */
static void test_crops_help_on_shifted_images(void **state) {
    (void)state;
    const Augmentation crops = {.flip = 1, .scale = {0.3, 1}, .ratio = {0.75, 1.333}};
    for (uint64_t seed = 1; seed <= 3; seed++) {
        Point point;
        Run run = shifted_run();
        run.seed = seed;
        run.epochs = 8;
        run.augmentation = crops;
        run.test = (TestSettings){.crops = MANY_CROPS, .augmentation = crops, .mean = MEAN_SOFTMAX};
        Trainer *trainer = fixture_trainer(&run);
        train_to_end(trainer, &point);
        trainer_free(trainer);
        double error = point_metric(&point, "test_error"), mean_error = point_metric(&point, "tta.test_error");
        if (!(mean_error < error - 0.03))
            fail_msg("seed %d: %g, over crops %g", (int)seed, error, mean_error);
    }
}

/* Everything that a run can measure, it says. */
static void test_the_last_point_has_room_for_all(void **state) {
    (void)state;
    Point point;
    Run run = shifted_run();
    run.epochs = 2;
    run.validation = 100;
    run.examples = 500;
    run.test = (TestSettings){.crops = 2, .augmentation = {.flip = 1}};
    write_real(&run.test.real);
    for (run.transfer_count = 0; run.transfer_count < RUN_TRANSFERS_MAX; run.transfer_count++) {
        Transfer *item = &run.transfers[run.transfer_count];
        *item = (Transfer){
            .kind = run.transfer_count % 2 ? TRANSFER_FINETUNE : TRANSFER_LINEAR,
            .classes = CLASSES,
            .validation = 100,
            .examples = 200,
            .epochs = 1,
            .batch = 100,
            .body_lr = 0.01,
            .test = {.crops = 2, .augmentation = {.flip = 1}},
        };
        snprintf(item->name, sizeof item->name, "item-with-a-name-of-31-letters%d", (int)run.transfer_count);
        strcpy(item->data_name, run.data_name);
        strcpy(item->data_digest, run.data_digest);
        optimizer_settings_default(OPTIMIZER_SGD, &item->optimizer);
        item->optimizer.lr = 0.01;
    }
    Trainer *trainer = fixture_trainer(&run);
    train_to_end(trainer, &point);
    char name[METRIC_NAME_MAX];
    size_t count = 0;
    for (; run_metric(&run, count, name); count++)
        if (!isfinite(point_metric(&point, name)))
            fail_msg("%s is missing", name);
    assert_int_equal(count, METRICS_MEASURED_MAX);
    assert_int_equal(point.metric_count, count);
    trainer_free(trainer);
}

/* Says so for the third time after the last step. */
static bool stop_while_measuring(void *context) {
    FixturePoints *points = context;
    return points->step == points->stop_at && ++points->looks > 3;
}

static void note_step(void *context, const Trainer *trainer) {
    ((FixturePoints *)context)->step = trainer->step;
}

/* A request to stop is answered between two crops of a batch, and what was trained is kept. */
static void test_stopped_while_measuring(void **state) {
    (void)state;
    Error error = {0};
    FixturePoints whole, parts;
    Run run = shifted_run();
    char path[PATH_TEXT_MAX];
    run.epochs = 1;
    run.evaluations = 1;
    run.test = (TestSettings){.crops = CROPS, .augmentation = {.padding = 1}};
    text_copy(path, sizeof path, scratch_path("stopped.safetensors"));
    Trainer *trainer = fixture_trainer(&run), *resumed = fixture_trainer(&run);
    TrainLoop loop = fixture_loop(&parts, path);
    loop.should_stop = stop_while_measuring;
    loop.on_progress = note_step;
    parts.stop_at = trainer->steps;
    assert_int_equal(train_run(trainer, &loop, &error), TRAIN_STOPPED);
    assert_int_equal(parts.looks, 4);
    assert_int_equal(parts.count, 0);
    assert_int_equal(trainer->step, trainer->steps);
    assert_int_equal(resumed->interface->load(resumed, path, &error), 0);
    fixture_assert_same_weights(trainer, resumed);
    loop = fixture_loop(&parts, path);
    assert_int_equal(train_run(resumed, &loop, &error), 0);
    trainer_free(trainer);
    trainer_free(resumed);
    trainer = fixture_trainer(&run);
    loop = fixture_loop(&whole, NULL);
    assert_int_equal(train_run(trainer, &loop, &error), 0);
    assert_int_equal(parts.count, 1);
    fixture_assert_same_point(&parts.points[0], &whole.points[0]);
    assert_true(point_metric(&whole.points[0], "tta.test_error") <= 1);
    trainer_free(trainer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mean_of_logits),
        cmocka_unit_test(test_mean_of_softmax),
        cmocka_unit_test(test_crops_help_on_shifted_images),
        cmocka_unit_test(test_the_last_point_has_room_for_all),
        cmocka_unit_test(test_stopped_while_measuring),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
