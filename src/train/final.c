/* What is measured of the test set at the end of a run alone: the mean output over random crops of each image, and labels of which an image
 * may have several. A batch of images is gone through crop by crop, so that no more than its outputs are kept. */
#include "builtin.h"

#include <math.h>
#include <string.h>

#define EVALUATION_SEED 0x7474612d63726f70u /* the same crops for every run */

typedef struct Sums {
    double loss;
    int64_t errors, top_errors, real_errors, real_count;
} Sums;

static double log_sum_exp(const double *outputs, int64_t classes) {
    double largest = outputs[0], sum = 0;
    for (int64_t j = 1; j < classes; j++)
        largest = fmax(largest, outputs[j]);
    for (int64_t j = 0; j < classes; j++)
        sum += exp(outputs[j] - largest);
    return largest + log(sum);
}

/* outputs: logits, or the logarithms of probabilities. */
static void image_measure(const Builtin *builtin, const double *outputs, int64_t image, int64_t label, Sums *sums) {
    int64_t classes = builtin->base.run.model.classes, best = 0, likelier = 0;
    for (int64_t j = 0; j < classes; j++) {
        best = outputs[j] > outputs[best] ? j : best;
        likelier += outputs[j] > outputs[label] || (j < label && outputs[j] == outputs[label]);
    }
    sums->loss += log_sum_exp(outputs, classes) - outputs[label];
    sums->errors += best != label;
    sums->top_errors += likelier >= EVALUATION_TOP;
    const RealLabels *real = &builtin->real;
    if (real->first && real->first[image] < real->first[image + 1]) {
        sums->real_count++;
        sums->real_errors += !real_has(real, image, best);
    }
}

static void outputs_add(const float *logits, int64_t classes, bool probabilities, double *outputs) {
    double largest = (double)logits[0], sum = 0;
    for (int64_t j = 1; j < classes; j++)
        largest = fmax(largest, (double)logits[j]);
    for (int64_t j = 0; probabilities && j < classes; j++)
        sum += exp((double)logits[j] - largest);
    for (int64_t j = 0; j < classes; j++)
        outputs[j] += probabilities ? exp((double)logits[j] - largest) / sum : (double)logits[j];
}

/* Between two batches. */
static bool look_around(const Builtin *builtin, const TrainLoop *loop) {
    if (loop->on_progress)
        loop->on_progress(loop->context, &builtin->base);
    return loop->should_stop && loop->should_stop(loop->context);
}

/* crops 0: the images as they are. 0, or TRAIN_STOPPED. */
static int batch_outputs(Builtin *builtin, int64_t batch, int64_t crops, const TrainLoop *loop) {
    const Run *run = &builtin->base.run;
    int64_t classes = run->model.classes, count = batch * classes;
    bool probabilities = crops > 0 && run->test.mean == MEAN_SOFTMAX;
    memset(builtin->outputs, 0, (size_t)count * sizeof *builtin->outputs);
    for (int64_t crop = 0; crop < (crops > 0 ? crops : 1); crop++) {
        if (look_around(builtin, loop))
            return TRAIN_STOPPED;
        if (crops > 0)
            augmenter_gather(builtin->test_augmenter, builtin->indices, batch, crop, 1, builtin->x, builtin->labels, NULL);
        else
            builtin_gather(builtin, DATA_TEST, batch);
        const float *logits = model_forward(builtin->model, builtin->x, batch);
        for (int64_t i = 0; i < batch; i++)
            outputs_add(logits + i * classes, classes, probabilities, builtin->outputs + i * classes);
    }
    for (int64_t i = 0; crops > 0 && i < count; i++) {
        double mean = builtin->outputs[i] / (double)crops;
        builtin->outputs[i] = probabilities ? log(fmax(mean, 1e-300)) : mean;
    }
    return 0;
}

static int test_measure(Builtin *builtin, int64_t crops, const TrainLoop *loop, Sums *sums) {
    *sums = (Sums){0};
    int64_t count = dataset_info(builtin->data)->test_count, classes = builtin->base.run.model.classes;
    for (int64_t start = 0; start < count; start += builtin->evaluation_batch) {
        int64_t batch = count_at_most(count - start, builtin->evaluation_batch);
        for (int64_t i = 0; i < batch; i++)
            builtin->indices[i] = (uint32_t)(start + i);
        if (batch_outputs(builtin, batch, crops, loop))
            return TRAIN_STOPPED;
        for (int64_t i = 0; i < batch; i++)
            image_measure(builtin, builtin->outputs + i * classes, start + i, builtin->labels[i], sums);
    }
    return 0;
}

static double share(int64_t part, int64_t whole, bool finite) {
    return finite && whole > 0 ? (double)part / (double)whole : (double)NAN;
}

static int set_crops(const Builtin *builtin, const Sums *sums, Point *out, Error *error) {
    const int64_t count = dataset_info(builtin->data)->test_count;
    bool finite = isfinite(sums->loss);
    int result = builtin_set_metric(out, "tta.test_loss", finite ? sums->loss / (double)count : (double)NAN, error);
    if (!result)
        result = builtin_set_metric(out, "tta.test_error", share(sums->errors, count, finite), error);
    if (!result && builtin->base.run.model.classes > EVALUATION_TOP)
        result = builtin_set_metric(out, "tta.test_top5_error", share(sums->top_errors, count, finite), error);
    if (!result && *builtin->base.run.test.real.path)
        result = builtin_set_metric(out, "tta.real.test_error", share(sums->real_errors, sums->real_count, finite), error);
    return result;
}

int final_evaluate(Builtin *builtin, const TrainLoop *loop, Point *out, Error *error) {
    const TestSettings *test = &builtin->base.run.test;
    Sums sums;
    if (*test->real.path) {
        if (test_measure(builtin, 0, loop, &sums))
            return TRAIN_STOPPED;
        if (builtin_set_metric(out, "real.test_error", share(sums.real_errors, sums.real_count, isfinite(sums.loss)), error))
            return -1;
    }
    if (test->crops == 0)
        return 0;
    return test_measure(builtin, test->crops, loop, &sums) ? TRAIN_STOPPED : set_crops(builtin, &sums, out, error);
}

int final_prepare(Builtin *builtin, Error *error) {
    const Run *run = &builtin->base.run;
    int64_t count = dataset_info(builtin->data)->test_count;
    int result = 0;
    if (*run->test.real.path)
        result = real_read(&builtin->real, run->test.real.path, run->test.real.digest, count, run->model.classes, error);
    if (!result && run->test.crops > 0) {
        result = augmenter_new(&builtin->test_augmenter, builtin->data, &run->test.augmentation, EVALUATION_SEED, error);
        if (result)
            error_prefix(error, "test");
    }
    if (builtin->test_augmenter)
        augmenter_set_section(builtin->test_augmenter, DATA_TEST);
    return result == DATA_REFUSED ? TRAIN_REFUSED : result;
}
