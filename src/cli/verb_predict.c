/* What the fits say about compute that was not spent: the optimum at a budget, or, with --holdout, how well the runs of little compute tell
 * those of much. */
#include "fits.h"
#include "format.h"
#include "holdouts.h"
#include "nearest_model.h"
#include "table.h"

#include <math.h>
#include <string.h>

enum { BUDGETS_MAX = 64 };
static const double level = 0.95;

typedef struct Predictions {
    const Fits *fits;
    NearestModels models;
    double budgets[BUDGETS_MAX];
    size_t budget_count;
} Predictions;

/* ---- budgets, for scripts ---- */

static void encode_model(const NearestModels *models, const Run *run, Buffer *out) {
    char name[ARCH_NAME_MAX];
    run_model(run, name);
    buffer_append_text(out, "{\"model\":");
    buffer_append_json(out, name);
    buffer_printf(out, ",\"depth\":%lld,\"width\":%lld,\"params\":%lld}", (long long)run->model.depth, (long long)run->model.width,
                  (long long)nearest_model_params(models, run));
}

static void encode_models(const NearestModels *models, double params, Buffer *out) {
    Run model;
    bool begun = false;
    buffer_append_text(out, ",\"nearest\":");
    if (nearest_model_find(models, params, &model))
        encode_model(models, &model, out);
    else
        buffer_append_text(out, "null");
    buffer_append_text(out, ",\"models\":[");
    for (size_t i = 0; i < models->depth_count; i++)
        if (nearest_model_of_depth(models, models->depths[i], params, &model)) {
            buffer_append_text(out, begun ? "," : "");
            encode_model(models, &model, out);
            begun = true;
        }
    buffer_append_text(out, "]");
}

static void encode_prediction(const Predictions *all, const Fit *fit, const FitPrediction *prediction, Buffer *out) {
    buffer_append_text(out, "{\"flops\":");
    buffer_append_double(out, prediction->flops);
    buffer_printf(out, ",\"method\":\"%s\",\"params\":", fit_method_text(fit->method));
    estimate_encode(&prediction->params, out);
    buffer_append_text(out, ",\"examples\":");
    estimate_encode(&prediction->examples, out);
    buffer_append_text(out, ",\"loss\":");
    estimate_encode(&prediction->loss, out);
    buffer_printf(out, ",\"beyond\":%s", prediction->beyond ? "true" : "false");
    encode_models(&all->models, prediction->params.value, out);
    buffer_append_text(out, "}");
}

static void encode_refusals(const Fits *fits, Buffer *out) {
    buffer_append_text(out, ",\"refused\":[");
    for (size_t i = 0; i < fits->refused; i++) {
        buffer_printf(out, "%s{\"method\":\"%s\",\"text\":", i ? "," : "", fit_method_text(fits->refusals[i].method));
        buffer_append_json(out, fits->refusals[i].text);
        buffer_append_text(out, "}");
    }
    buffer_append_text(out, "]");
}

/* A warning of a fit is told once for each method that has it. */
static void encode_warnings(const Fits *fits, Buffer *out) {
    FitWarnings all = {0};
    for (size_t i = 0; i < fits->count; i++)
        for (size_t j = 0; j < fits->fits[i].warnings.count; j++)
            fit_warn(&all, fits->fits[i].warnings.items[j].code, "%s: %s", fit_method_text(fits->fits[i].method),
                     fits->fits[i].warnings.items[j].text);
    warnings_encode(&all, &fits->warnings, out);
}

static int print_json(const Predictions *all, Error *error) {
    Buffer out;
    bool begun = false;
    int result = 0;
    buffer_init(&out, 1 << 24);
    buffer_printf(&out, "{\"schema_version\":1,\"level\":%g", level);
    study_encode(all->fits->study, &out);
    buffer_append_text(&out, ",\"predictions\":[");
    for (size_t i = 0; i < all->budget_count && !result; i++)
        for (size_t j = 0; j < all->fits->count && !result; j++) {
            FitPrediction prediction;
            result = fit_predict(&prediction, &all->fits->fits[j], all->budgets[i], level, error);
            buffer_append_text(&out, begun ? "," : "");
            if (!result)
                encode_prediction(all, &all->fits->fits[j], &prediction, &out);
            begun = true;
        }
    buffer_append_text(&out, "]");
    encode_refusals(all->fits, &out);
    encode_warnings(all->fits, &out);
    buffer_append_text(&out, "}\n");
    if (!result)
        result = cli_print(&out, error);
    buffer_deinit(&out);
    return result;
}

/* ---- budgets, for people ---- */

/* "31.2 k (28.9 k to 34.0 k)". */
static void count_cell(Table *table, const FitEstimate *estimate) {
    char value[FORMAT_MAX], lo[FORMAT_MAX], hi[FORMAT_MAX];
    if (!isfinite(estimate->value))
        table_cell(table, "%s", "");
    else if (!isfinite(estimate->lo) || !isfinite(estimate->hi))
        table_cell(table, "%s", format_scaled(estimate->value, "", value));
    else
        table_cell(table, "%s (%s to %s)", format_scaled(estimate->value, "", value), format_scaled(estimate->lo, "", lo),
                   format_scaled(estimate->hi, "", hi));
}

