/* Runs become points. What does not is counted, and named where a whole cell goes. */
#include "settings.h"
#include "tuning.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- --where ---- */

/* A run, as --where names what it has. */
typedef struct RunFields {
    const Study *study;
    const StudyRun *run;
} RunFields;

static WhereField field_number(double value) {
    return (WhereField){.number = value};
}

static WhereField field_text(const char *text) {
    return (WhereField){.number = NAN, .text = text};
}

static WhereField field_setting(const json_t *value) {
    if (json_is_number(value))
        return field_number(json_number_value(value));
    return field_text(json_is_string(value) ? json_string_value(value) : NULL);
}

/* A setting, or the metric, which has its prefix where a setting is called so. */
static WhereField field_other(const Study *study, const StudyRun *run, const char *name) {
    const char *metric = study->options.metric;
    const json_t *setting = settings_find(study, run, name);
    bool prefixed = !strncmp(name, METRIC_PREFIX, strlen(METRIC_PREFIX)) && !strcmp(name + strlen(METRIC_PREFIX), metric);
    if (prefixed || (!setting && !strcmp(name, metric)))
        return field_number(run->metric);
    return field_setting(setting);
}

static WhereField run_field(const void *context, const char *name) {
    const RunFields *fields = context;
    const StudyRun *run = fields->run;
    const struct {
        const char *name;
        double value;
    } numbers[] = {{"run", (double)run->id},
                   {"depth", (double)run->depth},
                   {"width", (double)run->width},
                   {"params", run->params},
                   {"params_body", run->params_body},
                   {"examples", (double)run->examples},
                   {"seed", (double)run->seed},
                   {"lr", run->lr},
                   {"flops", flop_count_of(&run->flops, fields->study->options.flops)},
                   {"flops_exact", run->flops.exact},
                   {"flops_paper", run->flops.paper},
                   {"flops_6nd", run->flops.nd6},
                   {"attempts", (double)run->attempts},
                   {"failures", (double)run->failures},
                   {"seconds", run->seconds}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!strcmp(numbers[i].name, name))
            return field_number(numbers[i].value);
    if (!strcmp(name, "state"))
        return field_text(run_state_text(run->state));
    if (!strcmp(name, "key"))
        return field_text(run->key);
    if (!strcmp(name, "model"))
        return field_text(run->model);
    return field_other(fields->study, run, name);
}

/* Of the first settings, for the message about a name that there is not. */
static void list_names(const Study *study, char *out, size_t capacity) {
    size_t used = (size_t)snprintf(out, capacity,
                                   "run, state, model, depth, width, params, params_body, examples, seed, lr, flops, flops_exact, "
                                   "flops_paper, flops_6nd, attempts, "
                                   "failures, seconds, key, %s",
                                   study->options.metric);
    const char *name;
    json_t *value;
    json_object_foreach(json_array_get(study->settings, 0), name, value) {
        bool scalar = json_is_number(value) || json_is_string(value);
        if (scalar && used < capacity && !strstr(out, name))
            used += (size_t)snprintf(out + used, capacity - used, ", %s", name);
    }
}

int study_keep_wanted(Study *study, Error *error) {
    Where *where = &study->options.where;
    size_t kept = 0;
    char names[512];
    int result = 0;
    for (size_t i = 0; i < study->run_count && !result; i++) {
        bool holds;
        const RunFields fields = {study, &study->runs[i]};
        result = where_holds(where, run_field, &fields, &holds, error);
        if (!result && holds)
            study->runs[kept++] = study->runs[i];
    }
    if (result || study->run_count == 0)
        return result;
    study->left_out.unwanted = (int64_t)(study->run_count - kept);
    study->run_count = kept;
    list_names(study, names, sizeof names);
    return where_check_names(where, names, error);
}

/* ---- configurations ---- */

static int compare_cells(const StudyRun *a, const StudyRun *b) {
    int order = strcmp(a->model, b->model);
    order = order ? order : doubles_compare(&a->params, &b->params);
    return order ? order : (a->examples > b->examples) - (a->examples < b->examples);
}

