/* cancel, retry, pause, resume: four verbs that tell the daemon to change a sweep (or a run) and say how many runs that changed. */
#include "source.h"

#include <jansson.h>

static int changed_count(const Buffer *answer, int64_t *changed, Error *error) {
    json_t *root = json_loadb(answer->data ? answer->data : "", answer->size, 0, NULL);
    const json_t *value = json_object_get(root, "changed");
    int result = json_is_integer(value) ? 0 : error_set(error, "the daemon's answer: changed: must be an integer");
    *changed = json_integer_value(value);
    json_decref(root);
    return result;
}

/* action: "/cancel"; past: "cancelled". */
static int change(const Cli *cli, const Arguments *arguments, const char *action, const char *past, Error *error) {
    const char *run = cli_option_find(arguments->command, "run") ? arguments_text(arguments, "run", NULL) : NULL;
    const char *name = run ? run : arguments->positional;
    Source *source = NULL;
    Buffer body, answer;
    char path[PATH_TEXT_MAX];
    int64_t changed = 0;
    if (!name || (run && arguments->positional))
        return cli_usage(error, "%s takes either a sweep or --run RUN", arguments->command->name);
    buffer_init(&body, 16);
    buffer_init(&answer, WIRE_BODY_MAX);
    buffer_append_text(&body, "{}");
    int result = source_open(&source, cli, SOURCE_DAEMON, error);
    if (!result)
        result = source_path(path, run ? "/v1/runs/" : "/v1/sweeps/", name, action, error);
    if (!result)
        result = source_call(source, path, &body, 60, &answer, error);
    if (!result)
        result = changed_count(&answer, &changed, error);
    if (!result)
        printf("%s %s: %s, %lld run%s changed\n", run ? "run" : "sweep", name, past, (long long)changed, changed == 1 ? "" : "s");
    buffer_deinit(&body);
    buffer_deinit(&answer);
    source_free(source);
    return result;
}

int verb_cancel(const Cli *cli, const Arguments *arguments, Error *error) {
    return change(cli, arguments, "/cancel", "cancelled", error);
}

int verb_retry(const Cli *cli, const Arguments *arguments, Error *error) {
    return change(cli, arguments, "/retry", "to be tried again", error);
}

int verb_pause(const Cli *cli, const Arguments *arguments, Error *error) {
    return change(cli, arguments, "/pause", "paused", error);
}

int verb_resume(const Cli *cli, const Arguments *arguments, Error *error) {
    return change(cli, arguments, "/resume", "resumed", error);
}
