/* A leased run's directory may have two writers for a moment, when a worker that was believed dead wakes up. Each has a journal of its own,
 * so that neither cuts off what the other has not delivered; the checkpoint is replaced whole, and both write true ones. A journal of an
 * earlier attempt is read and left: its owner may wake up, measure a point and write a checkpoint past it, and then that journal alone has
 * the point. */
#include "worker.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int run_files_name(RunFiles *files, const char *directory, Error *error) {
    const struct {
        char *path;
        const char *name;
    } names[] = {
        {files->spec, "spec.json"},
        {files->checkpoint, "checkpoint.safetensors"},
        {files->log, "log"},
        {files->points, "points.jsonl"},
        {files->result, "result.json"},
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

int run_files_make(const RunFiles *files, const Run *run, Error *error) {
    if (directory_make(files->directory, 0755, error))
        return -1;
    file_remove_temporaries(files->directory);
    return file_exists(files->spec) ? run_files_check(files, run, error) : run_files_write_spec(files, run, error);
}

int run_files_init(RunFiles *files, const char *directory, const Run *run, Error *error) {
    return run_files_name(files, directory, error) ? -1 : run_files_make(files, run, error);
}

/* ---- journals ---- */

static bool name_is_journal(const char *name) {
    return !fnmatch("journal-*.jsonl", name, 0);
}

/* The complete lines that are not there yet: an attempt that took points over has them in its own journal, too. */
static void journal_merge(Buffer *out, const Buffer *text) {
    size_t left = text->size;
    for (const char *line = text->data, *end; (end = memchr(line, '\n', left)); line = end + 1) {
        size_t size = (size_t)(end - line) + 1;
        left -= size;
        if (!out->size || !memmem(out->data, out->size, line, size))
            buffer_append(out, line, size);
    }
}

static int journals_gather(const RunFiles *files, Buffer *out, Error *error) {
    Buffer text;
    char path[PATH_TEXT_MAX];
    int result = 0;
    DIR *stream = opendir(files->directory);
    if (!stream)
        return error_set_errno(error, errno, "cannot read %s", files->directory);
    buffer_init(&text, out->max);
    for (const struct dirent *entry = readdir(stream); entry && !result; entry = readdir(stream)) {
        if (!name_is_journal(entry->d_name))
            continue;
        buffer_clear(&text);
        result = path_format(path, error, "%s/%s", files->directory, entry->d_name);
        if (!result)
            result = file_read(path, text.max, &text, error);
        if (!result)
            journal_merge(out, &text);
    }
    closedir(stream);
    buffer_deinit(&text);
    return result ? result : buffer_check(out, error, files->journal);
}

int run_files_journal(RunFiles *files, int64_t attempt_id, PointList *left, Error *error) {
    if (path_format(files->journal, error, "%s/journal-%lld.jsonl", files->directory, (long long)attempt_id))
        return -1;
    if (!file_exists(files->checkpoint))
        return 0;
    Buffer text;
    buffer_init(&text, RUN_FILES_JOURNAL_MAX);
    int result = journals_gather(files, &text, error);
    if (!result)
        result = points_parse(left, &text, error);
    buffer_deinit(&text);
    return result;
}

void run_files_remove_journals(const RunFiles *files) {
    DIR *stream = opendir(files->directory);
    if (!stream)
        return;
    for (const struct dirent *entry = readdir(stream); entry; entry = readdir(stream))
        if (name_is_journal(entry->d_name))
            unlinkat(dirfd(stream), entry->d_name, 0);
    closedir(stream);
}

/* ---- the trainer ---- */

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
    checkpoint_remove(files->checkpoint);
    return 0;
}
