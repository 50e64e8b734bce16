/* The built-in trainer: a run's model, data and optimizer put together. Nothing is allocated after it is made, and every batch follows from
 * (seed, step) alone, so that a step does not know whether the trainer was resumed. */
#include "transfer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- steps ---- */

void builtin_gather(Builtin *builtin, DataSection section, int64_t count) {
    if (builtin->x)
        batch_gather(builtin->data, section, builtin->indices, count, builtin->x, builtin->labels);
    else
        batch_gather_rounded(builtin->data, section, builtin->indices, count, model_rounded_inputs(builtin->model), builtin->labels);
}

static void batch_index(Builtin *builtin, int64_t place) {
    for (int64_t i = 0; i < builtin->batch; i++)
        builtin->indices[i] = builtin->split.train[builtin->order[place * builtin->batch + i]];
}

static void batch_prepare(Builtin *builtin) {
    int64_t epoch = builtin->base.step / builtin->steps_per_epoch, place = builtin->base.step % builtin->steps_per_epoch;
    if (epoch != builtin->epoch) {
        epoch_order(builtin->base.run.seed, epoch, builtin->order, builtin->split.train_count);
        builtin->epoch = epoch;
        batch_index(builtin, place); /* no step before has asked for it */
        batch_expect(builtin->data, DATA_TRAIN, builtin->indices, builtin->batch);
    }
    if (builtin->keeps_features) {
        transfer_gather(builtin, builtin->order + place * builtin->batch);
        return;
    }
    if (place + 1 < builtin->steps_per_epoch) {
        batch_index(builtin, place + 1);
        batch_expect(builtin->data, DATA_TRAIN, builtin->indices, builtin->batch);
    }
    batch_index(builtin, place);
    if (builtin->augmenter) {
        builtin->lambda = augment_lambda(&builtin->base.run.augmentation, builtin->base.run.seed, builtin->base.step);
        augmenter_gather(builtin->augmenter, builtin->indices, builtin->batch, epoch, builtin->lambda, builtin->x, builtin->labels,
                         builtin->others);
    } else {
        builtin_gather(builtin, DATA_TRAIN, builtin->batch);
    }
}

static float batch_train(Builtin *builtin) {
    float smoothing = (float)builtin->base.run.label_smoothing;
    if (builtin->frozen)
        return transfer_train(builtin);
    if (!builtin->others)
        return model_train_step(builtin->model, builtin->x, builtin->labels, builtin->batch, smoothing);
    return model_train_step_mixed(builtin->model, builtin->x, builtin->labels, builtin->others, builtin->lambda, builtin->batch, smoothing);
}

/* The step that diverges is taken and counted whole: its work was done, and the point after it shows what came of it. */
static int builtin_step(Trainer *trainer, int64_t limit, Error *error) {
    Builtin *builtin = (Builtin *)trainer;
    const Run *run = &trainer->run;
    double start = clock_monotonic();
    float loss = 0;
    int looked = transfer_look(builtin, error);
    if (looked) {
        trainer->seconds += clock_monotonic() - start;
        return looked < 0 ? -1 : 0;
    }
    for (int64_t i = 0; i < limit && trainer->step < trainer->steps && isfinite(loss); i++) {
        batch_prepare(builtin);
        model_set_step(builtin->model, run->seed, trainer->step);
        loss = batch_train(builtin);
        double rate = run->optimizer.lr * schedule_factor(&run->schedule, trainer->step, trainer->steps);
        size_t first = builtin->frozen;
        optimizer_step(builtin->optimizer, model_parameters(builtin->model) + first, model_gradients(builtin->model) + first, rate);
        model_rounded_is_current(builtin->model);
        trainer->step++;
    }
    trainer->flops = builtin->first_flops + (double)trainer->step * builtin->step_flops;
    trainer->seconds += clock_monotonic() - start;
    return isfinite(loss) ? 0 : TRAIN_DIVERGED;
}

void builtin_free(Builtin *builtin) {
    if (!builtin)
        return;
    model_free(builtin->model);
    optimizer_free(builtin->optimizer);
    split_deinit(&builtin->split);
    augmenter_free(builtin->augmenter);
    dataset_free(builtin->data);
    augmenter_free(builtin->test_augmenter);
    real_deinit(&builtin->real);
    free(builtin->outputs);
    free(builtin->order);
    free(builtin->indices);
    free(builtin->sample);
    free(builtin->x);
    free(builtin->labels);
    free(builtin->others);
    free(builtin->features);
    free(builtin->feature_labels);
    free(builtin);
}

