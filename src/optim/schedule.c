#include "sweepd/optim.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

static const char *const names[] = {
    [SCHEDULE_CONSTANT] = "constant",
    [SCHEDULE_LINEAR] = "linear",
    [SCHEDULE_COSINE] = "cosine",
    [SCHEDULE_WSD] = "wsd",
};

const char *schedule_kind_text(ScheduleKind kind) {
    return names[kind];
}

/* x: the share of the run that lies behind, [0, 1]. */
static double decay_factor(const ScheduleSettings *settings, double x) {
    switch (settings->kind) {
    case SCHEDULE_LINEAR:
        return 1 - x;
    case SCHEDULE_COSINE:
        return (1 + cos(pi * x)) / 2;
    case SCHEDULE_WSD:
        return settings->decay > 0 ? fmin(1, (1 - x) / settings->decay) : 1;
    case SCHEDULE_CONSTANT:
        break;
    }
    return 1;
}

double schedule_factor(const ScheduleSettings *settings, int64_t step, int64_t steps) {
    double warmup = 1;
    if (settings->warmup > 0) {
        double warmup_steps = fmax(1, nearbyint(settings->warmup * (double)steps));
        warmup = fmin(1, (double)(step + 1) / warmup_steps);
    }
    return warmup * decay_factor(settings, (double)step / (double)steps);
}
