/* Checkpoints and weights as files. A checkpoint holds the model's tensors, the optimizer's state under "optimizer.", and in its metadata
 * whose run it is, where the run stands, and a digest of the tensors: safetensors itself would not notice a changed bit in them.
 * docs/checkpoints.md lists the names. A file that is refused has changed nothing. */
#include "builtin.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STATE_NAME_MAX = 64, NUMBER_TEXT_MAX = 40 };

static const char format_name[] = "sweepd-checkpoint-1";

/* The metadata of a checkpoint. */
enum { META_FORMAT, META_DIGEST, META_OPTIMIZER_STEPS, META_RUN, META_SECONDS, META_STEP, META_COUNT };
static const char *const meta_names[META_COUNT] = {"format", "digest", "optimizer_steps", "run", "seconds", "step"};

/* ---- what a file holds: the list from which it is written and into which it is read ---- */

typedef struct TensorList {
    SafetensorsEntry *entries; /* data: the model's and the optimizer's own arrays */
    char (*names)[STATE_NAME_MAX];
    size_t count;
} TensorList;

static void list_deinit(TensorList *list) {
    free(list->entries);
    free(list->names);
    *list = (TensorList){0};
}

/* The model's tensors from `first` on. optimizer: NULL for the weights alone. */
static int list_init(TensorList *list, Model *model, size_t first, Optimizer *optimizer, Error *error) {
    size_t tensors = model_tensor_count(model), states = optimizer ? optimizer_state_count(optimizer) : 0;
    *list = (TensorList){.entries = calloc(tensors + states, sizeof *list->entries), .names = calloc(states + 1, sizeof *list->names)};
    if (!list->entries || !list->names) {
        list_deinit(list);
        return error_set_memory(error, "no memory for a list of tensors");
    }
    for (size_t i = first; i < tensors; i++) {
        const Tensor *tensor = model_tensor(model, i);
        SafetensorsEntry *entry = &list->entries[list->count++];
        *entry = (SafetensorsEntry){.name = tensor->name, .dimensions = 2, .shape = {tensor->rows, tensor->columns}, .data = tensor->data};
        if (tensor->is_vector)
            *entry = (SafetensorsEntry){.name = tensor->name, .dimensions = 1, .shape = {tensor->columns, 1}, .data = tensor->data};
    }
    for (size_t i = 0; i < states; i++) {
        snprintf(list->names[i], sizeof list->names[i], WEIGHTS_IGNORED "%s", optimizer_state_name(optimizer, i));
        list->entries[list->count++] = (SafetensorsEntry){
            .name = list->names[i],
            .dimensions = 1,
            .shape = {(int64_t)optimizer_parameter_count(optimizer), 1},
            .data = optimizer_state_data(optimizer, i),
        };
    }
    return 0;
}

/* What is frozen comes from elsewhere. */
static size_t first_trained(const Builtin *builtin) {
    return builtin->frozen ? model_tensor_count(builtin->model) - ARCH_HEAD_TENSORS : 0;
}

static size_t entry_bytes(const SafetensorsEntry *entry) {
    return (size_t)entry->shape[0] * (size_t)entry->shape[1] * sizeof *entry->data;
}

static int list_check(const TensorList *list, const Safetensors *file, Error *error) {
    return safetensors_check(file, list->entries, list->count, list->count, NULL, error) ? TRAIN_REFUSED : 0;
}

static void list_copy(const TensorList *list, const Safetensors *file) {
    for (size_t i = 0; i < list->count; i++) {
        const SafetensorsEntry *target = &list->entries[i];
        memcpy((void *)(uintptr_t)target->data, safetensors_find(file, target->name)->data, entry_bytes(target));
    }
}

static int file_open(Safetensors **out, const char *path, Error *error) {
    int result = safetensors_open(out, path, error);
    return result == DATA_REFUSED ? TRAIN_REFUSED : result;
}

/* ---- weights ---- */

int trainer_save_weights(Trainer *trainer, const char *path, Error *error) {
    Model *model = trainer_model(trainer);
    if (!model)
        return error_set(error, "%s: the trainer %s has no weights to write", path, trainer->interface->name);
    TensorList list;
    if (list_init(&list, model, 0, NULL, error))
        return -1;
    const char *const pairs[] = {"format", "pt"}; /* what other readers of safetensors look for */
    int result = safetensors_write(path, list.entries, list.count, pairs, 1, error);
    list_deinit(&list);
    return result;
}

/* A run from weights that are no numbers would be a divergence of the file's, not of the run's. */
static int list_check_finite(const TensorList *list, const Safetensors *file, const char *path, Error *error) {
    for (size_t i = 0; i < list->count; i++) {
        const SafetensorsEntry *found = safetensors_find(file, list->entries[i].name);
        for (int64_t j = 0; j < found->shape[0] * found->shape[1]; j++)
            if (!isfinite(found->data[j]))
                return train_refuse(error, "%s: the tensor %s: value %lld is not finite", path, found->name, (long long)j);
    }
    return 0;
}

