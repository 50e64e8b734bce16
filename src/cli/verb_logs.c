#include "source.h"

#include <string.h>

static const double default_bytes = 65536;

int verb_logs(const Cli *cli, const Arguments *arguments, Error *error) {
    Source *source;
    Buffer answer;
    char path[PATH_TEXT_MAX], tail[48];
    int result = source_open(&source, cli, SOURCE_DAEMON, error);
    if (result)
        return result;
    buffer_init(&answer, WIRE_BODY_MAX);
    snprintf(tail, sizeof tail, "/log?bytes=%.0f", arguments_number(arguments, "bytes", default_bytes));
    result = source_path(path, "/v1/runs/", arguments->positional, tail, error);
    if (!result)
        result = source_call(source, path, NULL, 30, &answer, error);
    if (!result)
        result = cli_print(&answer, error);
    if (!result && answer.size && answer.data[answer.size - 1] != '\n')
        putchar('\n');
    buffer_deinit(&answer);
    source_free(source);
    return result;
}
