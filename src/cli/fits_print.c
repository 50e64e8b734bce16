/* A fit in words and numbers, for people. What may be wrong with it stands right beneath it. */
#include "format.h"
#include "fits.h"
#include "table.h"

#include <math.h>
#include <string.h>

/* The claim under test, as Bachmann, Anagnostidis and Hofmann 2023 fits it, with no interval. */
static const double reported_params_exponent = 0.35, reported_examples_exponent = 0.65;

static const char *format_interval(const FitEstimate *estimate, const char *number, char out[FORMAT_MAX]) {
    char lo[FORMAT_MAX], hi[FORMAT_MAX];
    if (!isfinite(estimate->lo) || !isfinite(estimate->hi))
        return strcpy(out, "none");
    if (!strcmp(number, "fixed")) {
        snprintf(lo, sizeof lo, "%.3f", estimate->lo);
        snprintf(hi, sizeof hi, "%.3f", estimate->hi);
    } else {
        snprintf(lo, sizeof lo, "%.3g", estimate->lo);
        snprintf(hi, sizeof hi, "%.3g", estimate->hi);
    }
    snprintf(out, FORMAT_MAX, "%.20s to %.20s", lo, hi);
    return out;
}

static void frontier_row(Table *table, const char *what, const char *meaning, const FitFrontier *frontier, bool of_table, double reported) {
    char interval[FORMAT_MAX];
    table_cell(table, "%s = %.3g C^%.3f", what, frontier->coefficient.value, frontier->exponent.value);
    table_cell(table, "%.3f", frontier->exponent.value);
    table_cell(table, "%s", format_interval(&frontier->exponent, "fixed", interval));
    if (of_table)
        table_cell(table, "%s", ""); /* a column of nothing is dropped: a table need not be of the same kind of models */
    else
        table_cell(table, "%.2f", reported);
    table_cell(table, "%s", meaning);
}

static int print_frontier(const FitFrontier *params, const FitFrontier *examples, bool of_table, const Cli *cli, Error *error) {
    Table *table;
    if (table_new(&table, cli, error) < 0)
        return -1;
    table_column(table, "Optimum for C FLOPs", TABLE_LEFT, 0);
    table_column(table, "Exponent", TABLE_RIGHT, 0);
    table_column(table, "95 % interval", TABLE_RIGHT, 0);
    table_column(table, "Scaling MLPs (reported)", TABLE_RIGHT, 1);
    table_column(table, "Meaning", TABLE_LEFT, 2);
    frontier_row(table, "P*(C)", "parameters of the best model", params, of_table, reported_params_exponent);
    frontier_row(table, "N*(C)", "examples to train it on", examples, of_table, reported_examples_exponent);
    int result = table_print(table, error);
    table_free(table);
    if (!result && isfinite(params->exponent.value) && isfinite(examples->exponent.value))
        cli_say(cli, "\nWith ten times the compute, train a model with %.2g times the parameters on %.2g times the examples.",
                pow(10, params->exponent.value), pow(10, examples->exponent.value));
    return result;
}

static int print_constants(const ParametricFit *fit, const Cli *cli, Error *error) {
    const struct {
        const char *name, *meaning;
        const FitEstimate *estimate;
    } rows[] = {
        {"E", "what neither more parameters nor more examples remove", &fit->E},
        {"A", "weight of the parameters' term", &fit->A},
        {"alpha", "exponent of the parameters", &fit->alpha},
        {"B", "weight of the examples' term", &fit->B},
        {"beta", "exponent of the examples", &fit->beta},
    };
    Table *table;
    char interval[FORMAT_MAX];
    if (table_new(&table, cli, error) < 0)
        return -1;
    table_column(table, "Constant", TABLE_LEFT, 0);
    table_column(table, "Value", TABLE_RIGHT, 0);
    table_column(table, "95 % interval", TABLE_RIGHT, 0);
    table_column(table, "Meaning", TABLE_LEFT, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        table_cell(table, "%s", rows[i].name);
        table_cell(table, "%.4g", rows[i].estimate->value);
        bool at_bound = rows[i].estimate == &fit->E && fit->E_at_bound;
        table_cell(table, "%s", at_bound ? "at its bound" : format_interval(rows[i].estimate, "general", interval));
        table_cell(table, "%s", rows[i].meaning);
    }
    int result = table_print(table, error);
    table_free(table);
    return result;
}

