/* What a trained model comes to on other data. An item of `eval` is trained by a built-in trainer of its own, whose model begins as the
 * run's with a new head; the run's model stays as it is.
 *
 * Each item has a checkpoint beside the run's. One that is finished is kept until the run is, so that a run that is stopped measures it
 * again and trains it no more. Before the first item the run itself is saved: whatever happens then, its own training is over. */
#include "transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- a new head on a frozen body ---- */

/* A few examples at a time: whoever watches the training is asked in between. */
static void features_add(Builtin *item) {
    int64_t count = count_at_most(item->split.train_count - item->feature_count, item->evaluation_batch);
    size_t row = model_feature_bytes(item->model);
    memcpy(item->indices, item->split.train + item->feature_count, (size_t)count * sizeof *item->indices);
    batch_expect(item->data, DATA_TRAIN, item->indices, count);
    builtin_gather(item, DATA_TRAIN, count);
    model_forward_features(item->model, item->x, count);
    memcpy((char *)item->features + (size_t)item->feature_count * row, model_features(item->model), (size_t)count * row);
    memcpy(item->feature_labels + item->feature_count, item->labels, (size_t)count * sizeof *item->labels);
    item->feature_count += count;
}

int transfer_look(Builtin *item, Error *error) {
    if (!item->keeps_features || item->feature_count == item->split.train_count)
        return 0;
    size_t rows = (size_t)item->split.train_count;
    if (!item->features) {
        item->features = malloc(rows * model_feature_bytes(item->model));
        item->feature_labels = malloc(rows * sizeof *item->feature_labels);
    }
    if (!item->features || !item->feature_labels)
        return error_set_memory(error, "no memory for what the model makes of %zu examples", rows);
    features_add(item);
    return TRANSFER_LOOKED;
}

void transfer_gather(Builtin *item, const uint32_t *order) {
    size_t row = model_feature_bytes(item->model);
    char *out = model_features(item->model);
    for (int64_t i = 0; i < item->batch; i++) {
        memcpy(out + (size_t)i * row, (const char *)item->features + (size_t)order[i] * row, row);
        item->labels[i] = item->feature_labels[order[i]];
    }
}

float transfer_train(Builtin *item) {
    if (!item->keeps_features)
        model_forward_features(item->model, item->x, item->batch);
    return model_train_head_step(item->model, item->labels, item->others, item->lambda, item->batch, (float)item->base.run.label_smoothing);
}

/* ---- an item's trainer ---- */

static double item_step_flops(const Builtin *item) {
    const Run *run = &item->base.run;
    int64_t optimizer = optimizer_flops(run->optimizer.kind);
    if (!item->frozen)
        return (double)arch_step_flops(&run->model, item->batch, optimizer);
    double features = item->keeps_features ? 0 : (double)arch_features_flops(&run->model, item->batch);
    return features + (double)arch_head_step_flops(&run->model, item->batch, optimizer);
}

/* The item's checkpoint belongs to it alone. */
static int item_key(const Builtin *main, size_t index, char key[RUN_KEY_MAX], Error *error) {
    char text[RUN_KEY_MAX + 24];
    int size = snprintf(text, sizeof text, "%s eval[%zu]", main->key, index);
    return sha256_hex(text, (size_t)size, key, error);
}

static void item_start(Builtin *item, const Builtin *main, const Transfer *transfer) {
    size_t head = (size_t)arch_head_params(&item->base.run.model), body = model_parameter_count(item->model) - head;
    dataset_normalise_as(item->data, main->data); /* the body knows images as it was trained on them */
    model_init_weights(item->model, item->base.run.seed);
    memcpy(model_parameters(item->model), model_parameters(main->model), body * sizeof(float));
    const ParameterGroup groups[] = {{0, body, transfer->body_lr / transfer->optimizer.lr}, {body, head, 1}};
    if (!item->frozen)
        optimizer_set_groups(item->optimizer, groups, 2);
}

