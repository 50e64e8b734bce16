/* Which metrics a run's last point has, so that a file may be told at once that its fit's metric is none of them. */
#include "schema.h"

#include "sweepd/record.h"

#include <stdio.h>
#include <string.h>

enum { TOP = 5 };

typedef struct Names {
    size_t wanted, seen;
    char *out;
} Names;

/* Whether this is the name that was asked for. */
static bool offer(Names *names, const char *section, const char *measure) {
    if (names->seen++ != names->wanted)
        return false;
    snprintf(names->out, METRIC_NAME_MAX, "%s_%s", section, measure);
    return true;
}

static bool offer_section(Names *names, const Run *run, const char *section) {
    bool has_top = run->model.classes > TOP && run->trainer != TRAINER_SIMULATED;
    return offer(names, section, "error") || offer(names, section, "loss") || (has_top && offer(names, section, "top5_error"));
}

bool run_metric(const Run *run, size_t index, char out[METRIC_NAME_MAX]) {
    Names names = {.wanted = index, .out = out};
    bool validated = run->validation > 0 || run->trainer != TRAINER_BUILTIN;
    const TestSettings *test = &run->test;
    return offer_section(&names, run, "test") || (test->crops > 0 && offer_section(&names, run, "tta.test")) ||
           (*test->real.path && (offer(&names, "real.test", "error") || (test->crops > 0 && offer(&names, "tta.real.test", "error")))) ||
           (validated && offer_section(&names, run, "validation")) || offer_section(&names, run, "train");
}

bool run_has_metric(const Run *run, const char *name) {
    char own[METRIC_NAME_MAX];
    for (size_t i = 0; run_metric(run, i, own); i++)
        if (strcmp(own, name) == 0)
            return true;
    return false;
}
