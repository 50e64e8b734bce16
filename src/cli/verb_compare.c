/* Whether the exponents of several sweeps or tables differ: each is fitted by itself, and the differences come from both bootstraps. */
#include "figures.h"
#include "fits.h"
#include "format.h"
#include "table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STUDIES_MAX = 12 };
static const double level = 0.95;

typedef struct Subjects {
    Source *source; /* NULL: tables alone */
    Study studies[STUDIES_MAX];
    Fits fits[STUDIES_MAX];
    size_t count;
} Subjects;

/* ---- loading ---- */

static int add_study(Subjects *all, int result, const Arguments *arguments, Error *error) {
    Study *study = &all->studies[all->count];
    if (result)
        return result;
    if (!arguments_flag(arguments, "method"))
        study->options.methods = 1u << FIT_PARAMETRIC;
    result = fits_make(&all->fits[all->count], study, error);
    if (result)
        study_deinit(study);
    else
        all->count++;
    return result ? error_prefix(error, "%s", study->name), result : 0;
}

static int load_all(Subjects *all, const Cli *cli, const Arguments *arguments, Error *error) {
    size_t tables = 0, index = 0;
    while (arguments_next(arguments, "points", &index))
        tables++;
    if (arguments->positional_count + tables < 2)
        return cli_usage(error, "compare takes at least two sweeps or tables: compare A B, or --points F.csv --points G.csv");
    if (arguments->positional_count + tables > STUDIES_MAX)
        return cli_usage(error, "compare takes at most %d sweeps and tables", STUDIES_MAX);
    int result = arguments->positional_count ? source_open(&all->source, cli, SOURCE_ANY, error) : 0;
    for (size_t i = 0; i < arguments->positional_count && !result; i++)
        result = add_study(all, study_open(&all->studies[all->count], all->source, arguments->positionals[i], arguments, error), arguments,
                           error);
    index = 0;
    for (const char *path; !result && (path = arguments_next(arguments, "points", &index));)
        result = add_study(all, study_open_table(&all->studies[all->count], path, arguments, error), arguments, error);
    return result;
}

/* ---- for scripts ---- */

static void encode_subject(const Fits *fits, Buffer *out) {
    bool begun = false;
    buffer_append_text(out, "{\"name\":");
    buffer_append_json(out, fits->study->name);
    study_encode(fits->study, out);
    buffer_append_text(out, ",\"fits\":[");
    for (size_t i = 0; i < FIT_METHODS; i++) {
        const Fit *fit = fits_find(fits, fits_order[i]);
        const FitRefusal *refusal = fits_refusal(fits, fits_order[i]);
        if (!fit && !refusal)
            continue;
        buffer_printf(out, "%s{\"method\":\"%s\"", begun ? "," : "", fit_method_text(fits_order[i]));
        begun = true;
        if (fit) {
            buffer_append_text(out, ",\"exponents\":{\"P\":");
            estimate_encode(&fit->params.exponent, out);
            buffer_append_text(out, ",\"N\":");
            estimate_encode(&fit->examples.exponent, out);
            buffer_append_text(out, "}");
        } else {
            buffer_append_text(out, ",\"refused\":");
            buffer_append_json(out, refusal->text);
        }
        warnings_encode(fit ? &fit->warnings : &refusal->warnings, &fits->warnings, out);
        buffer_append_text(out, "}");
    }
    buffer_append_text(out, "]}");
}

/* 1: they differ, 0: not shown to, -1: there are no intervals to tell by. */
static int differs(const FitEstimate *difference) {
    if (!isfinite(difference->lo) || !isfinite(difference->hi))
        return -1;
    return difference->lo > 0 || difference->hi < 0;
}

static void encode_difference(const char *name, const FitEstimate *difference, double p, Buffer *out) {
    static const char *const words[] = {"null", "false", "true"};
    buffer_printf(out, "\"%s\":{\"value\":", name);
    buffer_append_double(out, difference->value);
    buffer_append_text(out, ",\"lo\":");
    buffer_append_double(out, difference->lo);
    buffer_append_text(out, ",\"hi\":");
    buffer_append_double(out, difference->hi);
    buffer_append_text(out, ",\"p\":");
    buffer_append_double(out, p);
    buffer_printf(out, ",\"differ\":%s}", words[differs(difference) + 1]);
}

