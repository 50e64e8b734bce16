/* IsoFLOP designs. At each budget the models of the grid are priced with the plan's own arithmetic, which gives each the examples that the
 * budget pays for; of those that the data can serve, `sizes` are taken, spread evenly in the logarithm of their parameters about a centre,
 * as many below it as above: a parabola through sizes that lean to one side puts its vertex there.
 *
 * Compute comes in whole steps, and an epoch of few steps cannot meet a budget by its number of examples alone. The batch is then moved,
 * by no more than makes up for the rounding of the steps; examples and batch stay whole multiples, so that no epoch drops an example. */
#include "reader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double budget_tolerance = 0.005; /* either way: the fit takes for one budget what agrees within 1 % */
static const double budgets_apart = 1.02;     /* at least, from one to the next: else their runs would be taken for one budget's */
static const double sizes_apart = 1.01;

const Design *sweep_design(const Sweep *sweep) {
    return sweep->design ? &sweep->design->design : NULL;
}

const char *design_verdict_code(DesignVerdict verdict) {
    static const char *const codes[DESIGN_VERDICTS] = {
        [DESIGN_TAKEN] = "taken",
        [DESIGN_OTHERS] = "others_nearer",
        [DESIGN_FAR] = "beyond_span",
        [DESIGN_TOO_FEW] = "too_few_examples",
        [DESIGN_TOO_MANY] = "too_many_examples",
        [DESIGN_OFF_BUDGET] = "off_budget",
        [DESIGN_DOUBLE] = "double",
        [DESIGN_EXCLUDED] = "excluded",
        [DESIGN_LONELY] = "few_sizes",
    };
    return codes[verdict];
}

const char *design_verdict_text(DesignVerdict verdict) {
    static const char *const texts[DESIGN_VERDICTS] = {
        [DESIGN_TAKEN] = "taken",
        [DESIGN_OTHERS] = "others stand nearer to the sizes that are wanted",
        [DESIGN_FAR] = "beyond the span around the centre",
        [DESIGN_TOO_FEW] = "the budget pays for fewer examples than a batch",
        [DESIGN_TOO_MANY] = "the budget pays for more examples than the data have",
        [DESIGN_OFF_BUDGET] = "no whole number of steps comes within 0.5 % of the budget",
        [DESIGN_DOUBLE] = "as many parameters as another model, within 1 %",
        [DESIGN_EXCLUDED] = "excluded by the file",
        [DESIGN_LONELY] = "the budget has fewer than 3 sizes",
    };
    return texts[verdict];
}

void design_free(DesignGrid *grid) {
    if (!grid)
        return;
    for (size_t i = 0; i < grid->design.budget_count; i++)
        free(grid->design.budgets[i].cells);
    free(grid->design.budgets);
    free(grid->places);
    free(grid);
}

static size_t place_of(const DesignGrid *grid, const Sweep *sweep, const Cell *cell) {
    return grid->places[cell->at[grid->depth_axis] * sweep->axes[grid->width_axis].count + cell->at[grid->width_axis]];
}

const DesignCell *design_cell(const DesignGrid *grid, const Sweep *sweep, const Cell *cell) {
    return &grid->design.budgets[cell->at[grid->budget_axis]].cells[place_of(grid, sweep, cell)];
}

/* ---- what a budget pays for ---- */

static double flops_of(const Run *run, SweepFlops count) {
    Flops flops = run_flops(run);
    return count == SWEEP_FLOPS_EXACT ? flops.exact : count == SWEEP_FLOPS_PAPER ? flops.paper : flops.nd6;
}

static double deviation(double flops, double budget) {
    return fabs(flops / budget - 1);
}

/* By the paper's count and 6ND examples count one by one. */
static void price_by_example(Run *run, double budget, SweepFlops count) {
    run->examples = 1;
    double examples = nearbyint(budget / flops_of(run, count));
    run->examples = examples < 1 ? 0 : examples < 1e15 ? (int64_t)examples : (int64_t)1e15;
}

/* Executed FLOPs are those of whole steps; of a step they are a line in its batch. */
static void price_by_step(Run *run, double budget) {
    int64_t optimizer = optimizer_flops(run->optimizer.kind), batch = run->batch;
    double share = budget / (double)run->epochs; /* of an epoch */
    double step = (double)arch_step_flops(&run->model, batch, optimizer);
    double steps = fmin(nearbyint(share / step), 1e12);
    run->examples = (int64_t)(steps * (double)batch);
    if (steps < 1 || deviation(steps * step, share) <= budget_tolerance)
        return;
    double update = (double)arch_params_total(&run->model) * (double)optimizer, example = (step - update) / (double)batch;
    run->batch = (int64_t)fmax(nearbyint((share / steps - update) / example), 1);
    run->examples = (int64_t)steps * run->batch;
}