static void loss_cell(Table *table, const FitEstimate *estimate, const char *metric) {
    char value[FORMAT_MAX], lo[FORMAT_MAX], hi[FORMAT_MAX];
    if (!isfinite(estimate->value))
        table_cell(table, "%s", "");
    else if (!isfinite(estimate->lo) || !isfinite(estimate->hi))
        table_cell(table, "%s", format_metric(metric, estimate->value, value));
    else
        table_cell(table, "%s (%s to %s)", format_metric(metric, estimate->value, value), format_metric(metric, estimate->lo, lo),
                   format_metric(metric, estimate->hi, hi));
}

static void prediction_row(const Predictions *all, const Fit *fit, const FitPrediction *prediction, Table *table) {
    char text[FORMAT_MAX], name[ARCH_NAME_MAX];
    Run model;
    table_cell(table, "%s", format_scaled(prediction->flops, "FLOP", text));
    table_cell(table, "%s", fit_method_text(fit->method));
    count_cell(table, &prediction->params);
    count_cell(table, &prediction->examples);
    loss_cell(table, &prediction->loss, all->fits->study->options.metric);
    if (nearest_model_find(&all->models, prediction->params.value, &model)) {
        run_model(&model, name);
        table_cell(table, "%s: %s", name, format_count(nearest_model_params(&all->models, &model), text));
    } else {
        table_cell(table, "%s", "");
    }
    table_cell(table, "%s", prediction->beyond ? "yes" : "");
}

static int print_table(const Predictions *all, const Cli *cli, bool *beyond, Error *error) {
    Table *table;
    char title[SWEEP_NAME_MAX + 32];
    int result = 0;
    if (table_new(&table, cli, error) < 0)
        return -1;
    snprintf(title, sizeof title, "%s there", all->fits->study->options.metric);
    table_column(table, "Budget", TABLE_RIGHT, 0);
    table_column(table, "Method", TABLE_LEFT, 0);
    table_column(table, "P* (95 % interval)", TABLE_LEFT, 0);
    table_column(table, "N* (95 % interval)", TABLE_LEFT, 0);
    table_column(table, title, TABLE_LEFT, 1);
    table_column(table, "Nearest model", TABLE_LEFT, 1);
    table_column(table, "Beyond the data", TABLE_LEFT, 1);
    for (size_t i = 0; i < all->budget_count && !result; i++)
        for (size_t j = 0; j < all->fits->count && !result; j++) {
            FitPrediction prediction;
            result = fit_predict(&prediction, &all->fits->fits[j], all->budgets[i], level, error);
            if (result)
                break;
            prediction_row(all, &all->fits->fits[j], &prediction, table);
            *beyond = *beyond || prediction.beyond;
        }
    if (!result)
        result = table_print(table, error);
    table_free(table);
    return result;
}

static int print_text(const Predictions *all, const Cli *cli, Error *error) {
    bool beyond = false;
    int result = print_table(all, cli, &beyond, error);
    if (result)
        return result;
    if (beyond)
        cli_say(
            cli,
            "\nBeyond the data: the budget lies outside the compute that was fitted. The interval tells how far the resamples' laws part "
            "there, not whether the law still holds.");
    if (all->models.none)
        cli_say(cli, "\nNo nearest model is named: %s.", all->models.none);
    for (size_t i = 0; i < all->fits->refused; i++)
        cli_say(cli, "\n%s refused: %s", fits_method_title(all->fits->refusals[i].method), all->fits->refusals[i].text);
    for (size_t i = 0; i < all->fits->count; i++)
        if (all->fits->fits[i].warnings.count) {
            cli_say(cli, "\n%s:", fits_method_title(all->fits->fits[i].method));
            fits_print_warnings(&all->fits->fits[i].warnings, cli);
        }
    fits_print_warnings(&all->fits->warnings, cli);
    return 0;
}

static int predict_budgets(const Cli *cli, const Arguments *arguments, const Study *study, Error *error) {
    Fits fits;
    Predictions all = {.fits = &fits};
    bool json = arguments_flag(arguments, "json");
    all.budget_count = arguments_numbers(arguments, "flops", all.budgets, BUDGETS_MAX);
    if (all.budget_count > BUDGETS_MAX)
        return cli_usage(error, "--flops takes at most %d budgets", BUDGETS_MAX);
    int result = fits_make(&fits, study, error);
    if (result)
        return result;
    result = fits_result(&fits, error);
    nearest_models_find(&all.models, study);
    if (!result)
        result = json ? print_json(&all, error) : print_text(&all, cli, error);
    fits_deinit(&fits);
    return result;
}

int verb_predict(const Cli *cli, const Arguments *arguments, Error *error) {
    Source *source;
    Study study;
    if (arguments_flag(arguments, "flops") == arguments_flag(arguments, "holdout"))
        return cli_usage(error, "predict takes either --flops C or --holdout SHARE");
    int result = study_open_either(&study, &source, cli, arguments, error);
    if (!result)
        result = arguments_flag(arguments, "flops") ? predict_budgets(cli, arguments, &study, error)
                                                    : holdouts_tell(cli, arguments, &study, error);
    study_deinit(&study);
    source_free(source);
    return result;
}
