#include "cli.h"
#include "sweep_file.h"

#include <string.h>

int verb_validate(const Cli *cli, const Arguments *arguments, Error *error) {
    (void)cli;
    Buffer text;
    Sweep *sweep;
    int result = sweep_file_read(arguments->positional, &text, &sweep, error);
    if (!result && sweep_check_files(sweep, arguments->positional, error))
        result = CLI_USAGE;
    if (!result) {
        const char *slash = strrchr(arguments->positional, '/');
        int64_t runs = sweep_run_count(sweep);
        Buffer missing;
        buffer_init(&missing, ERROR_TEXT_MAX);
        sweep_append_missing(sweep, &missing);
        printf("%s: %lld run%s%s%s\n", slash ? slash + 1 : arguments->positional, (long long)runs, runs == 1 ? "" : "s",
               missing.size ? ", for planning only: " : "", missing.size ? missing.data : "");
        buffer_deinit(&missing);
    }
    sweep_free(sweep);
    buffer_deinit(&text);
    return result;
}