/* By everything but the seed, as far as it is known: where settings are not, the record still tells the rate and the compute. */
static int compare_configurations(const StudyRun *a, const StudyRun *b) {
    int order = compare_cells(a, b);
    order = order ? order : (a->setting > b->setting) - (a->setting < b->setting);
    order = order ? order : doubles_compare(&a->lr, &b->lr);
    return order ? order : doubles_compare(&a->flops.exact, &b->flops.exact);
}

static int compare_runs(const void *left, const void *right) {
    const StudyRun *a = *(const StudyRun *const *)left, *b = *(const StudyRun *const *)right;
    int order = compare_configurations(a, b);
    return order ? order : (a->seed > b->seed) - (a->seed < b->seed);
}

/* ---- what is left out ---- */

static bool run_usable(const StudyRun *run) {
    return run->state == RUN_DONE && !run->outdone && isfinite(run->metric) && run->metric > 0;
}

/* Why it is not, unless it was outdone: a word for people, and a place to count it. */
static const char *count_unusable(LeftOut *out, const StudyRun *run) {
    const struct {
        int64_t *count;
        const char *word;
    } states[RUN_STATES] = {[RUN_PENDING] = {&out->unfinished, "not finished"},
                            [RUN_RUNNING] = {&out->unfinished, "not finished"},
                            [RUN_DONE] = {&out->without_metric, "no metric"},
                            [RUN_DIVERGED] = {&out->diverged, "diverged"},
                            [RUN_FAILED] = {&out->failed, "failed"},
                            [RUN_CANCELLED] = {&out->cancelled, "cancelled"}};
    bool not_positive = run->state == RUN_DONE && isfinite(run->metric);
    ++*(not_positive ? &out->not_positive : states[run->state].count);
    return not_positive ? "not positive" : states[run->state].word;
}

static void note_cell(LeftOut *out, const StudyRun *run, const char *why) {
    enum { NAMED = 3 };
    size_t used = strlen(out->cell_names);
    if (out->cells++ < NAMED)
        snprintf(out->cell_names + used, sizeof out->cell_names - used, "%s%.24s at %lld examples (%s)", used ? ", " : "", run->model,
                 (long long)run->examples, why);
}

/* sorted: [run_count]. Moves the usable runs to the front, in their order, and returns how many. */
static size_t keep_usable(Study *study, const StudyRun **sorted) {
    size_t kept = 0;
    for (size_t first = 0, end; first < study->run_count; first = end) {
        const StudyRun *cell = sorted[first];
        const char *why = NULL;
        size_t before = kept;
        for (end = first; end < study->run_count && !compare_cells(cell, sorted[end]); end++) {
            if (run_usable(sorted[end]))
                sorted[kept++] = sorted[end];
            else if (!sorted[end]->outdone)
                why = count_unusable(&study->left_out, sorted[end]);
        }
        if (kept == before)
            note_cell(&study->left_out, cell, why ? why : "no setting finished with every seed");
    }
    return kept;
}

/* usable: [count], sorted. No two runs are the same run, so that two of one seed differ in some setting even when nothing tells which. */
static void find_mixed(Study *study, const StudyRun **usable, size_t count) {
    SettingNames names = {0};
    LeftOut *out = &study->left_out;
    const StudyRun *counted = NULL;
    for (size_t i = 1; i < count; i++) {
        const StudyRun *a = usable[i - 1], *b = usable[i];
        if (compare_cells(a, b) || (compare_configurations(a, b) == 0 && a->seed != b->seed))
            continue;
        settings_compare(study, a, b, &names);
        out->mixed += !counted || compare_cells(counted, b);
        counted = b;
    }
    for (size_t i = 0, used = 0; i < names.count && used < sizeof out->mixed_settings; i++)
        used += (size_t)snprintf(out->mixed_settings + used, sizeof out->mixed_settings - used, "%s%s", i ? ", " : "", names.names[i]);
}

/* ---- points ---- */

