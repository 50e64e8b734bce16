/* P*(C) and N*(C) of every method that has a frontier. */
#include "internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SIDE_CELLS = 9 };
static const double PAPER_PARAMS = 0.35, PAPER_EXAMPLES = 0.65;

static FitEstimate frontier_at(const Fit *fit, bool examples, double flops) {
    const FitEstimate none = {NAN, NAN, NAN};
    return fit != NULL ? fit_frontier_at(fit, examples, flops, PLOT_LEVEL) : none;
}

/* The first of them that was made; NULL: none has a frontier. */
static const Fit *first_frontier(const PlotStudy *study) {
    const Fit *law = study_law(study);
    const Fit *other = study->fits[FIT_ISOFLOP] != NULL ? study->fits[FIT_ISOFLOP] : study->fits[FIT_ENVELOPE];
    return law != NULL ? law : other;
}

/* The second parametric law, where both were made: the first is drawn with its band. */
static const Fit *second_law(const PlotStudy *study) {
    return study->fits[FIT_PARAMETRIC] != NULL ? study->fits[FIT_VPNLS] : NULL;
}

/* The paper's slope, through the fitted line at the geometric middle of the compute. */
static double paper_at(const PlotStudy *study, bool examples, double middle, double flops) {
    double anchor = frontier_at(first_frontier(study), examples, middle).value;
    return anchor * pow(flops / middle, examples ? PAPER_EXAMPLES : PAPER_PARAMS);
}

/* One side's cells at one compute: law and IsoFLOP with their intervals, the other lines, the paper's slope. */
static void fill_side(const PlotStudy *study, bool examples, double middle, double flops, double side[SIDE_CELLS]) {
    FitEstimate law = frontier_at(study_law(study), examples, flops);
    FitEstimate isoflop = frontier_at(study->fits[FIT_ISOFLOP], examples, flops);
    const double cells[SIDE_CELLS] = {law.value,
                                      law.lo,
                                      law.hi,
                                      isoflop.value,
                                      isoflop.lo,
                                      isoflop.hi,
                                      frontier_at(second_law(study), examples, flops).value,
                                      frontier_at(study->fits[FIT_ENVELOPE], examples, flops).value,
                                      paper_at(study, examples, middle, flops)};
    memcpy(side, cells, sizeof cells);
}

static void append_side_header(Buffer *table, const char *side) {
    static const char *const names[SIDE_CELLS] = {"law",          "low",   "high",     "isoflop", "isoflop_low",
                                                  "isoflop_high", "vpnls", "envelope", "paper"};
    for (size_t i = 0; i < SIDE_CELLS; i++) {
        buffer_printf(table, "%s_%s\t", side, names[i]);
    }
}

static int write_lines(Figure *figure) {
    const PlotStudy *study = figure->study;
    Ranges ranges = study_ranges(study);
    double middle = sqrt(ranges.flops.low * ranges.flops.high);
    int among = 0;
    Buffer table;
    buffer_init(&table, PLOT_TEXT_MAX);
    buffer_append_text(&table, "flops\t");
    append_side_header(&table, "params");
    append_side_header(&table, "examples");
    buffer_append_text(&table, "among_runs\n");
    for (int i = 0; i < PLOT_LINE_POINTS; i++) {
        double cells[2 + 2 * SIDE_CELLS] = {range_at(&ranges.flops, i)};
        double *params = cells + 1, *examples = params + SIDE_CELLS;
        fill_side(study, false, middle, cells[0], params);
        fill_side(study, true, middle, cells[0], examples);
        bool was_run = frontier_among(&ranges, params[0], examples[0]);
        cells[1 + 2 * SIDE_CELLS] = was_run;
        among += was_run;
        table_append_row(&table, cells, 2 + 2 * SIDE_CELLS);
    }
    figure_set_count(figure, "AMONG", study_law(study) != NULL && among > 0);
    figure_set_count(figure, "BEYOND", study_law(study) != NULL && among < PLOT_LINE_POINTS);
    int result = table_write(figure, &table, "");
    buffer_deinit(&table);
    return result;
}

static int write_vertices(Figure *figure, const Fit *fit) {
    Buffer table;
    buffer_init(&table, PLOT_TEXT_MAX);
    buffer_printf(&table, "flops\tparams\texamples\t%s\tsizes\n", figure->study->metric);
    for (size_t i = 0; i < fit->budget_count; i++) {
        const IsoflopBudget *budget = &fit->budgets[i];
        if (!budget->refused) {
            table_append_row(&table, (double[]){budget->flops, budget->params, budget->examples, budget->loss, (double)budget->points}, 5);
        }
    }
    int result = table_write(figure, &table, "-isoflop");
    buffer_deinit(&table);
    return result;
}

/* NAME, NAME_PARAMS and NAME_EXAMPLES: whether the method is drawn, and its exponents as text. */
static void set_method(Figure *figure, const char *name, const Fit *fit) {
    char variable[48], text[96];
    figure_set_count(figure, name, fit != NULL);
    for (int examples = 0; fit != NULL && examples < 2; examples++) {
        snprintf(variable, sizeof variable, "%s_%s", name, examples ? "EXAMPLES" : "PARAMS");
        figure_format_exponent(examples ? &fit->examples.exponent : &fit->params.exponent, text);
        figure_set_text(figure, variable, text);
    }
}

static bool has_band(const Fit *fit) {
    return fit != NULL && isfinite(fit->params.exponent.lo);
}

/* What is not drawn, and why. */
static void set_refusal(Figure *figure) {
    const PlotStudy *study = figure->study;
    char text[400] = "";
    if (study->refusals[FIT_ISOFLOP] != NULL) {
        snprintf(text, sizeof text, "No IsoFLOP line: %s", study->refusals[FIT_ISOFLOP]);
    } else if (study->refusals[FIT_PARAMETRIC] != NULL) {
        snprintf(text, sizeof text, "No parametric law: %s", study->refusals[FIT_PARAMETRIC]);
    }
    figure_set_note(figure, "NOTE", text);
}

int table_frontier(Figure *figure) {
    const PlotStudy *study = figure->study;
    const Fit *isoflop = study->fits[FIT_ISOFLOP];
    if (study->point_count == 0 || first_frontier(study) == NULL) {
        return error_set(figure->error, "there is no fit, and so no frontier to draw"), PLOT_NOTHING;
    }
    set_method(figure, "LAW", study_law(study));
    set_method(figure, "ISOFLOP", isoflop);
    set_method(figure, "VPNLS", second_law(study));
    set_method(figure, "ENVELOPE", study->fits[FIT_ENVELOPE]);
    figure_set_count(figure, "BANDED", has_band(study_law(study)));
    figure_set_count(figure, "ISOFLOP_BANDED", has_band(isoflop));
    set_refusal(figure);
    int result = write_lines(figure);
    return result == 0 && isoflop != NULL ? write_vertices(figure, isoflop) : result;
}