static void price(DesignCell *cell, const Run *base, double budget, SweepFlops count, int64_t available) {
    Run run = *base;
    run.model.depth = cell->depth;
    run.model.width = cell->width;
    if (count == SWEEP_FLOPS_EXACT)
        price_by_step(&run, budget);
    else
        price_by_example(&run, budget, count);
    if (run.examples < base->batch) {
        cell->verdict = DESIGN_TOO_FEW;
        return;
    }
    if (run.examples > available) {
        cell->verdict = DESIGN_TOO_MANY;
        return;
    }
    cell->examples = run.examples;
    cell->batch = run.batch;
    cell->flops = flops_of(&run, count);
    cell->verdict = deviation(cell->flops, budget) <= budget_tolerance ? DESIGN_OTHERS : DESIGN_OFF_BUDGET;
}

/* ---- which sizes are taken ---- */

/* Affordable cells are DESIGN_OTHERS until they are taken. */
static double middle_of(const DesignBudget *budget, size_t count) {
    double low = NAN, high = NAN;
    for (size_t i = 0; i < count; i++) {
        if (budget->cells[i].verdict != DESIGN_OTHERS)
            continue;
        low = isnan(low) ? (double)budget->cells[i].params : low;
        high = (double)budget->cells[i].params;
    }
    return sqrt(low * high);
}

/* ln(P / centre). */
static double place(const DesignBudget *budget, size_t i) {
    return log((double)budget->cells[i].params / budget->centre);
}

/* The free cell nearest to the target on its side of the centre (-1, 1; 0: on either); SIZE_MAX when there is none. */
static size_t nearest(const DesignBudget *budget, size_t count, double target, int side) {
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        double x = place(budget, i);
        if (budget->cells[i].verdict != DESIGN_OTHERS || (side < 0 && x >= 0) || (side > 0 && x < 0))
            continue;
        if (best == SIZE_MAX || fabs(x - target) < fabs(place(budget, best) - target))
            best = i;
    }
    return best;
}

typedef struct Reach {
    int64_t below, above; /* affordable sizes */
    double extent;        /* ln of the factor within which they lie on both sides */
} Reach;

static Reach reach_of(const DesignBudget *budget, size_t count) {
    Reach reach = {0};
    double low = 0, high = 0;
    for (size_t i = 0; i < count; i++) {
        if (budget->cells[i].verdict != DESIGN_OTHERS)
            continue;
        double x = place(budget, i);
        reach.below += x < 0;
        reach.above += x >= 0;
        low = fmin(low, x);
        high = fmax(high, x);
    }
    reach.extent = fmin(-low, high);
    return reach;
}

static void take(DesignBudget *budget, size_t i) {
    budget->cells[i].verdict = DESIGN_TAKEN;
    budget->taken++;
}

static void take_sizes(DesignBudget *budget, size_t count, int64_t sizes) {
    bool odd = sizes % 2 != 0;
    size_t middle = odd ? nearest(budget, count, 0, 0) : SIZE_MAX;
    if (middle != SIZE_MAX)
        take(budget, middle);
    Reach reach = reach_of(budget, count);
    int64_t side = count_at_most(count_at_most(reach.below, reach.above), sizes / 2);
    /* From the outside in: the ends decide how wide the parabola is. */
    for (int64_t j = side; j > 0; j--) {
        double share = odd ? (double)j / (double)side : ((double)j - 0.5) / ((double)side - 0.5);
        take(budget, nearest(budget, count, -share * reach.extent, -1));
        take(budget, nearest(budget, count, share * reach.extent, 1));
    }
}

static void choose(DesignBudget *budget, size_t count, const DesignSettings *settings) {
    budget->centre = settings->coefficient > 0 ? settings->coefficient * pow(budget->flops, settings->exponent) : middle_of(budget, count);
    for (size_t i = 0; i < count; i++)
        if (budget->cells[i].verdict == DESIGN_OTHERS && fabs(place(budget, i)) > log(settings->span) + 1e-12)
            budget->cells[i].verdict = DESIGN_FAR;
    take_sizes(budget, count, settings->sizes);
    if (budget->taken >= DESIGN_SIZES_MIN)
        return;
    budget->taken = 0;
    for (size_t i = 0; i < count; i++)
        if (budget->cells[i].verdict == DESIGN_TAKEN)
            budget->cells[i].verdict = DESIGN_LONELY;
}

