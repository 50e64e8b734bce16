/* A study is loaded, then narrowed: --where, then what has no result, then --drop-first-share. */
#include "settings.h"
#include "tuning.h"

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

static unsigned methods_chosen(const Arguments *arguments, unsigned otherwise) {
    unsigned methods = 0;
    for (FitMethod method = 0; method < FIT_METHODS; method++)
        if (arguments_chose(arguments, "method", "all") || arguments_chose(arguments, "method", fit_method_text(method)))
            methods |= 1u << method;
    return methods ? methods : otherwise;
}

/* `predict` takes budgets by --flops, and the count under another name. */
static FlopCount count_chosen(const Arguments *arguments, FlopCount otherwise) {
    const char *text = arguments_text(arguments, "convention", NULL);
    if (!text && arguments->command && cli_option_find(arguments->command, "flops") && !cli_option_find(arguments->command, "convention"))
        text = arguments_text(arguments, "flops", NULL);
    for (FlopCount count = COUNT_EXACT; text && count <= COUNT_6ND; count++)
        if (!strcmp(text, count_texts[count]))
            return count;
    return otherwise;
}

int study_options_read(StudyOptions *out, const Arguments *arguments, const FitSettings *settings, Error *error) {
    const char *params = arguments_text(arguments, "params", NULL), *loss = arguments_text(arguments, "loss", NULL);
    const char *where = arguments_text(arguments, "where", NULL);
    *out = (StudyOptions){0};
    text_copy(out->metric, sizeof out->metric, arguments_text(arguments, "metric", settings->metric));
    text_copy(out->select, sizeof out->select, settings->select);
    out->flops = count_chosen(arguments, (FlopCount)settings->flops);
    out->body_params = params ? !strcmp(params, "body") : settings->params == SWEEP_PARAMS_BODY;
    out->methods = methods_chosen(arguments, settings->methods);
    out->loss = (FitLoss)settings->loss;
    if (loss)
        fit_loss_find(loss, &out->loss);
    out->resamples = (int64_t)arguments_number(arguments, "bootstrap", (double)settings->bootstrap);
    out->seed = (uint64_t)arguments_number(arguments, "seed", 0);
    out->drop_first_share = arguments_number(arguments, "drop-first-share", settings->drop_first_share);
    return where ? where_parse(&out->where, where, error) : 0;
}

static void note_metrics(Study *study, const Point *last) {
    for (size_t i = 0; i < last->metric_count; i++)
        if (!isfinite(point_metric(&study->seen, last->metrics[i].name)))
            point_set_metric(&study->seen, last->metrics[i].name, last->metrics[i].value);
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
        .attempts = record->attempts,
        .failures = record->failures,
        .seconds = record->seconds,
        .lr = record->lr,
        .flops = record->flops,
        .metric = record->has_point && record->state == RUN_DONE ? point_metric(&record->last, study->options.metric) : NAN,
        .selection = record->has_point ? point_metric(&record->last, study->options.select) : NAN,
        .position = study->run_count - 1,
    };
    text_copy(run->model, sizeof run->model, record->model);
    text_copy(run->key, sizeof run->key, record->key);
    if (record->has_point && record->state == RUN_DONE)
        note_metrics(study, &record->last);
    return 0;
}

static void list_metrics(const Study *study, char *out, size_t capacity) {
    size_t used = 0;
    text_copy(out, capacity, "none");
    for (size_t i = 0; i < study->seen.metric_count && used < capacity; i++)
        if (isfinite(study->seen.metrics[i].value))
            used += (size_t)snprintf(out + used, capacity - used, "%s%s", used ? ", " : "", study->seen.metrics[i].name);
}

/* A name that no run has would look like runs without results. */
int study_check_metric(const Study *study, bool stated, Error *error) {
    char names[ERROR_TEXT_MAX / 2];
    const char *metric = study->options.metric, *select = study->options.select;
    bool tuned = study->file && sweep_tuned_count(study->file) > 0, done = false;
    for (size_t i = 0; i < study->run_count; i++)
        done = done || study->runs[i].state == RUN_DONE;
    bool has_metric = isfinite(point_metric(&study->seen, metric));
    if (!done || (has_metric && (!tuned || isfinite(point_metric(&study->seen, select)))))
        return 0;
    list_metrics(study, names, sizeof names);
    if (!has_metric && stated)
        return cli_usage(error, "--metric: the runs of %s have no %s; they have %s", study->name, metric, names);
    error_set(
        error,
        "the finished runs of %s have no %s, %s; they have %s. Write one of these as %s in the sweep file and submit it again: what is "
        "done stays done%s",
        study->name, has_metric ? select : metric, has_metric ? "which is to choose among tuned settings" : "which is to be fitted", names,
        has_metric ? "fit.select" : "fit.metric", has_metric ? "" : ". Or give --metric");
    return CLI_FAILED;
}

/* ---- what an external program has told of some runs of a model ---- */

/* Of a model those that have told come first, by what they told. */
static int compare_told(const void *left, const void *right) {
    const StudyRun *a = *(const StudyRun *const *)left, *b = *(const StudyRun *const *)right;
    int order = strcmp(a->model, b->model);
    order = order ? order : (a->depth > b->depth) - (a->depth < b->depth);
    order = order ? order : (a->width > b->width) - (a->width < b->width);
    return order ? order : (b->params > a->params) - (b->params < a->params);
}

