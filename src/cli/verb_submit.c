#include "source.h"
#include "submit.h"
#include "sweep_file.h"

#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>

static const double submit_seconds = 120; /* a sweep of a hundred thousand runs takes some of these */

int submit_sweep(Source *source, const char *path, const Buffer *text, SubmitRecord *out, Error *error) {
    Buffer body, answer;
    buffer_init(&body, WIRE_BODY_MAX);
    buffer_init(&answer, WIRE_BODY_MAX);
    SubmitRequest *request = calloc(1, sizeof *request);
    if (!request)
        return error_set(error, "out of memory");
    char *whole = realpath(path, NULL); /* the daemon works elsewhere, and the paths in the file begin where it lies */
    text_copy(request->path, sizeof request->path, whole ? whole : path);
    free(whole);
    text_copy(request->text, sizeof request->text, text->data ? text->data : "");
    submit_request_encode(request, &body);
    free(request);
    int result = buffer_check(&body, error, "the sweep file");
    if (!result)
        result = source_call(source, "/v1/sweeps", &body, submit_seconds, &answer, error);
    if (!result && submit_record_decode(out, answer.data, answer.size, error))
        result = error_prefix(error, "the daemon's answer");
    buffer_deinit(&body);
    buffer_deinit(&answer);
    return result;
}

void submit_print(const SubmitRecord *record) {
    printf("sweep %s: %lld run%s, %lld new, %lld shared", record->name, (long long)record->runs, record->runs == 1 ? "" : "s",
           (long long)record->added, (long long)record->shared);
    if (record->removed)
        printf(", %lld removed: their results are kept, but are no longer part of this sweep", (long long)record->removed);
    putchar('\n');
}

static void tell_elsewhere(const SubmitRecord *record) {
    static const char none[] = "the run's directory";
    if (record->elsewhere)
        cli_note("%lld of the shared results %s of the program in %s; yours is in %s: set trainer.version where the two differ",
                 (long long)record->elsewhere, record->elsewhere == 1 ? "is" : "are",
                 *record->elsewhere_directory ? record->elsewhere_directory : none, *record->directory ? record->directory : none);
}

/* Of the files that a program's command names, the one that was written last, and the results that are older. */
typedef struct Changed {
    char file[PATH_TEXT_MAX];
    double written_at; /* 0: it names none */
    long long older;
} Changed;

static void find_changed(const Program *program, Changed *out) {
    json_t *command = json_loads(program->command, 0, NULL), *argument;
    size_t i;
    json_array_foreach(command, i, argument) {
        char path[PATH_TEXT_MAX];
        struct stat status;
        Error ignored = {0};
        const char *text = json_string_value(argument), *directory = *text == '/' ? "" : program->directory;
        if (path_format(path, &ignored, "%s%s%s", directory, *directory ? "/" : "", text) || *path != '/' || stat(path, &status) ||
            !S_ISREG(status.st_mode) || (double)status.st_mtime <= out->written_at)
            continue;
        out->written_at = (double)status.st_mtime;
        text_copy(out->file, sizeof out->file, path);
    }
    json_decref(command);
}

static int count_older(void *context, const RunRecord *record, Error *error) {
    Changed *changed = context;
    (void)error;
    bool measured = record->state == RUN_DONE || record->state == RUN_DIVERGED;
    changed->older += measured && record->started_at < changed->written_at;
    return 0;
}

static void tell_changed(Source *source, const Sweep *sweep, const SubmitRecord *record) {
    SweepRecord stored;
    Run run;
    SweepCursor cursor;
    Changed changed = {0};
    Error ignored = {0};
    sweep_cursor_init(&cursor, sweep);
    if (!sweep_is_external(sweep) || !record->shared || !sweep_cursor_next(&cursor, &run))
        return;
    find_changed(&run.program, &changed);
    if (changed.written_at > 0 && !source_sweep(source, record->name, &stored, &ignored) &&
        !source_runs(source, &stored, -1, count_older, &changed, &ignored) && changed.older)
        cli_note("%s was written after %lld of the shared results %s begun: raise trainer.version where it gives other numbers now",
                 changed.file, changed.older, changed.older == 1 ? "was" : "were");
}

void submit_tell(Source *source, const Sweep *sweep, const SubmitRecord *record) {
    fflush(stdout);
    tell_elsewhere(record);
    tell_changed(source, sweep, record);
}

static int print_json(const SubmitRecord *record, Error *error) {
    Buffer out;
    buffer_init(&out, 65536);
    buffer_append_text(&out, "{\"schema_version\":1,\"submitted\":");
    submit_record_encode(record, &out);
    buffer_append_text(&out, "}\n");
    int result = cli_print(&out, error);
    buffer_deinit(&out);
    return result;
}

int submit_check(const Sweep *sweep, const char *path, Error *error) {
    int result = sweep_check_data(sweep, path, error);
    if (!result)
        result = sweep_check_files(sweep, path, error);
    return result > 0 ? CLI_USAGE : result;
}

int verb_submit(const Cli *cli, const Arguments *arguments, Error *error) {
    Buffer text;
    Sweep *sweep;
    Source *source = NULL;
    SubmitRecord record;
    /* Read here too, so that a mistake is found with no daemon, and is told with the file's name as it was given. */
    int result = sweep_file_read(arguments->positional, &text, &sweep, error);
    if (!result)
        result = submit_check(sweep, arguments->positional, error);
    if (!result && arguments_flag(arguments, "dry-run")) {
        result = verb_plan(cli, arguments, error);
        goto out;
    }
    if (!result)
        result = source_open(&source, cli, SOURCE_DAEMON, error);
    if (!result)
        result = submit_sweep(source, arguments->positional, &text, &record, error);
    if (!result && arguments_flag(arguments, "json"))
        result = print_json(&record, error);
    else if (!result)
        submit_print(&record);
    if (!result)
        submit_tell(source, sweep, &record);
out:
    source_free(source);
    sweep_free(sweep);
    buffer_deinit(&text);
    return result;
}