/* ---- the models, priced at every budget ---- */

static int compare_cells(const void *left, const void *right) {
    const DesignCell *a = left, *b = right;
    if (a->params != b->params)
        return a->params < b->params ? -1 : 1;
    return (a->depth > b->depth) - (a->depth < b->depth);
}

/* An exclusion that names other keys, too, leaves the model to the cells that it does not name. */
static bool model_excluded(const Sweep *sweep, const DesignGrid *grid, const Cell *cell) {
    if (sweep->exclusion_count == 0)
        return false;
    ExclusionSet set = exclusion_set_all(sweep);
    for (size_t i = 0; i < sweep->axis_count; i++) {
        bool model = i == grid->depth_axis || i == grid->width_axis;
        exclusion_set_meet(&set, model ? &sweep->axes[i].excluded[cell->at[i]] : &sweep->axes[i].unnamed);
    }
    return !exclusion_set_is_empty(&set);
}

/* By parameters, with what holds at every budget. */
static void list_models(const Sweep *sweep, DesignGrid *grid, const Run *base, DesignCell *out) {
    const Axis *depths = &sweep->axes[grid->depth_axis], *widths = &sweep->axes[grid->width_axis];
    Cell cell = {0};
    size_t count = 0;
    for (size_t i = 0; i < depths->count * widths->count; i++) {
        cell.at[grid->depth_axis] = i / widths->count;
        cell.at[grid->width_axis] = i % widths->count;
        Architecture model = base->model;
        model.depth = depths->values[i / widths->count].integer;
        model.width = widths->values[i % widths->count].integer;
        out[count++] = (DesignCell){
            .depth = model.depth,
            .width = model.width,
            .params = arch_params_total(&model),
            .verdict = model_excluded(sweep, grid, &cell) ? DESIGN_EXCLUDED : DESIGN_OTHERS,
        };
    }
    qsort(out, count, sizeof *out, compare_cells);
    const DesignCell *before = NULL;
    for (size_t i = 0; i < count; i++) {
        if (out[i].verdict == DESIGN_EXCLUDED)
            continue;
        if (before && (double)out[i].params <= sizes_apart * (double)before->params)
            out[i].verdict = DESIGN_DOUBLE;
        else
            before = &out[i];
    }
}

static size_t find_number(const Axis *axis, int64_t number) {
    size_t i = 0;
    while (axis->values[i].integer != number)
        i++;
    return i;
}

static void fill_places(const Sweep *sweep, DesignGrid *grid, const DesignCell *models) {
    const Axis *depths = &sweep->axes[grid->depth_axis], *widths = &sweep->axes[grid->width_axis];
    for (size_t i = 0; i < grid->design.model_count; i++)
        grid->places[find_number(depths, models[i].depth) * widths->count + find_number(widths, models[i].width)] = i;
}

static int make_budget(Reader *reader, DesignGrid *grid, size_t i, const Run *base, const DesignCell *models) {
    const DesignSettings *settings = &reader->sweep->draft.design;
    DesignBudget *budget = &grid->design.budgets[i];
    size_t count = grid->design.model_count;
    budget->cells = calloc(count, sizeof *budget->cells);
    if (!budget->cells)
        return error_set_memory(reader->tree.error, "out of memory");
    memcpy(budget->cells, models, count * sizeof *models);
    double share = (double)i / (double)(settings->points - 1);
    budget->flops = i == 0                               ? settings->from
                    : i + 1 == grid->design.budget_count ? settings->to
                                                         : value_round(settings->from * pow(settings->to / settings->from, share));
    for (size_t j = 0; j < count; j++)
        if (budget->cells[j].verdict == DESIGN_OTHERS)
            price(&budget->cells[j], base, budget->flops, settings->flops, reader->available);
    choose(budget, count, settings);
    return 0;
}

static int make_budgets(Reader *reader, DesignGrid *grid, const Run *base) {
    DesignCell *models = calloc(grid->design.model_count, sizeof *models);
    int result = models ? 0 : error_set_memory(reader->tree.error, "out of memory");
    if (models) {
        list_models(reader->sweep, grid, base, models);
        fill_places(reader->sweep, grid, models);
    }
    for (size_t i = 0; result == 0 && i < grid->design.budget_count; i++)
        result = make_budget(reader, grid, i, base, models);
    free(models);
    return result;
}

