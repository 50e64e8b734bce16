#include "progress.h"

int verb_watch(const Cli *cli, const Arguments *arguments, Error *error) {
    Source *source;
    SweepRecord last;
    interrupt_catch();
    int result = source_open(&source, cli, SOURCE_ANY, error);
    if (result)
        return result;
    result = progress_follow(source, cli, arguments->positional, &last, error);
    if (result == CLI_INTERRUPTED)
        cli_note("stopped watching; sweep %s goes on ('sweepctl cancel %s' would end it)", last.name, last.name);
    else if (!result)
        result = progress_exit(source, &last, error);
    source_free(source);
    return result;
}