typedef int (*Pair)(void *context, const Study *a, const Study *b, const Fit *fit_a, const Fit *fit_b, Error *error);

/* Each two studies, by each method that both were fitted by and that has a frontier. */
static int each_pair(const Subjects *all, Pair pair, void *context, Error *error) {
    int result = 0;
    for (size_t method = 0; method < FIT_METHODS && !result; method++)
        for (size_t i = 0; i < all->count && !result; i++)
            for (size_t j = i + 1; j < all->count && !result; j++) {
                const Fit *a = fits_find(&all->fits[i], fits_order[method]), *b = fits_find(&all->fits[j], fits_order[method]);
                if (a && b && fit_method_has_frontier(fits_order[method]))
                    result = pair(context, &all->studies[i], &all->studies[j], a, b, error);
            }
    return result;
}

typedef struct PairsJson {
    Buffer *out;
    size_t count;
} PairsJson;

static int encode_pair(void *context, const Study *a, const Study *b, const Fit *fit_a, const Fit *fit_b, Error *error) {
    PairsJson *json = context;
    FitComparison comparison;
    if (fit_compare(&comparison, fit_a, fit_b, level, error))
        return -1;
    buffer_printf(json->out, "%s{\"method\":\"%s\",\"a\":", json->count++ ? "," : "", fit_method_text(fit_a->method));
    buffer_append_json(json->out, a->name);
    buffer_append_text(json->out, ",\"b\":");
    buffer_append_json(json->out, b->name);
    buffer_append_text(json->out, ",");
    encode_difference("P", &comparison.params, comparison.params_p, json->out);
    buffer_append_text(json->out, ",");
    encode_difference("N", &comparison.examples, comparison.examples_p, json->out);
    buffer_append_text(json->out, "}");
    return 0;
}

static int print_json(const Subjects *all, Error *error) {
    Buffer out;
    PairsJson json = {.out = &out};
    buffer_init(&out, 1 << 24);
    buffer_printf(&out, "{\"schema_version\":1,\"level\":%g,\"studies\":[", level);
    for (size_t i = 0; i < all->count; i++) {
        buffer_append_text(&out, i ? "," : "");
        encode_subject(&all->fits[i], &out);
    }
    buffer_append_text(&out, "],\"differences\":[");
    int result = each_pair(all, encode_pair, &json, error);
    buffer_append_text(&out, "]}\n");
    if (!result)
        result = cli_print(&out, error);
    buffer_deinit(&out);
    return result;
}

/* ---- for people ---- */

static void exponent_cell(Table *table, const FitEstimate *exponent) {
    char interval[FORMAT_MAX];
    table_cell(table, "%.3f (%s)", exponent->value, format_interval(exponent->lo, exponent->hi, true, interval));
}

static int print_table(const Subjects *all, const Cli *cli, Error *error) {
    Table *table;
    if (table_new(&table, cli, error) < 0)
        return -1;
    table_column(table, "Study", TABLE_LEFT | TABLE_CUT, 0);
    table_column(table, "Metric", TABLE_LEFT, 2);
    table_column(table, "Points", TABLE_RIGHT, 1);
    table_column(table, "Method", TABLE_LEFT, 0);
    table_column(table, "Exponent of P* (95 %)", TABLE_LEFT, 0);
    table_column(table, "Exponent of N* (95 %)", TABLE_LEFT, 0);
    for (size_t i = 0; i < all->count; i++)
        for (size_t j = 0; j < all->fits[i].count; j++) {
            const Fit *fit = &all->fits[i].fits[j];
            if (!fit_method_has_frontier(fit->method))
                continue;
            table_cell(table, "%s", all->studies[i].name);
            table_cell(table, "%s", all->studies[i].options.metric);
            table_cell(table, "%zu", fit->points);
            table_cell(table, "%s", fit_method_text(fit->method));
            exponent_cell(table, &fit->params.exponent);
            exponent_cell(table, &fit->examples.exponent);
        }
    int result = table_print(table, error);
    table_free(table);
    return result;
}

