/* The files that a sweep names are looked at before any run begins: one that does not fit would refuse every run, after the wait for a
 * worker. That they are there was found while parsing. */
#include "grid.h"

#include "sweepd/safetensors.h"

#include <stdlib.h>
#include <string.h>

/* ---- labels ---- */

/* tests: images of the test set; 0: not known. */
static int check_labels(const RunFile *file, int64_t tests, int64_t classes, Error *error) {
    RealLabels labels;
    if (!*file->path || tests == 0)
        return 0;
    int result = real_read(&labels, file->path, file->digest, tests, classes, error);
    real_deinit(&labels);
    return result;
}

static int check_all_labels(const Sweep *sweep, Error *error) {
    const Run *run = &sweep->draft.run;
    int result = check_labels(&run->test.real, sweep->draft.data_tests, run->model.classes, error);
    if (result)
        error_prefix(error, "test.real");
    for (size_t i = 0; i < run->transfer_count && !result; i++) {
        const Transfer *item = &run->transfers[i];
        result = check_labels(&item->test.real, sweep->transfer_tests[i], item->classes, error);
        if (result)
            error_prefix(error, "eval[%zu].test.real", i);
    }
    return result;
}

/* ---- weights ---- */

typedef struct Wanted {
    SafetensorsEntry *entries; /* [count] */
    ArchTensor *tensors;       /* [count] */
    size_t count;
} Wanted;

static int wanted_init(Wanted *out, const Architecture *model, Error *error) {
    out->count = arch_tensor_count(model);
    out->entries = calloc(out->count, sizeof *out->entries);
    out->tensors = calloc(out->count, sizeof *out->tensors);
    if (!out->entries || !out->tensors)
        return error_set_memory(error, "no memory for a list of tensors");
    for (size_t i = 0; i < out->count; i++) {
        ArchTensor *tensor = &out->tensors[i];
        arch_tensor(model, i, tensor);
        out->entries[i] = (SafetensorsEntry){.name = tensor->name, .dimensions = 2, .shape = {tensor->rows, tensor->columns}};
        if (tensor->is_vector)
            out->entries[i] = (SafetensorsEntry){.name = tensor->name, .dimensions = 1, .shape = {tensor->columns, 1}};
    }
    return 0;
}

static void wanted_deinit(Wanted *wanted) {
    free(wanted->entries);
    free(wanted->tensors);
}

/* Whether it is the head alone that does not fit, as that of weights for other classes. */
static bool is_head_alone(const Safetensors *file, const Run *run, const Wanted *wanted) {
    size_t body = wanted->count - ARCH_HEAD_TENSORS;
    return run->init_head == HEAD_FILE && safetensors_check(file, wanted->entries, wanted->count, wanted->count, WEIGHTS_IGNORED, NULL) &&
           !safetensors_check(file, wanted->entries, body, wanted->count, WEIGHTS_IGNORED, NULL);
}

static int check_model(const Safetensors *file, const Run *run, bool values, Error *error) {
    Wanted wanted = {0};
    char model[ARCH_NAME_MAX];
    int result = wanted_init(&wanted, &run->model, error);
    size_t count = wanted.count - (run->init_head == HEAD_FRESH ? ARCH_HEAD_TENSORS : 0);
    if (!result)
        result = safetensors_check(file, wanted.entries, count, wanted.count, WEIGHTS_IGNORED, error);
    if (!result && values)
        result = safetensors_check_finite(file, wanted.entries, count, error);
    bool head_alone = result == DATA_REFUSED && is_head_alone(file, run, &wanted);
    wanted_deinit(&wanted);
    run_model(run, model);
    if (result)
        error_prefix(error, "%s cannot start from it%s", model,
                     head_alone ? ", but could with init_head: fresh, which draws a new head" : "");
    return result;
}

/* Every run starts from the one file; of runs in a row with one model the first is looked at. The values are gone through once with the
 * head and once without: no other model takes them. */
static int check_runs(const Sweep *sweep, const Safetensors *file, Error *error) {
    SweepCursor cursor;
    Run run, last = {0};
    bool seen[2] = {false, false};
    int result = 0;
    sweep_cursor_init(&cursor, sweep);
    while (!result && sweep_cursor_next(&cursor, &run)) {
        bool fresh = run.init_head == HEAD_FRESH;
        bool same = run.model.depth == last.model.depth && run.model.width == last.model.width && run.init_head == last.init_head;
        result = same ? 0 : check_model(file, &run, !seen[fresh], error);
        seen[fresh] = true;
        last = run;
    }
    return result;
}

static int check_weights(const Sweep *sweep, const Run *run, Error *error) {
    Safetensors *file;
    if (!*run->init.path)
        return 0;
    int result = safetensors_open(&file, run->init.path, error);
    if (!result)
        result = check_runs(sweep, file, error);
    safetensors_free(file);
    return result ? error_prefix(error, "train.init"), result : 0;
}

/* ---- */

int sweep_check_files(const Sweep *sweep, const char *path, Error *error) {
    const Run *run = &sweep->draft.run;
    int result = check_all_labels(sweep, error);
    if (!result)
        result = check_weights(sweep, run, error);
    if (result)
        error_prefix(error, "%s", path);
    return result == DATA_REFUSED ? SWEEP_INVALID : result;
}
