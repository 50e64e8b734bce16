#include "settings.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const count_texts[] = {"exact", "paper", "6nd"};
static const char *const count_words[] = {
    "FLOPs as executed, 2 for a multiply-add",
    "FLOPs as the paper counts them, 3 N T (multiply-adds + 5 per LayerNorm element)",
    "FLOPs by the rule 6 x parameters x examples x epochs",
};

const char *flop_count_text(FlopCount count) {
    return count_texts[count];
}

const char *flop_count_words(FlopCount count) {
    return count_words[count];
}

double flop_count_of(const Flops *flops, FlopCount count) {
    return count == COUNT_EXACT ? flops->exact : count == COUNT_PAPER ? flops->paper : flops->nd6;
}

void study_options_read(StudyOptions *out, const Arguments *arguments, const FitSettings *settings) {
    const char *method = arguments_text(arguments, "method", NULL), *flops = arguments_text(arguments, "flops", "exact");
    text_copy(out->metric, sizeof out->metric, arguments_text(arguments, "metric", settings->metric));
    out->flops = COUNT_EXACT;
    for (FlopCount count = COUNT_EXACT; count <= COUNT_6ND; count++)
        if (!strcmp(flops, count_texts[count]))
            out->flops = count;
    out->body_params = !strcmp(arguments_text(arguments, "params", "total"), "body");
    out->methods = settings->methods;
    if (method)
        out->methods = !strcmp(method, "parametric") ? FIT_PARAMETRIC
                       : !strcmp(method, "isoflop")  ? FIT_ISOFLOP
                                                     : FIT_PARAMETRIC | FIT_ISOFLOP;
    out->resamples = (int64_t)arguments_number(arguments, "bootstrap", (double)settings->bootstrap);
    out->seed = (uint64_t)arguments_number(arguments, "seed", 0);
}

static int keep_run(void *context, const RunRecord *record, Error *error) {
    Study *study = context;
    if (study->run_count == study->run_capacity) {
        size_t capacity = study->run_capacity ? 2 * study->run_capacity : 128;
        StudyRun *runs = reallocarray(study->runs, capacity, sizeof *runs);
        if (!runs)
            return error_set(error, "out of memory");
        study->runs = runs;
        study->run_capacity = capacity;
    }
    StudyRun *run = &study->runs[study->run_count++];
    *run = (StudyRun){
        .id = record->id,
        .state = record->state,
        .params = (double)record->params,
        .params_body = (double)record->params_body,
        .depth = record->depth,
        .width = record->width,
        .examples = record->examples,
        .seed = record->seed,
        .lr = record->lr,
        .flops = record->flops,
        .metric = record->has_point && record->state == RUN_DONE ? point_metric(&record->last, study->options.metric) : NAN,
    };
    text_copy(run->model, sizeof run->model, record->model);
    text_copy(run->key, sizeof run->key, record->key);
    if (record->has_point)
        study->seen = record->last;
    return 0;
}

/* A mistyped name would look like runs without results. */
static int check_metric(const Study *study, Error *error) {
    char names[ERROR_TEXT_MAX / 2] = "";
    size_t used = 0;
    for (size_t i = 0; i < study->seen.metric_count && used < sizeof names; i++) {
        if (!strcmp(study->seen.metrics[i].name, study->options.metric))
            return 0;
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", study->seen.metrics[i].name);
    }
    return used == 0
               ? 0
               : cli_usage(error, "--metric: the runs of %s have no %s; they have %s", study->sweep.name, study->options.metric, names);
}

static int compare_doubles(double a, double b) {
    return (a > b) - (a < b);
}

static int compare_cells(const StudyRun *a, const StudyRun *b) {
    int order = strcmp(a->model, b->model);
    order = order ? order : compare_doubles(a->params, b->params);
    return order ? order : compare_doubles((double)a->examples, (double)b->examples);
}

/* By everything but the seed, as far as it is known: where settings are not, the record still tells the rate and the compute. */
static int compare_configurations(const void *left, const void *right) {
    const StudyRun *a = *(const StudyRun *const *)left, *b = *(const StudyRun *const *)right;
    int order = compare_cells(a, b);
    order = order ? order : (a->setting > b->setting) - (a->setting < b->setting);
    order = order ? order : compare_doubles(a->lr, b->lr);
    return order ? order : compare_doubles(a->flops.exact, b->flops.exact);
}

static int compare_runs(const void *left, const void *right) {
    const StudyRun *a = *(const StudyRun *const *)left, *b = *(const StudyRun *const *)right;
    int order = compare_configurations(left, right);
    return order ? order : (a->seed > b->seed) - (a->seed < b->seed);
}

static bool run_usable(Study *study, const StudyRun *run) {
    switch (run->state) {
    case RUN_PENDING:
    case RUN_RUNNING:
        study->unfinished++;
        return false;
    case RUN_DIVERGED:
        study->diverged++;
        return false;
    case RUN_FAILED:
        study->failed++;
        return false;
    case RUN_CANCELLED:
        study->cancelled++;
        return false;
    default:
        break;
    }
    if (!isfinite(run->metric))
        study->without_metric++;
    else if (run->metric <= 0)
        study->not_positive++;
    return isfinite(run->metric) && run->metric > 0;
}

