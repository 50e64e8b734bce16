#include "cli.h"
#include "sweep_file.h"

#include <string.h>

int verb_validate(const Cli *cli, const Arguments *arguments, Error *error) {
    (void)cli;
    Buffer text;
    Sweep *sweep;
    int result = sweep_file_read(arguments->positional, &text, &sweep, error);
    if (!result) {
        const char *slash = strrchr(arguments->positional, '/');
        int64_t runs = sweep_run_count(sweep);
        printf("%s: %lld run%s%s\n", slash ? slash + 1 : arguments->positional, (long long)runs, runs == 1 ? "" : "s",
               sweep_is_plan_only(sweep) ? ", for planning only (no data is named)" : "");
    }
    sweep_free(sweep);
    buffer_deinit(&text);
    return result;
}
