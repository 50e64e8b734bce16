/* How fast this machine trains, as `sweep-worker rate` measures it, and how long runs take at that rate. */
#pragma once

#include "sweepd/base.h"
#include "sweepd/sweep.h"

enum { RATE_WIDTHS_MAX = 32 };

typedef struct Rate {
    size_t count;
    double widths[RATE_WIDTHS_MAX]; /* ascending */
    double flops_per_second[RATE_WIDTHS_MAX];
    double evaluation_examples_per_second; /* of rate_evaluation_model */
} Rate;

/* From HOME/rate.json when that was measured on this processor by this version, else measured now and kept there. */
int rate_read(Rate *out, const char *home, Error *error);
/* {"schema_version":1,"rates":[{"width":8,"flops_per_second":1e9},...],"evaluation_examples_per_second":1e5}. 0, or negative with the
 * error. */
int rate_parse(Rate *out, const char *json, size_t size, Error *error);
/* Seconds that one worker needs: training, the evaluations along the way, and the items of eval. */
double rate_run_seconds(const Rate *rate, const Run *run);