/* usable: [count], sorted. No two runs are the same run, so that two of one seed differ in some setting even when nothing tells which. */
static void find_mixed(Study *study, const StudyRun **usable, size_t count) {
    SettingNames names = {0};
    const StudyRun *counted = NULL;
    for (size_t i = 1; i < count; i++) {
        const StudyRun *a = usable[i - 1], *b = usable[i];
        if (compare_cells(a, b) || (compare_configurations(&a, &b) == 0 && a->seed != b->seed))
            continue;
        settings_compare(study, a, b, &names);
        study->mixed += !counted || compare_cells(counted, b);
        counted = b;
    }
    for (size_t i = 0, used = 0; i < names.count && used < sizeof study->mixed_settings; i++)
        used += (size_t)snprintf(study->mixed_settings + used, sizeof study->mixed_settings - used, "%s%s", i ? ", " : "", names.names[i]);
}

/* What an external program does not tell. */
static int check_counted(const Study *study, const StudyRun *run, const FitPoint *point, Error *error) {
    if (point->params > 0 && point->flops > 0)
        return 0;
    const char *what = point->params > 0 ? "FLOPs" : "parameters";
    return error_set(error,
                     "run %lld, %s: its %s are not known by this count; an external program's parameters count as total, its FLOPs as %s",
                     (long long)run->id, run->model, what, count_texts[study->options.flops == COUNT_EXACT ? COUNT_6ND : COUNT_EXACT]);
}

static int make_points(Study *study, Error *error) {
    const StudyRun **usable = calloc(study->run_count + 1, sizeof *usable);
    study->points = calloc(study->run_count + 1, sizeof *study->points);
    if (!usable || !study->points) {
        free(usable);
        return error_set(error, "out of memory");
    }
    size_t count = 0;
    for (size_t i = 0; i < study->run_count; i++)
        if (run_usable(study, &study->runs[i]))
            usable[count++] = &study->runs[i];
    qsort(usable, count, sizeof *usable, compare_runs);
    find_mixed(study, usable, count);
    int64_t configuration = 0;
    for (size_t i = 0; i < count; i++) {
        const StudyRun *run = usable[i];
        if (i > 0 && compare_configurations(&usable[i - 1], &usable[i]))
            configuration++;
        study->points[i] = (FitPoint){
            .params = study->options.body_params ? run->params_body : run->params,
            .examples = (double)run->examples,
            .flops = flop_count_of(&run->flops, study->options.flops),
            .loss = run->metric,
            .configuration = configuration,
        };
        if (check_counted(study, run, &study->points[i], error)) {
            free(usable);
            return -1;
        }
    }
    study->point_count = count;
    free(usable);
    return 0;
}

int study_load(Study *out, Source *source, const SweepRecord *sweep, const StudyOptions *options, Error *error) {
    *out = (Study){.sweep = *sweep, .options = *options};
    int result = source_runs(source, sweep, -1, keep_run, out, error);
    if (!result)
        result = settings_load(out, source, error);
    if (!result)
        result = make_points(out, error);
    if (result)
        study_deinit(out);
    return result;
}

int study_open(Study *out, Source *source, const Arguments *arguments, Error *error) {
    SweepRecord sweep;
    FitSettings settings;
    StudyOptions options;
    *out = (Study){0};
    int result = source_sweep(source, arguments->positional, &sweep, error);
    if (!result)
        result = source_fit_settings(source, &sweep, &settings, error);
    if (result)
        return result;
    study_options_read(&options, arguments, &settings);
    result = study_load(out, source, &sweep, &options, error);
    if (!result && arguments_flag(arguments, "metric") && (result = check_metric(out, error)))
        study_deinit(out);
    return result;
}

void study_deinit(Study *study) {
    if (!study)
        return;
    free(study->runs);
    free(study->points);
    json_decref(study->settings);
    *study = (Study){0};
}

static void warn(FitWarnings *out, int64_t count, const char *code, const char *one, const char *many) {
    if (count == 0 || out->count == FIT_WARNINGS_MAX)
        return;
    FitWarning *warning = &out->items[out->count++];
    text_copy(warning->code, sizeof warning->code, code);
    snprintf(warning->text, sizeof warning->text, "%lld %s left out", (long long)count, count == 1 ? one : many);
}

void study_warnings(const Study *study, FitWarnings *out) {
    warn(out, study->diverged, "runs_diverged", "run diverged and is", "runs diverged and are");
    warn(out, study->failed, "runs_failed", "run failed and is", "runs failed and are");
    warn(out, study->cancelled, "runs_cancelled", "run was cancelled and is", "runs were cancelled and are");
    warn(out, study->unfinished, "runs_missing", "run has not finished and is", "runs have not finished and are");
    warn(out, study->without_metric, "metric_missing", "finished run lacks the metric and is", "finished runs lack the metric and are");
    warn(out, study->not_positive, "metric_not_positive", "finished run has a metric of zero or below and is",
         "finished runs have a metric of zero or below and are");
    if (study->mixed > 0 && out->count < FIT_WARNINGS_MAX) {
        FitWarning *warning = &out->items[out->count++];
        text_copy(warning->code, sizeof warning->code, "settings_mixed");
        snprintf(warning->text, sizeof warning->text,
                 "in %lld pair%s of model and examples the runs differ in more than the seed (%s); the fit takes them all: fit one setting "
                 "at a time",
                 (long long)study->mixed, study->mixed == 1 ? "" : "s", study->mixed_settings[0] ? study->mixed_settings : "some setting");
    }
}