/* The reason that holds most often, for a design of which nothing is left. */
static int check_taken(Reader *reader, const Design *design) {
    size_t counts[DESIGN_VERDICTS] = {0}, taken = 0, worst = DESIGN_OTHERS;
    for (size_t i = 0; i < design->budget_count; i++) {
        taken += design->budgets[i].taken;
        for (size_t j = 0; j < design->model_count; j++)
            counts[design->budgets[i].cells[j].verdict]++;
    }
    for (size_t i = 0; i < DESIGN_VERDICTS; i++)
        worst = counts[i] > counts[worst] ? i : worst;
    if (taken > 0)
        return 0;
    return node_refuse(&reader->tree, node_child(reader->tree.root, "design"), AT_KEY,
                       "found no budget that %d sizes can share; expected other budgets or models: mostly, %s", DESIGN_SIZES_MIN,
                       design_verdict_text((DesignVerdict)worst));
}

/* ---- reading ---- */

static int check_settings(Reader *reader) {
    static const FieldId alone[] = {FIELD_EPOCHS, FIELD_BATCH, FIELD_OPTIMIZER};
    const DesignSettings *settings = &reader->sweep->draft.design;
    const Sweep *sweep = reader->sweep;
    double ratio = pow(settings->to / settings->from, 1 / (double)(settings->points - 1));
    if (!(ratio >= budgets_apart))
        return node_refuse(&reader->tree, reader->nodes[FIELD_BUDGETS_TO], AT_VALUE,
                           "found budgets less than 2 %% apart; expected budgets.to well above budgets.from, or fewer points");
    for (size_t i = 0; i < sizeof alone / sizeof *alone; i++) {
        const Axis *axis = grid_axis(sweep, &schema_fields[alone[i]]);
        if (axis && axis->count > 1)
            return node_refuse(&reader->tree, reader->nodes[alone[i]], AT_KEY,
                               "found several values beside a design; its budgets need one: what a run costs depends on it");
    }
    return 0;
}

int design_read_axis(Reader *reader) {
    Sweep *sweep = reader->sweep;
    if (!reader->nodes[FIELD_DESIGN])
        return 0;
    if (reader->nodes[FIELD_EXAMPLES])
        return node_refuse(&reader->tree, reader->nodes[FIELD_EXAMPLES], AT_KEY, "found examples beside a design, which chooses them");
    Axis *axis = &sweep->axes[sweep->axis_count++];
    axis->field = &schema_fields[FIELD_EXAMPLES];
    axis->values = calloc((size_t)sweep->draft.design.points, sizeof *axis->values);
    if (!axis->values)
        return error_set_memory(reader->tree.error, "out of memory");
    axis->count = (size_t)sweep->draft.design.points;
    return 0;
}

static DesignGrid *grid_new(const Sweep *sweep) {
    DesignGrid *grid = calloc(1, sizeof *grid);
    if (!grid)
        return NULL;
    grid->depth_axis = (size_t)(grid_axis(sweep, &schema_fields[FIELD_DEPTH]) - sweep->axes);
    grid->width_axis = (size_t)(grid_axis(sweep, &schema_fields[FIELD_WIDTH]) - sweep->axes);
    grid->budget_axis = (size_t)(grid_axis(sweep, &schema_fields[FIELD_EXAMPLES]) - sweep->axes);
    grid->design.count = sweep->draft.design.flops;
    grid->design.model_count = sweep->axes[grid->depth_axis].count * sweep->axes[grid->width_axis].count;
    grid->places = calloc(grid->design.model_count, sizeof *grid->places);
    grid->design.budgets = calloc((size_t)sweep->draft.design.points, sizeof *grid->design.budgets);
    grid->design.budget_count = grid->design.budgets ? (size_t)sweep->draft.design.points : 0;
    if (grid->places && grid->design.budgets)
        return grid;
    design_free(grid);
    return NULL;
}

int design_make(Reader *reader) {
    Sweep *sweep = reader->sweep;
    Run base;
    if (!reader->nodes[FIELD_DESIGN])
        return 0;
    int result = check_settings(reader);
    if (result != 0)
        return result;
    grid_run(sweep, &(Cell){0}, &base);
    DesignGrid *grid = grid_new(sweep);
    if (!grid)
        return error_set_memory(reader->tree.error, "out of memory");
    if (grid->design.model_count > DESIGN_MODELS_MAX)
        result = node_refuse(&reader->tree, node_child(reader->tree.root, "grid"), AT_KEY,
                             "found %zu models; expected at most %d in a design", grid->design.model_count, DESIGN_MODELS_MAX);
    if (result == 0)
        result = make_budgets(reader, grid, &base);
    if (result == 0)
        result = check_taken(reader, &grid->design);
    if (result == 0)
        sweep->design = grid;
    else
        design_free(grid);
    return result;
}