static void free_trainer(Trainer *trainer) {
    builtin_free((Builtin *)trainer);
}

static const TrainerInterface builtin_interface = {
    .name = "builtin",
    .step = builtin_step,
    .evaluate = builtin_evaluate,
    .finish = transfer_finish,
    .save = builtin_save,
    .load = builtin_load,
    .free = free_trainer,
};

Model *trainer_model(Trainer *trainer) {
    return trainer->interface == &builtin_interface ? ((Builtin *)trainer)->model : NULL;
}

/* ---- preparing ---- */

static int data_prepare(Builtin *builtin, Error *error) {
    const Run *run = &builtin->base.run;
    if (!*run->data_digest)
        return train_refuse(error, "the run states sizes instead of naming data: it can be planned, not trained");
    int result = train_open_data(&builtin->data, builtin->home, run, error);
    if (result)
        return result;
    const DataInfo *info = dataset_info(builtin->data);
    if (run->model.inputs != info->inputs || run->model.classes != info->classes)
        return train_refuse(error, "the model has %lld inputs and %lld classes, but %s has %lld and %lld", (long long)run->model.inputs,
                            (long long)run->model.classes, info->name, (long long)info->inputs, (long long)info->classes);
    result = split_make(&builtin->split, builtin->data, run->validation, run->examples, run->subset_seed, error);
    if (!result && augment_is_on(&run->augmentation)) {
        result = augmenter_new(&builtin->augmenter, builtin->data, &run->augmentation, run->seed, error);
        if (result)
            error_prefix(error, "train.augment");
    }
    return result == DATA_REFUSED ? TRAIN_REFUSED : result;
}

static int buffers_prepare(Builtin *builtin, int64_t batch_max, Error *error) {
    size_t rows = (size_t)batch_max;
    builtin->order = malloc((size_t)builtin->split.train_count * sizeof *builtin->order);
    builtin->indices = malloc(rows * sizeof *builtin->indices);
    builtin->labels = malloc(rows * sizeof *builtin->labels);
    bool is_rounded = model_rounded_inputs(builtin->model) && !builtin->augmenter && !builtin->test_augmenter;
    if (builtin->base.run.augmentation.mixup > 0) {
        builtin->others = malloc(rows * sizeof *builtin->others);
        if (!builtin->others)
            return error_set_memory(error, "no memory for batches of %lld examples", (long long)batch_max);
    }
    if (builtin->test_augmenter || builtin->real.first) {
        builtin->outputs = malloc(rows * (size_t)builtin->base.run.model.classes * sizeof *builtin->outputs);
        if (!builtin->outputs)
            return error_set_memory(error, "no memory for the outputs of %lld examples", (long long)batch_max);
    }
    if (!is_rounded)
        builtin->x = pages_new(rows * (size_t)builtin->base.run.model.inputs * sizeof *builtin->x);
    if (!builtin->order || !builtin->indices || (!builtin->x && !is_rounded) || !builtin->labels)
        return error_set_memory(error, "no memory for batches of %lld examples", (long long)batch_max);
    return 0;
}

static int plan_prepare(Builtin *builtin, Error *error) {
    const Run *run = &builtin->base.run;
    if (run->epochs < 1 || run->batch < 1)
        return train_refuse(error, "epochs: %lld, batch: %lld; both are at least 1", (long long)run->epochs, (long long)run->batch);
    Training training = run_training(run);
    builtin->batch = arch_batch(&training);
    builtin->steps_per_epoch = arch_steps_per_epoch(&training);
    builtin->base.steps = arch_steps(&training);
    builtin->step_flops = (double)arch_step_flops(&run->model, builtin->batch, training.optimizer);
    builtin->epoch = -1;
    return run_key(run, builtin->key, error);
}

/* Large batches are fast. Their activations take no more than those of a training batch, or EVALUATION_BYTES where that is more. */
static int64_t evaluation_batch(const Builtin *builtin) {
    double example = arch_batch_bytes(&builtin->base.run.model, 1, builtin->backend == BACKEND_ONEDNN_BF16);
    double rows = EVALUATION_BYTES / example;
    if (rows >= EVALUATION_BATCH_MAX || builtin->batch >= EVALUATION_BATCH_MAX)
        return EVALUATION_BATCH_MAX;
    return rows > (double)builtin->batch ? (int64_t)rows : builtin->batch;
}

