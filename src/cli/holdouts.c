#include "holdouts.h"

#include "format.h"
#include "table.h"

#include <math.h>
#include <string.h>

#define SUMMARY_SHARE 0.2

typedef struct Holdouts {
    const Study *study;
    double share;
    int64_t resamples;            /* 0: intervals are not told */
    FitHoldout made[FIT_METHODS]; /* [count] */
    size_t count;
    FitRefusal refusals[FIT_METHODS]; /* [refused] */
    size_t refused;
} Holdouts;

/* resamples: behind the intervals. */
static int make_one(FitHoldout *out, const Study *study, FitMethod method, double share, int64_t resamples, Error *error) {
    FitOptions options;
    fits_options(&options, &study->options, fit_method_text(method));
    options.resamples = resamples;
    return fit_holdout(out, method, study->points, study->point_count, share, &options, error);
}

int holdout_make(FitHoldout *out, const Study *study, FitMethod method, double share, Error *error) {
    return make_one(out, study, method, share, study->options.resamples, error);
}

static int make_all(Holdouts *all, Error *error) {
    int result = 0;
    for (size_t i = 0; i < FIT_METHODS && !result; i++) {
        FitMethod method = fits_order[i];
        if (!(all->study->options.methods & 1u << method) || !fit_method_has_law(method))
            continue;
        result = make_one(&all->made[all->count], all->study, method, all->share, all->resamples, error);
        if (result == FIT_REFUSED) {
            all->refusals[all->refused].method = method;
            text_copy(all->refusals[all->refused++].text, ERROR_TEXT_MAX, error->text);
            result = 0;
        } else {
            all->count += result == 0;
        }
    }
    return result;
}

/* ---- for scripts ---- */

static void encode_value(const char *name, double value, Buffer *out) {
    buffer_printf(out, "\"%s\":", name);
    buffer_append_double(out, value);
    buffer_append_text(out, ",");
}

static void encode_point(const FitHoldoutPoint *point, Buffer *out) {
    buffer_append_text(out, "{");
    encode_value("params", point->params, out);
    encode_value("examples", point->examples, out);
    encode_value("flops", point->flops, out);
    encode_value("loss", point->loss, out);
    buffer_append_text(out, "\"predicted\":");
    estimate_encode(&point->predicted, out);
    buffer_append_text(out, "}");
}

static void encode_one(const FitHoldout *holdout, Buffer *out) {
    FitWarnings none = {0};
    buffer_printf(out, "{\"method\":\"%s\",", fit_method_text(holdout->fit.method));
    encode_value("budget", holdout->budget, out);
    encode_value("error", holdout->error, out);
    encode_value("bias", holdout->bias, out);
    encode_value("inside", holdout->inside, out);
    buffer_printf(out, "\"fitted\":%zu,\"scored\":%zu,\"exponents\":{\"P\":", holdout->fit.points, holdout->count);
    estimate_encode(&holdout->fit.params.exponent, out);
    buffer_append_text(out, ",\"N\":");
    estimate_encode(&holdout->fit.examples.exponent, out);
    buffer_append_text(out, "},\"points\":[");
    for (size_t i = 0; i < holdout->count; i++) {
        buffer_append_text(out, i ? "," : "");
        encode_point(&holdout->points[i], out);
    }
    buffer_append_text(out, "]");
    warnings_encode(&holdout->fit.warnings, &none, out);
    buffer_append_text(out, "}");
}

static int print_json(const Holdouts *all, Error *error) {
    Buffer out;
    buffer_init(&out, 1 << 28);
    buffer_append_text(&out, "{\"schema_version\":1,\"share\":");
    buffer_append_double(&out, all->share);
    study_encode(all->study, &out);
    buffer_append_text(&out, ",\"holdouts\":[");
    for (size_t i = 0; i < all->count; i++) {
        buffer_append_text(&out, i ? "," : "");
        encode_one(&all->made[i], &out);
    }
    buffer_append_text(&out, "],\"refused\":[");
    for (size_t i = 0; i < all->refused; i++) {
        buffer_printf(&out, "%s{\"method\":\"%s\",\"text\":", i ? "," : "", fit_method_text(all->refusals[i].method));
        buffer_append_json(&out, all->refusals[i].text);
        buffer_append_text(&out, "}");
    }
    buffer_append_text(&out, "]}\n");
    int result = cli_print(&out, error);
    buffer_deinit(&out);
    return result;
}

/* ---- for people ---- */

