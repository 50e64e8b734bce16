#include "source.h"

#include <stdlib.h>

/* Asked by the completion scripts at every TAB: quick, and silent about what cannot be had. */
static int print_sweeps(const Cli *cli, Error *error) {
    char home[PATH_TEXT_MAX];
    Source *source = NULL;
    SweepRecord *sweeps = NULL;
    size_t count = 0;
    int result = cli_home(cli, home, error);
    if (!result && source_open_quietly(&source, home, SOURCE_ANY, error) == 0 && source_sweeps(source, &sweeps, &count, error) == 0)
        for (size_t i = 0; i < count; i++)
            puts(sweeps[i].name);
    free(sweeps);
    source_free(source);
    return result;
}

int verb_completion(const Cli *cli, const Arguments *arguments, Error *error) {
    if (arguments_flag(arguments, "sweeps"))
        return print_sweeps(cli, error);
    if (!arguments->positional)
        return cli_usage(error, "completion needs a shell: %s", arguments->command->positional.choices);
    cli_completion(arguments->positional, stdout);
    return CLI_OK;
}
