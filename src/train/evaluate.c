/* What a run is measured on. A run's last point is its result, and is measured on all that there is; the points on the way are for looking
 * at, and would together take four times as long, so they are measured on a sample: the first training and validation examples, which have
 * the classes in proportion (src/data/split.c), and test examples drawn once for all runs, because a test set may lie in any order. */
#include "builtin.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define STREAM_SAMPLE 0x73616d706c650000u
#define SEED_SAMPLE   0u

/* Each subset of that size is as likely as any other, and comes in ascending order (Knuth's algorithm S). */
int builtin_evaluation_prepare(Builtin *builtin, Error *error) {
    const int64_t total = dataset_info(builtin->data)->test_count, count = count_at_most(total, EVALUATION_WAY_MAX);
    int64_t taken = 0;
    Rng rng;
    builtin->sample = malloc(((size_t)count + 1) * sizeof *builtin->sample);
    if (!builtin->sample)
        return error_set_memory(error, "no memory for a sample of %lld test examples", (long long)count);
    rng_init(&rng, SEED_SAMPLE, STREAM_SAMPLE);
    for (int64_t i = 0; taken < count; i++)
        if ((int64_t)rng_below(&rng, (uint64_t)(total - i)) < count - taken)
            builtin->sample[taken++] = (uint32_t)i;
    builtin->sample_count = count;
    return 0;
}

/* Sets the batch from `start` on; returns its size, 0 past the end. */
static int64_t batch_choose(Builtin *builtin, const uint32_t *indices, int64_t start, int64_t count) {
    int64_t batch = count_at_most(count - start, builtin->evaluation_batch);
    for (int64_t i = 0; i < batch; i++)
        builtin->indices[i] = indices ? indices[start + i] : (uint32_t)(start + i);
    return batch > 0 ? batch : 0;
}

static void batch_ask(Builtin *builtin, DataSection section, const uint32_t *indices, int64_t start, int64_t count) {
    batch_expect(builtin->data, section, builtin->indices, batch_choose(builtin, indices, start, count));
}

int builtin_set_metric(Point *out, const char *name, double value, Error *error) {
    if (point_set_metric(out, name, value))
        return 0;
    return error_set(error, "no room for the metric %s: a point has at most %d, with names of at most %d bytes", name, POINT_METRICS_MAX,
                     METRIC_NAME_MAX - 1);
}

static int evaluation_set(Point *out, const char *section, const char *measure, double value, Error *error) {
    char metric[METRIC_NAME_MAX];
    snprintf(metric, sizeof metric, "%s_%s", section, measure);
    return builtin_set_metric(out, metric, value, error);
}

/* indices: which examples of the section, or NULL for its first `count`. */
static int section_evaluate(Builtin *builtin, DataSection section, const uint32_t *indices, int64_t count, const char *name, Point *out,
                            Error *error) {
    double loss_sum = 0;
    int64_t errors = 0, top_errors = 0;
    bool has_top = builtin->base.run.model.classes > EVALUATION_TOP;
    batch_ask(builtin, section, indices, 0, count);
    for (int64_t start = 0; start < count; start += builtin->evaluation_batch) {
        batch_ask(builtin, section, indices, start + builtin->evaluation_batch, count);
        int64_t batch = batch_choose(builtin, indices, start, count);
        builtin_gather(builtin, section, batch);
        model_evaluate(builtin->model, builtin->x, builtin->labels, batch, &loss_sum, &errors);
        if (has_top)
            top_errors += model_evaluated_beyond(builtin->model, builtin->labels, batch, EVALUATION_TOP);
    }
    bool finite = count > 0 && isfinite(loss_sum);
    double whole = finite ? (double)count : (double)NAN; /* the largest of logits that are no numbers is none */
    if (evaluation_set(out, name, "loss", loss_sum / whole, error) || evaluation_set(out, name, "error", (double)errors / whole, error))
        return -1;
    return has_top ? evaluation_set(out, name, "top5_error", (double)top_errors / whole, error) : 0;
}

int builtin_evaluate(Trainer *trainer, Point *out, Error *error) {
    Builtin *builtin = (Builtin *)trainer;
    const Split *split = &builtin->split;
    *out = (Point){
        .step = trainer->step,
        .examples = (double)trainer->step * (double)builtin->batch,
        .flops = trainer->flops,
        .seconds = trainer->seconds,
    };
    const bool last = trainer->step == trainer->steps;
    int64_t most = last ? INT64_MAX : EVALUATION_WAY_MAX, validations = count_at_most(split->validation_count, most);
    int result = section_evaluate(builtin, DATA_TRAIN, split->train,
                                  count_at_most(split->train_count, last ? EVALUATION_TRAIN_MAX : EVALUATION_WAY_MAX), "train", out, error);
    if (!result && validations > 0)
        result = section_evaluate(builtin, DATA_TRAIN, split->validation, validations, "validation", out, error);
    if (result)
        return result;
    const uint32_t *tests = last ? NULL : builtin->sample;
    return section_evaluate(builtin, DATA_TEST, tests, last ? dataset_info(builtin->data)->test_count : builtin->sample_count, "test", out,
                            error);
}
