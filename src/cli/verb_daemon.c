#include "service.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static int daemon_start(const Cli *cli, const Arguments *arguments, Error *error) {
    char home[PATH_TEXT_MAX];
    Source *source = NULL;
    pid_t pid;
    if (cli_home(cli, home, error) < 0)
        return -1;
    int result = source_open_quietly(&source, home, SOURCE_DAEMON, error);
    if (!result) {
        source_free(source);
        cli_note("a daemon already serves %s", home);
        return CLI_OK;
    }
    if (result == CLI_NO_DAEMON)
        result = service_start(home, arguments_text(arguments, "workers", NULL), &pid, &source, error);
    if (!result)
        printf("sweepd serves %s (process %d, log %s/sweepd.log)\n", home, (int)pid, home);
    source_free(source);
    return result;
}

static int daemon_stop(const Cli *cli, Error *error) {
    Source *source;
    int result = source_open(&source, cli, SOURCE_DAEMON, error);
    if (result)
        return result;
    result = service_stop(source, 0, error);
    if (!result)
        printf("sweepd of %s has stopped\n", source_home(source));
    source_free(source);
    return result;
}

/* What the daemon says of itself, a line for each plain value. */
static int print_status(const Source *source, const Buffer *answer, Error *error) {
    json_t *root = json_loadb(answer->data ? answer->data : "", answer->size, 0, NULL), *value;
    const char *name;
    if (!json_is_object(root)) {
        json_decref(root);
        return error_set(error, "the daemon's answer: must be an object");
    }
    printf("sweepd serves %s\n", source_home(source));
    json_object_foreach(root, name, value) {
        if (!strcmp(name, "schema_version") || !strcmp(name, "home") || json_is_object(value) || json_is_array(value))
            continue;
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(12));
        printf("  %-18s %s\n", name, json_is_string(value) ? json_string_value(value) : text ? text : "");
        free(text);
    }
    json_decref(root);
    return 0;
}

static int daemon_status(const Cli *cli, bool json, Error *error) {
    Source *source;
    Buffer answer;
    int result = source_open(&source, cli, SOURCE_DAEMON, error);
    if (result)
        return result;
    buffer_init(&answer, WIRE_BODY_MAX);
    result = source_call(source, "/v1/status", NULL, 30, &answer, error);
    if (!result && json) {
        result = cli_print(&answer, error);
        putchar('\n');
    } else if (!result) {
        result = print_status(source, &answer, error);
    }
    buffer_deinit(&answer);
    source_free(source);
    return result;
}

int verb_daemon(const Cli *cli, const Arguments *arguments, Error *error) {
    if (!strcmp(arguments->positional, "start"))
        return daemon_start(cli, arguments, error);
    if (!strcmp(arguments->positional, "stop"))
        return daemon_stop(cli, error);
    return daemon_status(cli, arguments_flag(arguments, "json"), error);
}
