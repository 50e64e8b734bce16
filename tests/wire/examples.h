/* Messages with everything in them, at the ends of their ranges. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sweepd/wire.h"

static inline Run example_run(void) {
    Run run = {
        .model = {.kind = MODEL_BMLP, .inputs = 784, .classes = 10, .depth = 2, .width = 64, .expansion = 4},
        .data_name = "fashion-mnist",
        .data_digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        .validation = 5000,
        .subset_seed = 3,
        .examples = 500,
        .seed = 7,
        .epochs = 20,
        .batch = 128,
        .evaluations = 8,
        .schedule = {.kind = SCHEDULE_COSINE, .warmup = 0.05},
        .label_smoothing = 0.1,
    };
    optimizer_settings_default(OPTIMIZER_LION, &run.optimizer);
    run.optimizer.lr = 0.1 + 0.2;
    run.optimizer.weight_decay = 0.1;
    return run;
}

static inline Environment example_environment(void) {
    Environment environment = {.pid = INT64_MAX, .threads = 2};
    memset(environment.host, 'h', sizeof environment.host - 1);
    strcpy(environment.cpu, "quote \" backslash \\ newline \n tab \t \x01 caf\xc3\xa9");
    strcpy(environment.version, "0.1.0 (1a2b3c4+)");
    strcpy(environment.backend, "openblas 0.3.21");
    return environment;
}

static inline Point example_point(int64_t step) {
    Point point = {.step = step, .examples = DBL_MAX, .flops = DBL_MIN, .seconds = 4.9e-324};
    point_set_metric(&point, "test_error", 0.1);
    point_set_metric(&point, "train_loss", -DBL_MAX);
    point_set_metric(&point, "validation_loss", NAN);
    return point;
}

/* To be freed. */
static inline Report *example_report(ReportKind kind, size_t points) {
    Report *report = calloc(1, sizeof *report);
    report->kind = kind;
    report->attempt_id = 12;
    strcpy(report->token, "f00d");
    report->sequence = INT64_MAX;
    report->step = 17;
    report->flops = 1e300;
    if (kind != REPORT_HEARTBEAT)
        for (report->point_count = 0; report->point_count < points; report->point_count++)
            report->points[report->point_count] = example_point((int64_t)report->point_count);
    if (kind == REPORT_RESULT) {
        report->outcome = OUTCOME_OK;
        report->state = RUN_DIVERGED;
        memset(report->detail, 'd', sizeof report->detail - 1);
        report->environment = example_environment();
    }
    return report;
}

static inline RunRecord example_run_record(int64_t id) {
    RunRecord record = {.id = id,
                        .key = "0123456789abcdef",
                        .state = RUN_DONE,
                        .attempts = 3,
                        .model = "B_6-Wi_256",
                        .params = INT64_MAX,
                        .seed = UINT64_MAX,
                        .lr = 2e-3,
                        .flops = {1e18, 2e18, DBL_MAX, 0.5},
                        .has_point = id % 2 == 1,
                        .detail = "signal 9 (Killed)"};
    if (record.has_point)
        record.last = example_point(id);
    return record;
}