static int item_new(Builtin **out, Builtin *main, size_t index, Error *error) {
    const Transfer *transfer = &main->base.run.transfers[index];
    Run own;
    run_transfer(&main->base.run, index, &own);
    BuiltinOrigin origin = {
        .home = main->home,
        .backend = main->backend,
        .freezes = transfer->kind == TRANSFER_LINEAR,
        .keeps_features = run_transfer_keeps_features(&main->base.run, index),
    };
    int result = builtin_make(out, &own, &origin, error);
    if (result)
        return result;
    Builtin *item = *out;
    item->step_flops = item_step_flops(item);
    if (item->keeps_features)
        item->first_flops = (double)own.examples * (double)arch_features_flops(&own.model, 1);
    item->base.flops = item->first_flops;
    item_start(item, main, transfer);
    return item_key(main, index, item->key, error);
}

/* ---- training the items ---- */

typedef struct Transferring {
    Builtin *main;
    const TrainLoop *outer;
    TrainLoop loop; /* of the item */
    Point point;    /* the item's */
    double before;  /* FLOPs of the items before it */
} Transferring;

static bool should_stop(void *context) {
    Transferring *at = context;
    bool stop = at->outer->should_stop && at->outer->should_stop(at->outer->context);
    if (!at->outer->checkpoint_path) /* whoever stops may want nothing written any more */
        at->loop.checkpoint_path = NULL;
    return stop;
}

static void on_progress(void *context, const Trainer *item) {
    const Transferring *at = context;
    at->main->base.eval_flops = at->before + item->flops;
    if (at->outer->on_progress)
        at->outer->on_progress(at->outer->context, &at->main->base);
}

static int on_point(void *context, const Point *point, Error *error) {
    (void)error;
    ((Transferring *)context)->point = *point;
    return 0;
}

static int on_checkpoint(void *context, Error *error) {
    const Transferring *at = context;
    return at->outer->on_checkpoint ? at->outer->on_checkpoint(at->outer->context, error) : 0;
}

static int item_path(const char *checkpoint_path, size_t index, char path[PATH_TEXT_MAX], Error *error) {
    return path_format(path, error, "%s.eval%zu", checkpoint_path, index);
}

/* A checkpoint that is not the item's is passed over, as a run's would be. */
static int item_resume(Builtin *item, const char *path, Error *error) {
    if (!path || !file_exists(path))
        return 0;
    int result = builtin_load(&item->base, path, error);
    if (result != TRAIN_REFUSED)
        return result;
    log_write(LOG_WARNING, "the checkpoint is passed over, the item of eval begins anew: %s", error->text);
    unlink(path);
    return 0;
}

void transfer_resume(Builtin *main, const char *checkpoint_path) {
    main->base.eval_flops = 0;
    for (size_t i = 0; i < main->base.run.transfer_count; i++) {
        char path[PATH_TEXT_MAX];
        Run own;
        run_transfer(&main->base.run, i, &own);
        int64_t steps = run_steps(&own);
        if (!item_path(checkpoint_path, i, path, NULL))
            main->base.eval_flops += run_transfer_flops(&main->base.run, i).exact * (double)checkpoint_step(path, steps) / (double)steps;
    }
}

static int add_metrics(const Transfer *transfer, const Transferring *at, const Builtin *item, Point *out, Error *error) {
    char name[SWEEP_NAME_MAX];
    for (size_t i = 0; i < at->point.metric_count; i++) {
        transfer_metric(transfer, at->point.metrics[i].name, name);
        if (builtin_set_metric(out, name, at->point.metrics[i].value, error))
            return -1;
    }
    transfer_metric(transfer, "flops", name);
    return builtin_set_metric(out, name, item->base.flops, error);
}