static bool same_model(const StudyRun *a, const StudyRun *b) {
    return !strcmp(a->model, b->model) && a->depth == b->depth && a->width == b->width;
}

/* sorted: [count], of one model. Where the told differ, a setting decides them, too, and what another run has is not known. */
static void fill_params(StudyRun **sorted, size_t count) {
    size_t told = 0;
    while (told < count && sorted[told]->params > 0)
        told++;
    for (size_t i = told; told > 0 && sorted[0]->params == sorted[told - 1]->params && i < count; i++)
        sorted[i]->params = sorted[0]->params;
}

/* A run that ended before its program had told is of the same model as those that did. */
static int fill_untold(Study *study, Error *error) {
    StudyRun **sorted = calloc(study->run_count + 1, sizeof *sorted);
    if (!sorted)
        return error_set(error, "out of memory");
    for (size_t i = 0; i < study->run_count; i++)
        sorted[i] = &study->runs[i];
    qsort(sorted, study->run_count, sizeof *sorted, compare_told);
    for (size_t first = 0, end; first < study->run_count; first = end) {
        for (end = first; end < study->run_count && same_model(sorted[first], sorted[end]);)
            end++;
        fill_params(&sorted[first], end - first);
    }
    free(sorted);
    return 0;
}

static int load_runs(Study *study, Source *source, Error *error) {
    text_copy(study->name, sizeof study->name, study->sweep.name);
    int result = source_runs(source, &study->sweep, -1, keep_run, study, error);
    result = result ? result : fill_untold(study, error);
    return result ? result : settings_load(study, source, error);
}

int study_load_runs(Study *out, Source *source, const SweepRecord *sweep, Error *error) {
    *out = (Study){.sweep = *sweep};
    int result = load_runs(out, source, error);
    if (result)
        study_deinit(out);
    return result;
}

const StudyRun *study_run_after(const Study *study, size_t *at, int64_t id) {
    for (size_t i = *at; i < study->run_count; i++)
        if (study->runs[i].id == id) {
            *at = i + 1;
            return &study->runs[i];
        }
    return NULL;
}

/* Without its tune, every setting that was tried would be fitted. */
static int check_tuning(const Study *study, Error *error) {
    if (!study->untold || study->options.where.count > 0)
        return 0;
    error_set(
        error,
        "the file of %s does not tell its runs' settings any more, so that tune cannot choose among them: bring back its data as they "
        "were, or say by --where which runs to fit, as in 'lr = 0.001'",
        study->name);
    return CLI_FAILED;
}

int study_load(Study *out, Source *source, const SweepRecord *sweep, const StudyOptions *options, Error *error) {
    *out = (Study){.sweep = *sweep, .options = *options};
    int result = load_runs(out, source, error);
    if (!result)
        result = check_tuning(out, error);
    if (!result)
        result = study_keep_wanted(out, error);
    if (!result)
        result = tuning_select(out, error);
    if (!result)
        result = study_make_points(out, error);
    if (!result)
        result = study_drop_first(out, error);
    if (result)
        study_deinit(out);
    return result;
}

/* The defaults in place of what cannot be read are another fit, which a person has to want. */
static int read_settings(Source *source, const SweepRecord *sweep, const Arguments *arguments, FitSettings *out, Error *error) {
    int result = source_fit_settings(source, sweep, out, error);
    if (result != SWEEP_INVALID)
        return result;
    Error reason = *error;
    if (!arguments_flag(arguments, "metric")) {
        error_set(
            error,
            "the file of %s cannot be read any more, so that its metric, its fit settings and its tune are not known: %.400s. Submit it "
            "again, or say what to fit by --metric, with --method, --loss, --bootstrap, --drop-first-share and --where as it had them",
            sweep->name, reason.text);
        return CLI_FAILED;
    }
    cli_note("the file of %s cannot be read any more: %.400s; what is not stated here has its default, and nothing is tuned", sweep->name,
             reason.text);
    return 0;
}

int study_open(Study *out, Source *source, const char *name, const Arguments *arguments, Error *error) {
    SweepRecord sweep;
    FitSettings settings;
    StudyOptions options;
    *out = (Study){0};
    int result = source_sweep(source, name, &sweep, error);
    if (!result)
        result = read_settings(source, &sweep, arguments, &settings, error);
    if (!result)
        result = study_options_read(&options, arguments, &settings, error);
    if (result)
        return result;
    result = study_load(out, source, &sweep, &options, error);
    if (!result && (result = study_check_metric(out, arguments_flag(arguments, "metric"), error)))
        study_deinit(out);
    return result;
}

int study_open_either(Study *out, Source **source, const Cli *cli, const Arguments *arguments, Error *error) {
    const char *table = arguments_text(arguments, "points", NULL);
    *source = NULL;
    *out = (Study){0};
    if (!table == !arguments->positional)
        return cli_usage(error, "%s takes either a sweep or --points FILE.csv", arguments->command->name);
    if (table)
        return study_open_table(out, table, arguments, error);
    int result = source_open(source, cli, SOURCE_ANY, error);
    return result ? result : study_open(out, *source, arguments->positional, arguments, error);
}

void study_deinit(Study *study) {
    if (!study)
        return;
    free(study->runs);
    free(study->points);
    free(study->tuning.wins);
    sweep_free(study->file);
    json_decref(study->settings);
    *study = (Study){0};
}
