#include "builtin.h"

#include <math.h>
#include <stdio.h>

static void evaluation_set(Point *out, const char *section, const char *measure, double value) {
    char metric[METRIC_NAME_MAX];
    snprintf(metric, sizeof metric, "%s_%s", section, measure);
    point_set_metric(out, metric, value);
}

/* indices: which examples of the section, or NULL for its first `count`. */
static void section_evaluate(Builtin *builtin, DataSection section, const uint32_t *indices, int64_t count, const char *name, Point *out) {
    double loss_sum = 0;
    int64_t errors = 0, top_errors = 0;
    bool has_top = builtin->base.run.model.classes > EVALUATION_TOP;
    for (int64_t start = 0; start < count; start += builtin->evaluation_batch) {
        int64_t batch = count - start < builtin->evaluation_batch ? count - start : builtin->evaluation_batch;
        for (int64_t i = 0; i < batch; i++)
            builtin->indices[i] = indices ? indices[start + i] : (uint32_t)(start + i);
        builtin_gather(builtin, section, batch);
        model_evaluate(builtin->model, builtin->x, builtin->labels, batch, &loss_sum, &errors);
        if (has_top)
            top_errors += model_evaluated_beyond(builtin->model, builtin->labels, batch, EVALUATION_TOP);
    }
    bool finite = count > 0 && isfinite(loss_sum);
    evaluation_set(out, name, "loss", finite ? loss_sum / (double)count : NAN);
    evaluation_set(out, name, "error",
                   finite ? (double)errors / (double)count : NAN); /* the largest of logits that are no numbers is none */
    if (has_top)
        evaluation_set(out, name, "top5_error", finite ? (double)top_errors / (double)count : NAN);
}

int builtin_evaluate(Trainer *trainer, Point *out, Error *error) {
    (void)error;
    Builtin *builtin = (Builtin *)trainer;
    const Split *split = &builtin->split;
    *out = (Point){
        .step = trainer->step,
        .examples = (double)trainer->step * (double)builtin->batch,
        .flops = trainer->flops,
        .seconds = trainer->seconds,
    };
    int64_t train_count = split->train_count < EVALUATION_TRAIN_MAX ? split->train_count : EVALUATION_TRAIN_MAX;
    section_evaluate(builtin, DATA_TRAIN, split->train, train_count, "train", out);
    if (split->validation_count)
        section_evaluate(builtin, DATA_TRAIN, split->validation, split->validation_count, "validation", out);
    section_evaluate(builtin, DATA_TEST, NULL, dataset_info(builtin->data)->test_count, "test", out);
    if (trainer->step == trainer->steps && builtin->outputs)
        final_evaluate(builtin, out);
    return 0;
}