static int print_budgets(const IsoflopFit *fit, const Cli *cli, Error *error) {
    Table *table;
    char text[FORMAT_MAX];
    if (table_new(&table, cli, error) < 0)
        return -1;
    table_column(table, "Budget", TABLE_RIGHT, 0);
    table_column(table, "Sizes", TABLE_RIGHT, 0);
    table_column(table, "Best parameters", TABLE_RIGHT, 0);
    table_column(table, "Best examples", TABLE_RIGHT, 0);
    table_column(table, "Loss there", TABLE_RIGHT, 1);
    table_column(table, "Used", TABLE_LEFT, 0);
    for (size_t i = 0; i < fit->budget_count; i++) {
        const IsoflopBudget *budget = &fit->budgets[i];
        table_cell(table, "%s", format_scaled(budget->flops, "FLOP", text));
        table_cell(table, "%zu", budget->points);
        table_cell(table, "%s", budget->refused ? "-" : format_scaled(budget->params, "", text));
        table_cell(table, "%s", budget->refused ? "-" : format_scaled(budget->examples, "", text));
        if (budget->refused)
            table_cell(table, "-");
        else
            table_cell(table, "%.4g", budget->loss);
        table_cell(table, "%s", budget->refused ? "no: no optimum inside" : "yes");
    }
    int result = table_print(table, error);
    table_free(table);
    return result;
}

static void print_warnings(const FitWarnings *warnings, const Cli *cli) {
    for (size_t i = 0; i < warnings->count; i++)
        cli_say(cli, "%s%sWarning%s (%s): %s", i ? "" : "\n", cli->color ? "\033[33m" : "", cli->color ? "\033[0m" : "",
                warnings->items[i].code, warnings->items[i].text);
}

static void print_heading(const char *title, const Fits *fits, FitMethod method, const Cli *cli) {
    const StudyOptions *options = fits->options;
    const FitFrontier *frontier = method == FIT_PARAMETRIC ? &fits->parametric.params : &fits->isoflop.params;
    cli_say(cli, "%s%s%s: %zu %s%s of %s, metric %s", cli->color ? "\033[1m" : "", title, cli->color ? "\033[0m" : "", fits->points,
            fits->of_table ? "row" : "run", fits->points == 1 ? "" : "s", fits->source, options->metric);
    if (fits->of_table)
        cli_say(cli, "C, P, N: the table's columns flops (or else 6 params x examples), params, examples.");
    else
        cli_say(cli, "C: %s. P: %s. N: distinct training examples.", flop_count_words(options->flops),
                options->body_params ? "parameters of the blocks" : "all parameters");
    if (options->resamples && fits->fitted & method && isfinite(frontier->exponent.lo))
        cli_say(cli, "Intervals: percentiles of %lld bootstrap resamples of the configurations.", (long long)options->resamples);
    putchar('\n');
}

static int print_parametric(const Fits *fits, const Cli *cli, Error *error) {
    const ParametricFit *fit = &fits->parametric;
    print_heading("Parametric law", fits, FIT_PARAMETRIC, cli);
    if (!(fits->fitted & FIT_PARAMETRIC)) {
        cli_say(cli, "Refused: %s", fits->parametric_refusal);
        print_warnings(&fit->warnings, cli);
        return 0;
    }
    printf("%s = E + A P^-alpha + B N^-beta, and C = %.3g P N\n\n", fits->options->metric, fit->c);
    int result = print_constants(fit, cli, error);
    putchar('\n');
    if (!result)
        result = print_frontier(&fit->params, &fit->examples, fits->of_table, cli, error);
    printf("%lld of %lld starts reached the optimum (sum of Huber losses %.4g).\n", (long long)fit->starts_at_optimum,
           (long long)fit->starts_tried, fit->objective);
    print_warnings(&fit->warnings, cli);
    return result;
}

static int print_isoflop(const Fits *fits, const Cli *cli, Error *error) {
    const IsoflopFit *fit = &fits->isoflop;
    print_heading("IsoFLOP parabolas", fits, FIT_ISOFLOP, cli);
    if (!(fits->fitted & FIT_ISOFLOP)) {
        cli_say(cli, "Refused: %s", fits->isoflop_refusal);
        print_warnings(&fit->warnings, cli);
        return 0;
    }
    int result = print_budgets(fit, cli, error);
    putchar('\n');
    if (!result)
        result = print_frontier(&fit->params, &fit->examples, fits->of_table, cli, error);
    print_warnings(&fit->warnings, cli);
    return result;
}

int fits_print(const Fits *fits, const Cli *cli, Error *error) {
    int result = 0;
    if (fits->methods & FIT_PARAMETRIC)
        result = print_parametric(fits, cli, error);
    if (fits->methods == (FIT_PARAMETRIC | FIT_ISOFLOP))
        putchar('\n');
    if (!result && fits->methods & FIT_ISOFLOP)
        result = print_isoflop(fits, cli, error);
    return result;
}
