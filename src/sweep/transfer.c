/* An item of `eval` is a training of its own, on other data. It is read, checked and written as a run's settings are, by the same table,
 * through a draft whose run has them; what is kept is what an item may say. */
#include "schema.h"

#include <stdio.h>
#include <string.h>

/* The fields of an item in the order of their paths, as a run's canonical text has them. */
static const FieldId item_fields[] = {
    FIELD_BODY_LR, FIELD_DATA_DIGEST,   FIELD_DATA_NAME,    FIELD_DATA_PACK,       FIELD_VALIDATION, FIELD_EXAMPLES,   FIELD_TRANSFER_KIND,
    FIELD_CLASSES, FIELD_TRANSFER_NAME, FIELD_TEST_PADDING, FIELD_TEST_RATIO,      FIELD_TEST_SCALE, FIELD_CROPS,      FIELD_TEST_FLIP,
    FIELD_MEAN,    FIELD_REAL_DIGEST,   FIELD_REAL,         FIELD_PADDING,         FIELD_CROP_RATIO, FIELD_CROP_SCALE, FIELD_FLIP,
    FIELD_MIXUP,   FIELD_BATCH,         FIELD_EPOCHS,       FIELD_LABEL_SMOOTHING, FIELD_BETA1,      FIELD_BETA2,      FIELD_EPSILON,
    FIELD_LR,      FIELD_MOMENTUM,      FIELD_OPTIMIZER,    FIELD_WEIGHT_DECAY,    FIELD_DECAY,      FIELD_SCHEDULE,   FIELD_WARMUP,
};

/* A sweep file may give these too. */
static const FieldId file_fields[] = {FIELD_HEAD_LR, FIELD_INPUTS, FIELD_DATA_EXAMPLES};

static bool lists(const FieldId *ids, size_t count, const Field *field) {
    for (size_t i = 0; i < count; i++)
        if (field == &schema_fields[ids[i]])
            return true;
    return false;
}

bool transfer_has(const Field *field) {
    return lists(item_fields, sizeof item_fields / sizeof *item_fields, field) ||
           lists(file_fields, sizeof file_fields / sizeof *file_fields, field);
}

const Field *transfer_field(size_t index) {
    return index < sizeof item_fields / sizeof *item_fields ? &schema_fields[item_fields[index]] : NULL;
}

const char *transfer_path(const Field *field) {
    return field->run ? field->run : field->file + strlen("eval.");
}

void transfer_take(Transfer *out, const Draft *draft) {
    const Run *run = &draft->run;
    *out = (Transfer){
        .kind = (TransferKind)draft->transfer_kind,
        .classes = run->model.classes,
        .validation = run->validation,
        .examples = run->examples,
        .epochs = run->epochs,
        .batch = run->batch,
        .optimizer = run->optimizer,
        .body_lr = draft->body_lr,
        .schedule = run->schedule,
        .label_smoothing = run->label_smoothing,
        .augmentation = run->augmentation,
        .test = run->test,
    };
    text_copy(out->name, sizeof out->name, draft->transfer_name);
    text_copy(out->data_name, sizeof out->data_name, run->data_name);
    text_copy(out->data_digest, sizeof out->data_digest, run->data_digest);
    text_copy(out->data_pack, sizeof out->data_pack, run->data_pack);
}

static void give_run(const Transfer *transfer, Run *out) {
    text_copy(out->data_name, sizeof out->data_name, transfer->data_name);
    text_copy(out->data_digest, sizeof out->data_digest, transfer->data_digest);
    text_copy(out->data_pack, sizeof out->data_pack, transfer->data_pack);
    out->model.classes = transfer->classes;
    out->validation = transfer->validation;
    out->examples = transfer->examples;
    out->epochs = transfer->epochs;
    out->batch = transfer->batch;
    out->optimizer = transfer->optimizer;
    out->schedule = transfer->schedule;
    out->label_smoothing = transfer->label_smoothing;
    out->augmentation = transfer->augmentation;
    out->test = transfer->test;
}

void transfer_give(const Transfer *transfer, Draft *out) {
    memset(out, 0, sizeof *out);
    out->transfer_kind = (int)transfer->kind;
    out->body_lr = transfer->body_lr;
    text_copy(out->transfer_name, sizeof out->transfer_name, transfer->name);
    give_run(transfer, &out->run);
}

/* ---- defaults ---- */

static void fill_number(Draft *draft, bool given[FIELDS], FieldId id, double number) {
    if (!given[id])
        value_store(&schema_fields[id], (Value){.number = number}, draft);
}

static void fill_integer(Draft *draft, bool given[FIELDS], FieldId id, int64_t integer) {
    if (!given[id])
        value_store(&schema_fields[id], (Value){.integer = integer}, draft);
}

/* The paper's: Lion at 1e-5 for a linear probe; SGD at .01 and .001 for fine-tuning; 50 epochs. */
void transfer_fill(Draft *draft, bool given[FIELDS]) {
    bool linear = draft->transfer_kind == TRANSFER_LINEAR;
    Run *run = &draft->run;
    if (!given[FIELD_OPTIMIZER])
        run->optimizer.kind = linear ? OPTIMIZER_LION : OPTIMIZER_SGD;
    fill_integer(draft, given, FIELD_EPOCHS, 50);
    fill_integer(draft, given, FIELD_BATCH, 128);
    fill_integer(draft, given, FIELD_EXAMPLES, draft->data_examples - run->validation);
    schema_fill(draft, given);
    schema_fill_kinds(run, given);
    fill_number(draft, given, FIELD_LR, linear ? 1e-5 : draft->head_lr);
    if (linear)
        draft->body_lr = 0;
}

/* ---- metrics ---- */

const char *transfer_kind_text(TransferKind kind) {
    return schema_fields[FIELD_TRANSFER_KIND].choices[kind];
}

void transfer_metric(const Transfer *transfer, const char *metric, char out[SWEEP_NAME_MAX]) {
    snprintf(out, SWEEP_NAME_MAX, "%s.%.31s.%.21s", transfer_kind_text(transfer->kind), transfer->name, metric);
}

/* ---- as a run ---- */

void run_transfer(const Run *run, size_t index, Run *out) {
    *out = *run;
    out->transfer_count = 0;
    memset(out->transfers, 0, sizeof out->transfers);
    memset(&out->init, 0, sizeof out->init);
    out->init_head = HEAD_FILE;
    out->evaluations = 1;
    out->resources.memory = 0;
    give_run(&run->transfers[index], out);
}

bool run_transfer_keeps_features(const Run *run, size_t index) {
    const Transfer *transfer = &run->transfers[index];
    double bytes = (double)sizeof(float) * (double)transfer->examples * (double)run->model.width;
    return transfer->kind == TRANSFER_LINEAR && !augment_is_on(&transfer->augmentation) && bytes <= TRANSFER_FEATURES_MAX;
}

Flops run_transfer_flops(const Run *run, size_t index) {
    Run own;
    run_transfer(run, index, &own);
    Training training = run_training(&own);
    if (run->transfers[index].kind == TRANSFER_FINETUNE)
        return arch_training_flops(&own.model, &training);
    return arch_head_training_flops(&own.model, &training, run_transfer_keeps_features(run, index));
}

double run_eval_flops(const Run *run) {
    double flops = 0;
    for (size_t i = 0; i < run->transfer_count; i++)
        flops += run_transfer_flops(run, i).exact;
    return flops;
}
