/* sweepctl: the command line. */
#include "cli.h"

#include <locale.h>
#include <string.h>

static int dispatch(const Arguments *arguments, Error *error) {
    if (arguments_flag(arguments, "version")) {
        printf("sweepctl %s (%s)\n", version_text(), version_commit());
        return CLI_OK;
    }
    if (arguments_flag(arguments, "help")) {
        if (arguments->command)
            cli_help_command(arguments->command, stdout);
        else
            cli_help(stdout);
        return CLI_OK;
    }
    if (!arguments->command) {
        cli_help(stderr);
        return CLI_USAGE;
    }
    Cli cli;
    cli_init(&cli, arguments);
    return arguments->command->run(&cli, arguments, error);
}

int main(int argc, char **argv) {
    setlocale(LC_CTYPE, "");
    Arguments arguments;
    Error error = {0};
    int result = arguments_parse(&arguments, argc, argv, &error);
    if (!result)
        result = dispatch(&arguments, &error);
    if (fflush(stdout) || ferror(stdout)) {
        error_set(&error, "cannot write to standard output");
        result = result ? result : CLI_FAILED;
    }
    if (result && error.text[0])
        fprintf(stderr, "sweepctl: %s\n", error.text);
    return result < 0 ? CLI_FAILED : result;
}
