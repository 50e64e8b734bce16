#include "worker.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int run_files_name(RunFiles *files, const char *directory, Error *error) {
    const struct {
        char *path;
        const char *name;
    } names[] = {
        {files->spec, "spec.json"},         {files->checkpoint, "checkpoint.safetensors"},
        {files->journal, "journal.jsonl"},  {files->log, "log"},
        {files->points, "points.jsonl"},    {files->result, "result.json"},
        {files->weights, "weights.sha256"},
    };
    if (path_format(files->directory, error, "%s", directory))
        return -1;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (path_format(names[i].path, error, "%s/%s", directory, names[i].name))
            return -1;
    return 0;
}

/* spec.json is compared as a run, not as text, so that one written by an earlier version still serves. */
static int run_files_check(const RunFiles *files, const Run *run, Error *error) {
    Buffer text;
    Run there;
    char key[RUN_KEY_MAX], key_there[RUN_KEY_MAX];
    buffer_init(&text, 4 * RUN_SPEC_MAX);
    int result = -1;
    if (file_read(files->spec, text.max, &text, error))
        goto out;
    if (run_parse(&there, text.data, text.size, files->spec, error)) {
        result = RUN_FILES_OTHER;
        goto out;
    }
    if (run_key(run, key, error) || run_key(&there, key_there, error))
        goto out;
    result = 0;
    if (strcmp(key, key_there)) {
        error_set(error, "%s is of another run (%.12s, not %.12s)", files->directory, key_there, key);
        result = RUN_FILES_OTHER;
    }
out:
    buffer_deinit(&text);
    return result;
}

static int run_files_write_spec(const RunFiles *files, const Run *run, Error *error) {
    Buffer text;
    buffer_init(&text, RUN_SPEC_MAX + 1);
    int result = run_format(run, &text, error);
    if (!result) {
        buffer_append_text(&text, "\n");
        result = buffer_check(&text, error, files->spec);
    }
    if (!result)
        result = file_write_atomic(files->spec, text.data, text.size, 0644, error);
    buffer_deinit(&text);
    return result;
}

int run_files_init(RunFiles *files, const char *directory, const Run *run, Error *error) {
    if (run_files_name(files, directory, error) || directory_make(directory, 0755, error))
        return -1;
    return file_exists(files->spec) ? run_files_check(files, run, error) : run_files_write_spec(files, run, error);
}

int run_files_trainer(const RunFiles *files, const Run *run, const TrainerOptions *options, Trainer **out, bool *resumed, Error *error) {
    *out = NULL;
    *resumed = false;
    int result = trainer_new(out, run, options, error);
    if (result || !file_exists(files->checkpoint))
        return result;
    result = (*out)->interface->load(*out, files->checkpoint, error);
    *resumed = !result;
    if (result != TRAIN_REFUSED)
        return result;
    log_write(LOG_WARNING, "the checkpoint is passed over, the run begins anew: %s", error->text);
    unlink(files->checkpoint);
    return 0;
}