static void point_row(Table *table, const FitHoldoutPoint *point, const char *metric) {
    char text[FORMAT_MAX], lo[FORMAT_MAX], hi[FORMAT_MAX];
    const FitEstimate *predicted = &point->predicted;
    bool interval = isfinite(predicted->lo) && isfinite(predicted->hi);
    table_cell(table, "%s", format_scaled(point->flops, "FLOP", text));
    table_cell(table, "%s", format_scaled(point->params, "", text));
    table_cell(table, "%s", format_scaled(point->examples, "", text));
    table_cell(table, "%s", format_metric(metric, point->loss, text));
    table_cell(table, "%s", format_metric(metric, predicted->value, text));
    if (interval)
        table_cell(table, "%s to %s", format_metric(metric, predicted->lo, lo), format_metric(metric, predicted->hi, hi));
    else
        table_cell(table, "none");
    table_cell(table, "%+.1f %%", 100 * (predicted->value / point->loss - 1));
}

static int print_points(const FitHoldout *holdout, const Cli *cli, const char *metric, Error *error) {
    Table *table;
    if (table_new(&table, cli, error) < 0)
        return -1;
    table_column(table, "Compute", TABLE_RIGHT, 0);
    table_column(table, "Parameters", TABLE_RIGHT, 0);
    table_column(table, "Examples", TABLE_RIGHT, 0);
    table_column(table, metric, TABLE_RIGHT, 0);
    table_column(table, "Predicted", TABLE_RIGHT, 0);
    table_column(table, "95 % interval", TABLE_RIGHT, 1);
    table_column(table, "Off by", TABLE_RIGHT, 0);
    for (size_t i = 0; i < holdout->count; i++)
        point_row(table, &holdout->points[i], metric);
    int result = table_print(table, error);
    table_free(table);
    return result;
}

static int print_one(const FitHoldout *holdout, const Study *study, const Cli *cli, Error *error) {
    char budget[FORMAT_MAX], inside[FORMAT_MAX] = "";
    cli_say(cli, "%s of %s, fitted below %s on %zu %s, scored on %zu above", fits_method_title(holdout->fit.method), study->name,
            format_scaled(holdout->budget, "FLOP", budget), holdout->fit.points, study->of_table ? "rows" : "runs", holdout->count);
    putchar('\n');
    int result = print_points(holdout, cli, study->options.metric, error);
    if (result)
        return result;
    cli_say(cli, "\nOff by %.1f %% on average; %s by %.1f %% on the whole.", 100 * holdout->error,
            holdout->bias < 0 ? "too low" : "too high", 100 * fabs(holdout->bias));
    if (isfinite(holdout->inside))
        cli_say(cli, "%s of the runs lie in the interval, which is that of the law, without the noise of a single run.",
                format_percent(holdout->inside, inside));
    fits_print_warnings(&holdout->fit.warnings, cli);
    return 0;
}

static int print_text(const Holdouts *all, const Cli *cli, Error *error) {
    int result = 0;
    for (size_t i = 0; i < all->count && !result; i++) {
        if (i)
            putchar('\n');
        result = print_one(&all->made[i], all->study, cli, error);
    }
    for (size_t i = 0; i < all->refused; i++)
        cli_say(cli, "\n%s refused: %s", fits_method_title(all->refusals[i].method), all->refusals[i].text);
    return result;
}

static void summarise_one(const FitHoldout *holdout, const Cli *cli) {
    char budget[FORMAT_MAX];
    cli_say(cli,
            "\nHold-out: %s fitted on the %zu runs below %s is off by %.1f %% on average on the %zu above (%s by %.1f %% on the whole).",
            fits_method_title(holdout->fit.method), holdout->fit.points, format_scaled(holdout->budget, "FLOP", budget),
            100 * holdout->error, holdout->count, holdout->bias < 0 ? "too low" : "too high", 100 * fabs(holdout->bias));
}

int holdouts_summarise(const Cli *cli, const Study *study, Error *error) {
    Holdouts all = {.study = study, .share = SUMMARY_SHARE};
    int result = make_all(&all, error);
    for (size_t i = 0; i < all.count; i++) {
        summarise_one(&all.made[i], cli);
        fit_holdout_deinit(&all.made[i]);
    }
    for (size_t i = 0; i < all.refused; i++)
        cli_say(cli, "\nHold-out of %s refused: %s", fits_method_title(all.refusals[i].method), all.refusals[i].text);
    return result;
}

int holdouts_tell(const Cli *cli, const Arguments *arguments, const Study *study, Error *error) {
    Holdouts all = {.study = study, .share = arguments_number(arguments, "holdout", 0), .resamples = study->options.resamples};
    int result = make_all(&all, error);
    if (!result && all.count == 0) {
        result = CLI_FAILED;
        if (all.refused)
            error_set(error, "refused: %s", all.refusals[0].text);
        else
            error_set(error, "--holdout needs a method with a law of the loss: parametric, vpnls or power");
    }
    if (!result)
        result = arguments_flag(arguments, "json") ? print_json(&all, error) : print_text(&all, cli, error);
    for (size_t i = 0; i < all.count; i++)
        fit_holdout_deinit(&all.made[i]);
    return result;
}
