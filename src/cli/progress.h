/* How far a sweep is, followed over time. */
#pragma once

#include "source.h"

typedef struct Progress {
    SweepRecord sweep;
    double flops_per_second; /* NaN: not known */
    double seconds_left;     /* NaN: not known */
    size_t running_count;    /* of those shown */
    RunRecord running[8];
} Progress;

/* One look. */
int progress_read(Progress *out, Source *source, const char *sweep, Error *error);
bool progress_finished(const SweepRecord *sweep);
/* CLI_OK, or CLI_RUNS_FAILED when the finished sweep has failed or cancelled runs, with the error saying how many, and why the first
 * failed. A run that diverged is a result. */
int progress_exit(Source *source, const SweepRecord *sweep, Error *error);
/* "41 of 80 runs, 2 running, 1 failed; 1.23 of 2.34 TFLOP; 45.1 GFLOP/s; 40 s left" */
void progress_line(const Progress *progress, Buffer *out);

/* Shows the sweep on stdout until it has finished: a block that is drawn anew on a terminal, a line at most every ten seconds in a
 * pipe. 0 when finished, *last being the last look; CLI_INTERRUPTED; or as progress_read. Call interrupt_catch before. */
int progress_follow(Source *source, const Cli *cli, const char *sweep, SweepRecord *last, Error *error);