static int item_train(Transferring *at, Builtin *item, size_t index, Point *out, Error *error) {
    const Run *run = &at->main->base.run;
    char path[PATH_TEXT_MAX];
    if (at->outer->checkpoint_path && item_path(at->outer->checkpoint_path, index, path, error))
        return -1;
    at->loop = (TrainLoop){
        .checkpoint_path = at->outer->checkpoint_path ? path : NULL,
        .checkpoint_seconds = at->outer->checkpoint_seconds,
        .should_stop = should_stop,
        .on_progress = on_progress,
        .on_point = on_point,
        .on_checkpoint = on_checkpoint,
        .context = at,
    };
    int result = item_resume(item, at->loop.checkpoint_path, error);
    bool was_over = item->base.step == item->base.steps;
    if (!result)
        result = train_run(&item->base, &at->loop, error);
    if (result && result != TRAIN_DIVERGED)
        return result;
    if (add_metrics(&run->transfers[index], at, item, out, error))
        return -1;
    if (!result && !was_over && at->loop.checkpoint_path && builtin_save(&item->base, path, error))
        return TRAIN_UNSAVED;
    return 0;
}

static int save_main(Builtin *main, const TrainLoop *loop, Error *error) {
    if (!loop->checkpoint_path)
        return 0;
    bool saved =
        (!loop->on_checkpoint || !loop->on_checkpoint(loop->context, error)) && !builtin_save(&main->base, loop->checkpoint_path, error);
    return saved ? 0 : TRAIN_UNSAVED;
}

int transfer_finish(Trainer *trainer, const TrainLoop *loop, Point *out, Error *error) {
    Builtin *main = (Builtin *)trainer;
    Transferring at = {.main = main, .outer = loop};
    int result = main->outputs ? final_evaluate(main, loop, out, error) : 0;
    if (result == TRAIN_STOPPED && save_main(main, loop, error))
        return TRAIN_UNSAVED;
    if (!result && trainer->run.transfer_count > 0)
        result = save_main(main, loop, error);
    for (size_t i = 0; !result && i < trainer->run.transfer_count; i++) {
        Builtin *item;
        result = item_new(&item, main, i, error);
        if (!result)
            result = item_train(&at, item, i, out, error);
        if (!result)
            at.main->base.eval_flops = at.before += item->base.flops;
        builtin_free(item);
    }
    return result;
}

void checkpoint_remove(const char *path) {
    char own[PATH_TEXT_MAX];
    for (size_t i = 0; i < RUN_TRANSFERS_MAX; i++)
        if (!item_path(path, i, own, NULL))
            unlink(own);
    unlink(path);
}

/* ---- before the run's own training ---- */

static int check_labels(const Run *own, const DataInfo *info, size_t index, Error *error) {
    const RunFile *file = &own->test.real;
    RealLabels labels;
    if (!*file->path)
        return 0;
    int result = real_read(&labels, file->path, file->digest, info->test_count, info->classes, error);
    real_deinit(&labels);
    if (result)
        error_prefix(error, "eval[%zu].test.real", index);
    return result == DATA_REFUSED ? TRAIN_REFUSED : result;
}

static int check_data(const Builtin *main, size_t index, Error *error) {
    Run own;
    DatasetMap *data;
    run_transfer(&main->base.run, index, &own);
    if (!*own.data_digest) {
        error_set(error, "eval[%zu] states sizes instead of naming data: the run can be planned, not trained", index);
        return TRAIN_REFUSED;
    }
    int result = train_open_data(&data, main->home, &own, error);
    if (result)
        return result;
    const DataInfo *info = dataset_info(data), *trained = dataset_info(main->data);
    if (info->height != trained->height || info->width != trained->width || info->channels != trained->channels) {
        error_set(error,
                  "eval[%zu]: the images of %s are %lld x %lld with %lld channels, those of %s %lld x %lld with %lld; pack them alike",
                  index, info->name, (long long)info->height, (long long)info->width, (long long)info->channels, trained->name,
                  (long long)trained->height, (long long)trained->width, (long long)trained->channels);
        result = TRAIN_REFUSED;
    }
    if (!result)
        result = check_labels(&own, info, index, error);
    dataset_free(data);
    return result;
}

int transfer_check(const Builtin *main, Error *error) {
    int result = 0;
    for (size_t i = 0; !result && i < main->base.run.transfer_count; i++)
        result = check_data(main, i, error);
    return result;
}
