#include "source.h"

static const double poll_seconds = 0.5;

enum { DEFAULT_BYTES = 1 << 16, PART_BYTES = 1 << 20 };

static int print_end(Source *source, const char *name, int64_t bytes, Buffer *text, Error *error) {
    int result = source_log(source, name, FILE_END, bytes, text, error);
    if (!result)
        result = cli_print(text, error);
    if (!result && text->size && text->data[text->size - 1] != '\n')
        putchar('\n');
    return result;
}

/* What is there from byte *at on. */
static int print_new(Source *source, const char *name, int64_t *at, Buffer *text, Error *error) {
    int result;
    do {
        buffer_clear(text);
        result = source_log(source, name, *at, PART_BYTES, text, error);
        *at += !result ? (int64_t)text->size : 0;
        if (!result)
            result = cli_print(text, error);
    } while (!result && text->size == PART_BYTES && !interrupt_seen());
    fflush(stdout);
    return result;
}

/* A run that has not begun has no log yet; that it is read once more after its end is seen leaves nothing out. */
static int follow(Source *source, const char *name, Buffer *text, Error *error) {
    int64_t at = 0;
    for (;;) {
        RunDetail detail;
        int result = source_run(source, name, &detail, error);
        if (result)
            return result;
        bool ended = detail.record.state != RUN_PENDING && detail.record.state != RUN_RUNNING;
        run_detail_deinit(&detail);
        result = print_new(source, name, &at, text, error);
        if (result < 0 || ended || interrupt_seen())
            return interrupt_seen() ? CLI_INTERRUPTED : at > 0 ? 0 : result;
        if (!source_is_daemon(source))
            return source_no_daemon(source_home(source), error);
        interrupt_sleep(poll_seconds);
    }
}

int verb_logs(const Cli *cli, const Arguments *arguments, Error *error) {
    Source *source;
    Buffer text;
    const char *name = arguments->positional;
    if (arguments_flag(arguments, "follow") && arguments_text(arguments, "bytes", NULL))
        return cli_usage(error, "logs takes --bytes or --follow, not both");
    int result = source_open(&source, cli, SOURCE_ANY, error);
    if (result)
        return result;
    buffer_init(&text, WIRE_BODY_MAX);
    if (arguments_flag(arguments, "follow")) {
        interrupt_catch();
        result = follow(source, name, &text, error);
    } else {
        result = print_end(source, name, (int64_t)arguments_number(arguments, "bytes", DEFAULT_BYTES), &text, error);
    }
    buffer_deinit(&text);
    source_free(source);
    return result;
}
