#include "progress.h"

#include <math.h>

static const double first_pause = 0.1, longest_pause = 2.0;

int verb_wait(const Cli *cli, const Arguments *arguments, Error *error) {
    Source *source;
    SweepRecord sweep;
    ProgressTold told = {0};
    double deadline = clock_monotonic() + arguments_number(arguments, "timeout", INFINITY);
    double pause = first_pause;
    int result = source_open(&source, cli, SOURCE_ANY, error);
    if (result)
        return result;
    while (!(result = source_sweep(source, arguments->positional, &sweep, error)) && !progress_finished(&sweep)) {
        progress_tell(source, &sweep, &told);
        if (progress_stuck(&sweep))
            break;
        double left = deadline - clock_monotonic();
        if (!source_is_daemon(source))
            result = source_no_daemon(source_home(source), error);
        else if (left <= 0)
            result = CLI_TIMED_OUT;
        if (result)
            break;
        interrupt_sleep(fmin(pause, left));
        pause = fmin(pause * 1.5, longest_pause);
    }
    if (!result)
        result = progress_exit(source, &sweep, NULL);
    source_free(source);
    return result;
}