int weights_load(Model *model, const char *path, bool with_head, Error *error) {
    Safetensors *file;
    TensorList list;
    int result = file_open(&file, path, error);
    if (result)
        return result;
    result = list_init(&list, model, 0, NULL, error);
    size_t all = list.count;
    list.count -= !result && !with_head ? ARCH_HEAD_TENSORS : 0; /* the head comes last */
    if (!result && safetensors_check(file, list.entries, list.count, all, WEIGHTS_IGNORED, error))
        result = TRAIN_REFUSED; /* but a checkpoint's weights may be taken */
    if (!result)
        result = list_check_finite(&list, file, path, error);
    if (!result)
        list_copy(&list, file);
    list_deinit(&list);
    safetensors_free(file);
    return result;
}

/* ---- checkpoints ---- */

/* The digest of the tensors in the order of the file. */
static int entries_digest(const SafetensorsEntry *entries, size_t count, char hex[SHA256_HEX_MAX], Error *error) {
    Sha256 *hash;
    if (sha256_new(&hash, error))
        return -1;
    for (size_t i = 0; i < count; i++)
        sha256_update(hash, entries[i].data, entry_bytes(&entries[i]));
    sha256_finish(hash, hex);
    sha256_free(hash);
    return 0;
}

static int checkpoint_write(const Builtin *builtin, const char *path, const TensorList *list, Error *error) {
    char digest[SHA256_HEX_MAX], step[NUMBER_TEXT_MAX], seconds[NUMBER_TEXT_MAX], taken[NUMBER_TEXT_MAX];
    if (entries_digest(list->entries, list->count, digest, error))
        return -1;
    snprintf(step, sizeof step, "%" PRId64, builtin->base.step);
    snprintf(taken, sizeof taken, "%" PRId64, optimizer_steps(builtin->optimizer));
    snprintf(seconds, sizeof seconds, "%.17g", builtin->base.seconds);
    const char *const values[META_COUNT] = {format_name, digest, taken, builtin->key, seconds, step};
    const char *pairs[2 * META_COUNT];
    for (int i = 0; i < META_COUNT; i++) {
        pairs[2 * i] = meta_names[i];
        pairs[2 * i + 1] = values[i];
    }
    return safetensors_write(path, list->entries, list->count, pairs, META_COUNT, error);
}

int builtin_save(Trainer *trainer, const char *path, Error *error) {
    Builtin *builtin = (Builtin *)trainer;
    TensorList list;
    if (list_init(&list, builtin->model, first_trained(builtin), builtin->optimizer, error))
        return -1;
    int result = checkpoint_write(builtin, path, &list, error);
    list_deinit(&list);
    return result;
}

static int number_get(const Safetensors *file, int name, double max, double *out) {
    const char *text = safetensors_metadata(file, meta_names[name]);
    char *end;
    if (!text || !*text)
        return -1;
    *out = strtod(text, &end);
    return !*end && *out >= 0 && *out <= max ? 0 : -1;
}

static int digest_check(const Safetensors *file, const char *path, Error *error) {
    char digest[SHA256_HEX_MAX];
    const char *said = safetensors_metadata(file, meta_names[META_DIGEST]);
    if (entries_digest(safetensors_entry(file, 0), safetensors_count(file), digest, error))
        return -1;
    if (!said || strcmp(said, digest))
        return train_refuse(error, "%s: damaged: its tensors do not have the digest that it states", path);
    return 0;
}

static int checkpoint_check(const Builtin *builtin, const TensorList *list, const Safetensors *file, const char *path, Error *error) {
    const char *format = safetensors_metadata(file, meta_names[META_FORMAT]), *run = safetensors_metadata(file, meta_names[META_RUN]);
    if (!format || strcmp(format, format_name))
        return train_refuse(error, "%s: not a checkpoint of this version, %s", path, format_name);
    if (!run || strcmp(run, builtin->key))
        return train_refuse(error, "%s: the checkpoint of another run, %.64s; this one is %s", path, run ? run : "unnamed", builtin->key);
    int result = digest_check(file, path, error);
    return result ? result : list_check(list, file, error);
}

static int checkpoint_take(Builtin *builtin, const TensorList *list, const Safetensors *file, const char *path, Error *error) {
    Trainer *trainer = &builtin->base;
    double step, taken, seconds;
    int result = checkpoint_check(builtin, list, file, path, error);
    if (result)
        return result;
    if (number_get(file, META_STEP, (double)trainer->steps, &step) || number_get(file, META_SECONDS, 1e12, &seconds) ||
        number_get(file, META_OPTIMIZER_STEPS, (double)trainer->steps, &taken))
        return train_refuse(error, "%s: damaged: its step or its seconds are no number in bounds", path);
    list_copy(list, file);
    optimizer_set_steps(builtin->optimizer, (int64_t)taken);
    trainer->step = (int64_t)step;
    trainer->seconds = seconds;
    trainer->flops = builtin->first_flops + (double)trainer->step * builtin->step_flops;
    return 0;
}

int builtin_load(Trainer *trainer, const char *path, Error *error) {
    Builtin *builtin = (Builtin *)trainer;
    Safetensors *file;
    TensorList list;
    int result = file_open(&file, path, error);
    if (result)
        return result;
    result = list_init(&list, builtin->model, first_trained(builtin), builtin->optimizer, error);
    if (!result)
        result = checkpoint_take(builtin, &list, file, path, error);
    list_deinit(&list);
    safetensors_free(file);
    return result;
}
