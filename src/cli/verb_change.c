/* cancel, retry, pause, resume: four verbs that tell the daemon to change a sweep (or a run) and say how many runs that changed. */
#include "change.h"

#include <jansson.h>
#include <string.h>

static int changed_count(const Buffer *answer, int64_t *changed, Error *error) {
    json_t *root = json_loadb(answer->data ? answer->data : "", answer->size, 0, NULL);
    const json_t *value = json_object_get(root, "changed");
    int result = json_is_integer(value) ? 0 : error_set(error, "the daemon's answer: changed: must be an integer");
    *changed = json_integer_value(value);
    json_decref(root);
    return result;
}

int change_ask(Source *source, const char *path, int64_t *changed, Error *error) {
    Buffer body, answer;
    buffer_init(&body, 16);
    buffer_init(&answer, WIRE_BODY_MAX);
    buffer_append_text(&body, "{}");
    int result = source_call(source, path, &body, 60, &answer, error);
    if (!result)
        result = changed_count(&answer, changed, error);
    buffer_deinit(&body);
    buffer_deinit(&answer);
    return result;
}

/* Why the daemon refused, in terms of what can be done; its own words where nothing is known. */
static void explain(Source *source, const char *sweep, const char *run, bool retry, Error *error) {
    SweepRecord record;
    RunDetail detail = {0};
    Error ignored = {0};
    bool known = run && source_run(source, run, &detail, &ignored) == 0;
    if (known && retry)
        error_set(error, "run %s is %s, and no active or paused sweep has it; submit a file that does to bring it back", run,
                  run_state_text(detail.record.state));
    else if (known)
        error_set(error, "run %s is %s; nothing was changed", run, run_state_text(detail.record.state));
    else if (!run && source_sweep(source, sweep, &record, &ignored) == 0 && !strcmp(record.state, "cancelled"))
        error_set(error, "sweep %s is cancelled; submit its file again to bring it back%s", sweep,
                  retry ? ", with its cancelled runs, and then retry those that failed" : "");
    run_detail_deinit(&detail);
}

static void print_changed(Source *source, const char *name, bool of_run, const char *past, bool counted, int64_t changed) {
    RunDetail detail = {0};
    Error ignored = {0};
    if (!counted)
        printf("sweep %s: %s\n", name, past);
    else if (!of_run)
        printf("sweep %s: %s, %lld run%s changed\n", name, past, (long long)changed, changed == 1 ? "" : "s");
    else if (changed)
        printf("run %s: %s\n", name, past);
    else if (source_run(source, name, &detail, &ignored) == 0)
        printf("run %s is %s; nothing was changed\n", name, run_state_text(detail.record.state));
    run_detail_deinit(&detail);
}

/* action: "/cancel"; past: "cancelled"; counted: it is runs that change. */
static int change(const Cli *cli, const Arguments *arguments, const char *action, const char *past, bool counted, Error *error) {
    const char *run = cli_option_find(arguments->command, "run") ? arguments_text(arguments, "run", NULL) : NULL;
    const char *name = run ? run : arguments->positional;
    Source *source = NULL;
    char path[PATH_TEXT_MAX];
    int64_t changed = 0;
    if (!name || (run && arguments->positional))
        return cli_usage(error, "%s takes either a sweep or --run RUN", arguments->command->name);
    int result = source_open(&source, cli, SOURCE_DAEMON, error);
    if (!result)
        result = source_path(path, run ? "/v1/runs/" : "/v1/sweeps/", name, action, error);
    if (!result && (result = change_ask(source, path, &changed, error)) == CLI_FAILED)
        explain(source, name, run, arguments->command->run == verb_retry, error);
    if (!result)
        print_changed(source, name, run != NULL, past, counted, changed);
    source_free(source);
    return result;
}

int verb_cancel(const Cli *cli, const Arguments *arguments, Error *error) {
    return change(cli, arguments, "/cancel", "cancelled", true, error);
}

int verb_retry(const Cli *cli, const Arguments *arguments, Error *error) {
    return change(cli, arguments, "/retry", "to be tried again", true, error);
}

int verb_pause(const Cli *cli, const Arguments *arguments, Error *error) {
    return change(cli, arguments, "/pause", "paused", false, error);
}

int verb_resume(const Cli *cli, const Arguments *arguments, Error *error) {
    return change(cli, arguments, "/resume", "resumed", false, error);
}
