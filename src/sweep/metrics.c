/* Which metrics a run's last point has, so that a file may be told at once that its fit's metric is none of them. */
#include "schema.h"

#include "sweepd/record.h"

#include <stdio.h>
#include <string.h>

enum { TOP = 5 };

typedef struct Names {
    size_t wanted, seen;
    const Transfer *transfer; /* whose metrics are offered; NULL: the run's own */
    char *out;
} Names;

/* Whether this is the name that was asked for. */
static bool offer(Names *names, const char *metric) {
    if (names->seen++ != names->wanted)
        return false;
    if (names->transfer)
        transfer_metric(names->transfer, metric, names->out);
    else
        text_copy(names->out, METRIC_NAME_MAX, metric);
    return true;
}

static bool offer_section(Names *names, const Run *run, const char *section) {
    static const char *const measures[METRICS_OF_SECTION] = {"error", "loss", "top5_error"};
    bool has_top = run->model.classes > TOP && run->trainer != TRAINER_SIMULATED;
    for (size_t i = 0; i < METRICS_OF_SECTION - (size_t)!has_top; i++) {
        char metric[METRIC_NAME_MAX];
        snprintf(metric, sizeof metric, "%s_%s", section, measures[i]);
        if (offer(names, metric))
            return true;
    }
    return false;
}

static bool offer_run(Names *names, const Run *run) {
    bool validated = run->validation > 0 || run->trainer != TRAINER_BUILTIN;
    const TestSettings *test = &run->test;
    return offer_section(names, run, "test") || (test->crops > 0 && offer_section(names, run, "tta.test")) ||
           (*test->real.path && (offer(names, "real.test_error") || (test->crops > 0 && offer(names, "tta.real.test_error")))) ||
           (validated && offer_section(names, run, "validation")) || offer_section(names, run, "train");
}

/* An item measures what a run of its own would, and what that took. */
static bool offer_transfer(Names *names, const Run *run, size_t index) {
    Run own;
    run_transfer(run, index, &own);
    names->transfer = &run->transfers[index];
    return offer_run(names, &own) || offer(names, "flops");
}

bool run_metric(const Run *run, size_t index, char out[METRIC_NAME_MAX]) {
    Names names = {.wanted = index, .out = out};
    bool found = offer_run(&names, run);
    for (size_t i = 0; !found && i < run->transfer_count; i++)
        found = offer_transfer(&names, run, i);
    return found;
}

bool run_has_metric(const Run *run, const char *name) {
    char own[METRIC_NAME_MAX];
    for (size_t i = 0; run_metric(run, i, own); i++)
        if (strcmp(own, name) == 0)
            return true;
    return false;
}