/* What an external program does not tell. */
static int check_counted(const Study *study, const StudyRun *run, const FitPoint *point, Error *error) {
    if (point->params > 0 && point->flops > 0)
        return 0;
    return error_set(error,
                     "run %lld, %s: its %s are not known by this count; an external program's parameters count as total, its FLOPs as %s",
                     (long long)run->id, run->model, point->params > 0 ? "FLOPs" : "parameters",
                     flop_count_text(study->options.flops == COUNT_EXACT ? COUNT_6ND : COUNT_EXACT));
}

static int fill_points(Study *study, const StudyRun **usable, size_t count, Error *error) {
    int64_t configuration = 0;
    for (size_t i = 0; i < count; i++) {
        const StudyRun *run = usable[i];
        if (i > 0 && compare_configurations(usable[i - 1], run))
            configuration++;
        study->points[i] = (FitPoint){
            .params = study->options.body_params ? run->params_body : run->params,
            .examples = (double)run->examples,
            .flops = flop_count_of(&run->flops, study->options.flops),
            .loss = run->metric,
            .configuration = configuration,
        };
        if (check_counted(study, run, &study->points[i], error))
            return -1;
    }
    study->point_count = count;
    return 0;
}

int study_make_points(Study *study, Error *error) {
    const StudyRun **sorted = calloc(study->run_count + 1, sizeof *sorted);
    study->points = calloc(study->run_count + 1, sizeof *study->points);
    if (!sorted || !study->points) {
        free(sorted);
        return error_set(error, "out of memory");
    }
    for (size_t i = 0; i < study->run_count; i++)
        sorted[i] = &study->runs[i];
    qsort(sorted, study->run_count, sizeof *sorted, compare_runs);
    size_t count = keep_usable(study, sorted);
    find_mixed(study, sorted, count);
    int result = fill_points(study, sorted, count, error);
    free(sorted);
    return result;
}

int study_drop_first(Study *study, Error *error) {
    size_t first = (size_t)(study->options.drop_first_share * (double)study->point_count), kept = 0;
    double *flops = calloc(study->point_count + 1, sizeof *flops);
    if (!flops)
        return error_set(error, "out of memory");
    for (size_t i = 0; i < study->point_count; i++)
        flops[i] = study->points[i].flops;
    qsort(flops, study->point_count, sizeof *flops, doubles_compare);
    for (size_t i = 0; i < study->point_count; i++)
        if (study->points[i].flops >= flops[first])
            study->points[kept++] = study->points[i];
    study->left_out.first = (int64_t)(study->point_count - kept);
    study->point_count = kept;
    free(flops);
    return 0;
}

/* ---- in words ---- */

static void warn(FitWarnings *out, int64_t count, const char *code, const char *one, const char *many) {
    if (count > 0)
        fit_warn(out, code, "%lld %s left out", (long long)count, count == 1 ? one : many);
}

void study_warnings(const Study *study, FitWarnings *out) {
    const LeftOut *left = &study->left_out;
    warn(out, left->diverged, "runs_diverged", "run diverged and is", "runs diverged and are");
    warn(out, left->failed, "runs_failed", "run failed and is", "runs failed and are");
    warn(out, left->cancelled, "runs_cancelled", "run was cancelled and is", "runs were cancelled and are");
    warn(out, left->unfinished, "runs_missing", "run has not finished and is", "runs have not finished and are");
    warn(out, left->without_metric, "metric_missing", "finished run lacks the metric and is", "finished runs lack the metric and are");
    warn(out, left->not_positive, "metric_not_positive", "finished run has a metric of zero or below and is",
         "finished runs have a metric of zero or below and are");
    if (left->cells > 0)
        fit_warn(out, "cells_missing", "no run of %lld pair%s of model and examples is in the fit: %s%s", (long long)left->cells,
                 left->cells == 1 ? "" : "s", left->cell_names, left->cells > 3 ? ", ..." : "");
    tuning_warn(study, out);
    if (left->mixed > 0)
        fit_warn(out, "settings_mixed",
                 "in %lld pair%s of model and examples the runs differ in more than the seed (%s); the fit takes them all: fit one setting "
                 "at a time (--where)",
                 (long long)left->mixed, left->mixed == 1 ? "" : "s", left->mixed_settings[0] ? left->mixed_settings : "some setting");
}
