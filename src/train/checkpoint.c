/* Checkpoints and weights as files. A checkpoint holds the model's tensors, the optimizer's state under "optimizer.", and in its metadata
 * whose run it is and where the run stands. docs/checkpoints.md lists the names. A file that is refused has changed nothing. */
#include "builtin.h"
#include "saved.h"
#include "transfer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STATE_NAME_MAX = 64 };

static const char format_name[] = "sweepd-checkpoint-2";

/* What the metadata of a checkpoint state. */
enum { META_OPTIMIZER_STEPS, META_SECONDS, META_STEP, META_COUNT };
static const char *const meta_names[META_COUNT] = {"optimizer_steps", "seconds", "step"};

static const double SECONDS_MAX = 1e12;

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

int weights_load(Model *model, const char *path, bool with_head, Error *error) {
    Safetensors *file;
    TensorList list;
    int result = train_open_tensors(&file, path, error);
    if (result)
        return result;
    result = list_init(&list, model, 0, NULL, error);
    size_t all = list.count;
    list.count -= !result && !with_head ? ARCH_HEAD_TENSORS : 0; /* the head comes last */
    if (!result && safetensors_check(file, list.entries, list.count, all, WEIGHTS_IGNORED, error))
        result = TRAIN_REFUSED; /* but a checkpoint's weights may be taken */
    /* A run from weights that are no numbers would be a divergence of the file's, not of the run's. */
    if (!result && safetensors_check_finite(file, list.entries, list.count, error))
        result = TRAIN_REFUSED;
    if (!result)
        list_copy(&list, file);
    list_deinit(&list);
    safetensors_free(file);
    return result;
}

/* ---- checkpoints ---- */

static SavedForm checkpoint_form(const Builtin *builtin) {
    return (SavedForm){.format = format_name, .run = builtin->key, .names = meta_names, .count = META_COUNT};
}

int builtin_save(Trainer *trainer, const char *path, Error *error) {
    Builtin *builtin = (Builtin *)trainer;
    const SavedForm form = checkpoint_form(builtin);
    char step[SAVED_TEXT_MAX], seconds[SAVED_TEXT_MAX], taken[SAVED_TEXT_MAX];
    TensorList list;
    if (list_init(&list, builtin->model, first_trained(builtin), builtin->optimizer, error))
        return -1;
    snprintf(step, sizeof step, "%" PRId64, trainer->step);
    snprintf(taken, sizeof taken, "%" PRId64, optimizer_steps(builtin->optimizer));
    snprintf(seconds, sizeof seconds, "%.17g", trainer->seconds);
    const char *const texts[META_COUNT] = {taken, seconds, step};
    int result = saved_write(&form, texts, list.entries, list.count, path, error);
    list_deinit(&list);
    return result;
}

static int checkpoint_take(Builtin *builtin, const TensorList *list, const Safetensors *file, const char *path, Error *error) {
    Trainer *trainer = &builtin->base;
    int64_t step, taken;
    double seconds;
    int result = list_check(list, file, error);
    if (result)
        return result;
    if (!saved_whole(file, meta_names[META_STEP], trainer->steps, &step) ||
        !saved_whole(file, meta_names[META_OPTIMIZER_STEPS], trainer->steps, &taken) ||
        !saved_number(file, meta_names[META_SECONDS], SECONDS_MAX, &seconds))
        return train_refuse(error, "%s: damaged: its steps or its seconds are no number in bounds", path);
    list_copy(list, file);
    optimizer_set_steps(builtin->optimizer, taken);
    trainer->step = step;
    trainer->seconds = seconds;
    trainer->flops = builtin->first_flops + (double)trainer->step * builtin->step_flops;
    return 0;
}

int builtin_load(Trainer *trainer, const char *path, Error *error) {
    Builtin *builtin = (Builtin *)trainer;
    const SavedForm form = checkpoint_form(builtin);
    Safetensors *file;
    TensorList list;
    int result = saved_open(&file, &form, path, error);
    if (result)
        return result;
    result = list_init(&list, builtin->model, first_trained(builtin), builtin->optimizer, error);
    if (!result)
        result = checkpoint_take(builtin, &list, file, path, error);
    if (!result)
        transfer_resume(builtin, path);
    list_deinit(&list);
    safetensors_free(file);
    return result;
}

int64_t checkpoint_step(const char *path, int64_t max) {
    Safetensors *file;
    Error ignored = {0};
    int64_t step = 0;
    if (!file_exists(path) || safetensors_open(&file, path, &ignored))
        return 0;
    bool stated = saved_whole(file, meta_names[META_STEP], max, &step);
    safetensors_free(file);
    return stated ? step : 0;
}
