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
/* Of its compute that is done, of its runs while their compute is not known: 1 when it is finished, whatever the sums of FLOPs round to. */
double progress_share(const SweepRecord *sweep);
/* Of one run, eval included; by its steps while its FLOPs are not known. */
double progress_run_share(const RunRecord *run);
/* All that is left are runs that no machine has memory for: they wait until one that has asks for runs. */
bool progress_stuck(const SweepRecord *sweep);
/* CLI_OK, or CLI_RUNS_FAILED when the sweep is stuck, or has finished with failed or cancelled runs, with the error saying how many, and
 * why. A run that diverged is a result. */
int progress_exit(Source *source, const SweepRecord *sweep, Error *error);
/* "41 of 80 runs, 2 running, 1 failed; 1.23 of 2.34 TFLOP; 45.1 GFLOP/s; 40 s left" */
void progress_line(const Progress *progress, Buffer *out);

/* "the daemon has a problem: " */
extern const char progress_problem[];

/* What has been told of what stands in the way. */
typedef struct ProgressTold {
    char problem[ERROR_TEXT_MAX], waiting[RECORD_TEXT_MAX];
    double waiting_at, problem_at; /* monotonic; when it was told, when it was asked for */
} ProgressTold;

/* What the daemon's problem is, why nothing of the sweep runs although something is to be run, and which run no machine has memory for, as
 * the daemon sees it: on stderr, each reason once. Whether anything was told. */
bool progress_tell(Source *source, const SweepRecord *sweep, ProgressTold *told);

/* Shows the sweep on stdout until it has finished or is stuck: a block that is drawn anew on a terminal, a line at most every ten seconds
 * in a pipe. 0 then, *last being the last look; CLI_INTERRUPTED; or as progress_read. Call interrupt_catch before. */
int progress_follow(Source *source, const Cli *cli, const char *sweep, SweepRecord *last, Error *error);