static void say_difference(const Cli *cli, const char *what, const Study *a, const Study *b, const FitEstimate *difference, double p) {
    char interval[FORMAT_MAX];
    format_interval(difference->lo, difference->hi, true, interval);
    if (differs(difference) < 0)
        cli_say(cli, "%s: %+.3f from %s to %s; whether that is a difference cannot be said without intervals.", what, -difference->value,
                a->name, b->name);
    else if (differs(difference))
        cli_say(cli, "%s: they differ. That of %s is %.3f %s than that of %s (difference %s, p = %.2g).", what, a->name,
                fabs(difference->value), difference->value > 0 ? "higher" : "lower", b->name, interval, p);
    else
        cli_say(cli, "%s: no difference is shown between %s and %s: %+.3f, and the interval holds 0 (%s, p = %.2g).", what, a->name,
                b->name, difference->value, interval, p);
}

static int say_pair(void *context, const Study *a, const Study *b, const Fit *fit_a, const Fit *fit_b, Error *error) {
    const Cli *cli = context;
    FitComparison comparison;
    char what[64];
    if (fit_compare(&comparison, fit_a, fit_b, level, error))
        return -1;
    putchar('\n');
    snprintf(what, sizeof what, "Exponent of P* (%s)", fit_method_text(fit_a->method));
    say_difference(cli, what, a, b, &comparison.params, comparison.params_p);
    snprintf(what, sizeof what, "Exponent of N* (%s)", fit_method_text(fit_a->method));
    say_difference(cli, what, a, b, &comparison.examples, comparison.examples_p);
    return 0;
}

static void say_metrics(const Subjects *all, const Cli *cli) {
    bool differ = false;
    for (size_t i = 1; i < all->count; i++)
        differ = differ || strcmp(all->studies[i].options.metric, all->studies[0].options.metric) != 0;
    if (differ)
        cli_say(cli, "The studies are fitted to different metrics, whose exponents need not agree; --metric NAME sets one for all.\n");
}

static void say_notes(const Subjects *all, const Cli *cli) {
    for (size_t i = 0; i < all->count; i++) {
        const Fits *fits = &all->fits[i];
        for (size_t j = 0; j < fits->refused; j++)
            cli_say(cli, "\n%s: %s refused: %s", all->studies[i].name, fits_method_title(fits->refusals[j].method), fits->refusals[j].text);
        for (size_t j = 0; j < fits->count; j++)
            if (fits->fits[j].warnings.count + fits->warnings.count) {
                cli_say(cli, "\n%s, %s:", all->studies[i].name, fit_method_text(fits->fits[j].method));
                fits_print_warnings(&fits->fits[j].warnings, cli);
                fits_print_warnings(&fits->warnings, cli);
            }
    }
}

static int print_text(const Subjects *all, const Cli *cli, Error *error) {
    say_metrics(all, cli);
    int result = print_table(all, cli, error);
    if (!result)
        result = each_pair(all, say_pair, (void *)(uintptr_t)cli, error);
    if (!result)
        say_notes(all, cli);
    return result;
}

/* ---- */

/* Something was compared. */
static int check_any(const Subjects *all, Error *error) {
    for (size_t method = 0; method < FIT_METHODS; method++) {
        size_t fitted = 0;
        for (size_t i = 0; i < all->count; i++)
            fitted += fits_find(&all->fits[i], fits_order[method]) && fit_method_has_frontier(fits_order[method]);
        if (fitted >= 2)
            return CLI_OK;
    }
    for (size_t i = 0; i < all->count; i++)
        if (all->fits[i].refused) {
            error_set(error, "nothing to compare: %s was refused: %s", all->studies[i].name, all->fits[i].refusals[0].text);
            return CLI_FAILED;
        }
    error_set(error, "nothing to compare: power has no exponents of P* and N*");
    return CLI_FAILED;
}

int verb_compare(const Cli *cli, const Arguments *arguments, Error *error) {
    const char *directory = arguments_text(arguments, "out", NULL);
    Subjects *all = calloc(1, sizeof *all);
    if (!all)
        return error_set(error, "out of memory");
    int result = load_all(all, cli, arguments, error);
    if (!result)
        result = check_any(all, error);
    if (!result)
        result = arguments_flag(arguments, "json") ? print_json(all, error) : print_text(all, cli, error);
    if (!result && directory)
        result = figures_compare(all->fits, all->count, directory, !arguments_flag(arguments, "json"), error);
    for (size_t i = 0; i < all->count; i++) {
        fits_deinit(&all->fits[i]);
        study_deinit(&all->studies[i]);
    }
    source_free(all->source);
    free(all);
    return result;
}
