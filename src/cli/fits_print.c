/* A fit in words and numbers, for people. What may be wrong with it stands right beneath it. */
#include "fits.h"
#include "format.h"
#include "table.h"
#include "tuning.h"

#include <math.h>
#include <string.h>

/* The claim under test, as Bachmann, Anagnostidis and Hofmann 2023 fits it, with no interval. */
static const double reported_params_exponent = 0.35, reported_examples_exponent = 0.65;

/* ---- the frontier ---- */

static void frontier_row(Table *table, const char *what, const char *meaning, const FitFrontier *frontier, bool of_table, double reported) {
    char interval[FORMAT_MAX];
    table_cell(table, "%s = %.3g C^%.3f", what, frontier->coefficient.value, frontier->exponent.value);
    table_cell(table, "%.3f", frontier->exponent.value);
    table_cell(table, "%s", format_interval(frontier->exponent.lo, frontier->exponent.hi, true, interval));
    if (of_table)
        table_cell(table, "%s", ""); /* a column of nothing is dropped: a table need not be of the same kind of models */
    else
        table_cell(table, "%.2f", reported);
    table_cell(table, "%s", meaning);
}

static int print_frontier(const Fit *fit, bool of_table, const Cli *cli, Error *error) {
    const FitFrontier *params = &fit->params, *examples = &fit->examples;
    Table *table;
    if (!fit_method_has_frontier(fit->method))
        return 0;
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

/* ---- the law ---- */

static const char *parameter_meaning(const Fit *fit, const char *name) {
    static const struct {
        const char *name, *meaning;
    } law[] = {{"E", "what neither more parameters nor more examples remove"},
               {"A", "weight of the parameters' term"},
               {"alpha", "exponent of the parameters"},
               {"B", "weight of the examples' term"},
               {"beta", "exponent of the examples"}},
      power[] = {{"a", "weight of the compute's term"},
                 {"b", "compute that the start is worth"},
                 {"alpha", "exponent of the compute"},
                 {"E_inf", "what no compute removes"}};
    bool of_power = fit->method == FIT_POWER;
    size_t count = of_power ? sizeof power / sizeof *power : sizeof law / sizeof *law;
    for (size_t i = 0; i < count; i++)
        if (!strcmp(name, (of_power ? power : law)[i].name))
            return (of_power ? power : law)[i].meaning;
    return "";
}

static int print_parameters(const Fit *fit, const Cli *cli, Error *error) {
    Table *table;
    char interval[FORMAT_MAX];
    if (table_new(&table, cli, error) < 0)
        return -1;
    table_column(table, "Constant", TABLE_LEFT, 0);
    table_column(table, "Value", TABLE_RIGHT, 0);
    table_column(table, "95 % interval", TABLE_RIGHT, 0);
    table_column(table, "Meaning", TABLE_LEFT, 1);
    for (size_t i = 0; i < fit->parameter_count; i++) {
        const FitParameter *parameter = &fit->parameters[i];
        const FitEstimate *estimate = &parameter->estimate;
        table_cell(table, "%s", parameter->name);
        table_cell(table, "%.4g", estimate->value);
        table_cell(table, "%s", parameter->at_bound ? "at its bound" : format_interval(estimate->lo, estimate->hi, false, interval));
        table_cell(table, "%s", parameter_meaning(fit, parameter->name));
    }
    int result = table_print(table, error);
    table_free(table);
    putchar('\n');
    return result;
}

static void print_law(const Fits *fits, const Fit *fit) {
    const char *metric = fits->study->options.metric;
    if (fit->method == FIT_POWER)
        printf("lowest %s at C = a (b + C)^-alpha + E_inf\n\n", metric);
    else if (fit_method_has_law(fit->method))
        printf("%s = E + A P^-alpha + B N^-beta, and C = %.3g P N\n\n", metric, fit->c);
    else if (fit->method == FIT_ENVELOPE)
        printf("P* and N*: power laws through the sizes with the lowest %s at each compute\n\n", metric);
}

/* How far the minimum can be trusted to be one, and how closely the law meets the points. */
static void print_quality(const Fits *fits, const Fit *fit, const Cli *cli) {
    if (fit->starts_tried > 0)
        cli_say(cli, "%lld of %lld starts reached the optimum (objective %.4g, %s loss); condition of the problem %.1e.",
                (long long)fit->starts_at_optimum, (long long)fit->starts_tried, fit->objective, fit_loss_text(fits->study->options.loss),
                fit->condition);
    if (!fit->residuals || fit->points == 0)
        return;
    double squares = 0;
    size_t worst = 0;
    for (size_t i = 0; i < fit->points; i++) {
        squares += fit->residuals[i] * fit->residuals[i];
        worst = fabs(fit->residuals[i]) > fabs(fit->residuals[worst]) ? i : worst;
    }
    const FitPoint *point = &fits->study->points[fit->source[worst]];
    char params[FORMAT_MAX], examples[FORMAT_MAX];
    cli_say(cli, "The law misses a point by %.2g %% (root mean square), at most by %+.2g %% (at %s parameters, %s examples).",
            100 * sqrt(squares / (double)fit->points), 100 * expm1(fit->residuals[worst]), format_scaled(point->params, "", params),
            format_scaled(point->examples, "", examples));
}

/* ---- IsoFLOP ---- */

static void budget_row(Table *table, const IsoflopBudget *budget) {
    char text[FORMAT_MAX];
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

static int print_budgets(const Fit *fit, const Cli *cli, Error *error) {
    Table *table;
    if (table_new(&table, cli, error) < 0)
        return -1;
    table_column(table, "Budget", TABLE_RIGHT, 0);
    table_column(table, "Sizes", TABLE_RIGHT, 0);
    table_column(table, "Best parameters", TABLE_RIGHT, 0);
    table_column(table, "Best examples", TABLE_RIGHT, 0);
    table_column(table, "Loss there", TABLE_RIGHT, 1);
    table_column(table, "Used", TABLE_LEFT, 0);
    for (size_t i = 0; i < fit->budget_count; i++)
        budget_row(table, &fit->budgets[i]);
    int result = table_print(table, error);
    table_free(table);
    putchar('\n');
    return result;
}

/* ---- all ---- */

void fits_print_warnings(const FitWarnings *warnings, const Cli *cli) {
    for (size_t i = 0; i < warnings->count; i++)
        cli_say(cli, "%s%sWarning%s (%s): %s", i ? "" : "\n", cli->color ? "\033[33m" : "", cli->color ? "\033[0m" : "",
                warnings->items[i].code, warnings->items[i].text);
}

static void print_left_out(const Study *study, const Cli *cli) {
    const char *things = study->of_table ? "rows" : "runs";
    if (study->left_out.unwanted)
        cli_say(cli, "Left out by --where: %lld %s.", (long long)study->left_out.unwanted, things);
    if (study->left_out.first)
        cli_say(cli, "Left out by --drop-first-share: %lld %s of least compute.", (long long)study->left_out.first, things);
}

static void print_heading(const Study *study, const char *title, bool intervals, const Cli *cli) {
    const StudyOptions *options = &study->options;
    cli_say(cli, "%s%s%s: %zu %s%s of %s, metric %s", cli->color ? "\033[1m" : "", title, cli->color ? "\033[0m" : "", study->point_count,
            study->of_table ? "row" : "run", study->point_count == 1 ? "" : "s", study->name, options->metric);
    if (study->of_table)
        cli_say(cli, "C, P, N: the table's columns flops (or else 6 params x examples), params, examples.");
    else
        cli_say(cli, "C: %s. P: %s. N: distinct training examples.", flop_count_words(options->flops),
                options->body_params ? "parameters of the blocks" : "all parameters");
    print_left_out(study, cli);
    tuning_print(study, cli);
    if (intervals)
        cli_say(cli, "Intervals: percentiles of %lld bootstrap resamples of the configurations.", (long long)options->resamples);
    putchar('\n');
}

static bool has_intervals(const Fit *fit) {
    bool any = isfinite(fit->params.exponent.lo);
    for (size_t i = 0; i < fit->parameter_count; i++)
        any = any || isfinite(fit->parameters[i].estimate.lo);
    return any;
}

static int print_fit(const Fits *fits, const Fit *fit, const Cli *cli, Error *error) {
    print_heading(fits->study, fits_method_title(fit->method), has_intervals(fit), cli);
    print_law(fits, fit);
    int result = fit->parameter_count ? print_parameters(fit, cli, error) : 0;
    if (!result && fit->method == FIT_ISOFLOP)
        result = print_budgets(fit, cli, error);
    if (!result)
        result = print_frontier(fit, fits->study->of_table, cli, error);
    print_quality(fits, fit, cli);
    fits_print_warnings(&fit->warnings, cli);
    return result;
}

static void print_refusal(const Fits *fits, const FitRefusal *refusal, const Cli *cli) {
    print_heading(fits->study, fits_method_title(refusal->method), false, cli);
    cli_say(cli, "Refused: %s", refusal->text);
    fits_print_warnings(&refusal->warnings, cli);
}

int fits_print(const Fits *fits, const Cli *cli, Error *error) {
    int result = 0;
    bool begun = false;
    for (size_t i = 0; i < FIT_METHODS && !result; i++) {
        const Fit *fit = fits_find(fits, fits_order[i]);
        const FitRefusal *refusal = fits_refusal(fits, fits_order[i]);
        if (begun && (fit || refusal))
            putchar('\n');
        begun = begun || fit || refusal;
        if (fit)
            result = print_fit(fits, fit, cli, error);
        else if (refusal)
            print_refusal(fits, refusal, cli);
    }
    if (!result)
        fits_print_warnings(&fits->warnings, cli);
    return result;
}