/* The head comes last, so that what is trained is one array, with or without the body. */
static int optimizer_prepare(Builtin *builtin, bool freezes, Error *error) {
    const Run *run = &builtin->base.run;
    size_t all = model_parameter_count(builtin->model), trained = freezes ? (size_t)arch_head_params(&run->model) : all;
    uint16_t *rounded = model_rounded_parameters(builtin->model);
    builtin->frozen = all - trained;
    if (optimizer_new(&builtin->optimizer, &run->optimizer, trained, error))
        return -1;
    optimizer_set_copy(builtin->optimizer, rounded ? rounded + builtin->frozen : NULL);
    return 0;
}

static int builtin_prepare(Builtin *builtin, const BuiltinOrigin *origin, Error *error) {
    const Run *run = &builtin->base.run;
    int result = path_format(builtin->home, error, "%s", origin->home);
    if (!result)
        result = data_prepare(builtin, error);
    if (!result)
        result = final_prepare(builtin, error);
    if (!result)
        result = plan_prepare(builtin, error);
    if (result)
        return result;
    builtin->evaluation_batch = evaluation_batch(builtin);
    if (builtin_evaluation_prepare(builtin, error))
        return -1;
    int64_t batch_max = builtin->batch > builtin->evaluation_batch ? builtin->batch : builtin->evaluation_batch;
    return model_new(&builtin->model, &run->model, batch_max, builtin->backend, error) || buffers_prepare(builtin, batch_max, error) ||
                   optimizer_prepare(builtin, origin->freezes, error)
               ? -1
               : 0;
}

int builtin_make(Builtin **out, const Run *run, const BuiltinOrigin *origin, Error *error) {
    *out = NULL;
    Builtin *builtin = calloc(1, sizeof *builtin);
    if (!builtin)
        return error_set_memory(error, "no memory for a trainer");
    builtin->base.interface = &builtin_interface;
    builtin->base.run = *run;
    builtin->backend = origin->backend;
    builtin->keeps_features = origin->keeps_features;
    int result = builtin_prepare(builtin, origin, error);
    if (result) {
        builtin_free(builtin);
        return result;
    }
    *out = builtin;
    return 0;
}

static int init_load(Builtin *builtin, Error *error) {
    const Run *run = &builtin->base.run;
    char digest[SHA256_HEX_MAX];
    if (digest_file(DIGEST_SHA256, run->init.path, digest, error))
        return TRAIN_REFUSED;
    if (strcmp(digest, run->init.digest) != 0)
        return train_refuse(error, "%s: its digest is %s; the run starts from %s", run->init.path, digest, run->init.digest);
    return weights_load(builtin->model, run->init.path, run->init_head == HEAD_FILE, error);
}

static int weights_prepare(Builtin *builtin, const TrainerOptions *options, Error *error) {
    int result = transfer_check(builtin, error);
    if (result)
        return result;
    const Run *run = &builtin->base.run;
    model_init_weights(builtin->model, run->seed);
    if (options->init_weights && *run->init.path)
        return train_refuse(error, "the run starts from %s; no other weights can be given", run->init.path);
    if (options->init_weights)
        return weights_load(builtin->model, options->init_weights, true, error);
    return *run->init.path ? init_load(builtin, error) : 0;
}

int builtin_choose_backend(const Run *run, const char *named, BackendKind *out, Error *error) {
    static const BackendPrecision wanted[] = {
        [PRECISION_FP32] = BACKEND_FP32, [PRECISION_BF16] = BACKEND_BF16, [PRECISION_AUTO] = BACKEND_AUTO};
    int result = backend_choose_named(named, wanted[run->precision], out, error);
    return result == BACKEND_REFUSED ? TRAIN_REFUSED : result;
}

int builtin_new(Trainer **out, const Run *run, const TrainerOptions *options, Error *error) {
    Builtin *builtin;
    BuiltinOrigin origin = {.home = options->home};
    *out = NULL;
    int result = builtin_choose_backend(run, options->backend, &origin.backend, error);
    if (result)
        return result;
    backend_set_threads(options->threads);
    result = builtin_make(&builtin, run, &origin, error);
    if (!result)
        result = weights_prepare(builtin, options, error);
    if (result) {
        builtin_free(builtin);
        return result;
    }
    Trainer *trainer = &builtin->base;
    trainer->environment.threads = options->threads;
    text_copy(trainer->environment.backend, sizeof trainer->environment.backend, backend_text(builtin->backend));
    text_copy(trainer->environment.data_digest, sizeof trainer->environment.data_digest, run->data_digest);
    *out = trainer;
    return 0;
}
