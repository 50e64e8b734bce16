#include "source.h"

static const double default_bytes = 65536;

int verb_logs(const Cli *cli, const Arguments *arguments, Error *error) {
    Source *source;
    Buffer text;
    int64_t bytes = (int64_t)arguments_number(arguments, "bytes", default_bytes);
    int result = source_open(&source, cli, SOURCE_ANY, error);
    if (result)
        return result;
    buffer_init(&text, WIRE_BODY_MAX);
    result = source_log(source, arguments->positional, bytes, &text, error);
    if (!result)
        result = cli_print(&text, error);
    if (!result && text.size && text.data[text.size - 1] != '\n')
        putchar('\n');
    buffer_deinit(&text);
    source_free(source);
    return result;
}
