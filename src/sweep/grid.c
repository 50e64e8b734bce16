#include "grid.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void sweep_free(Sweep *sweep) {
    if (!sweep)
        return;
    for (size_t i = 0; i < sweep->axis_count; i++) {
        free(sweep->axes[i].values);
        free(sweep->axes[i].rules);
    }
    for (size_t i = 0; i < sweep->exclusion_count; i++)
        for (size_t j = 0; j < FIELDS; j++)
            free(sweep->exclusions[i].masks[j]);
    free(sweep->exclusions);
    free(sweep->includes);
    design_free(sweep->design);
    free(sweep);
}

const char *sweep_name(const Sweep *sweep) {
    return sweep->draft.name;
}

const char *sweep_data_name(const Sweep *sweep) {
    return sweep->draft.run.data_name;
}

const FitSettings *sweep_fit_settings(const Sweep *sweep) {
    return &sweep->draft.fit;
}

bool sweep_is_plan_only(const Sweep *sweep) {
    return *sweep->draft.run.data_name == '\0' && sweep->draft.run.trainer == TRAINER_BUILTIN;
}

bool sweep_is_simulated(const Sweep *sweep) {
    return sweep->draft.run.trainer == TRAINER_SIMULATED;
}

int64_t sweep_run_count(const Sweep *sweep) {
    return sweep->runs;
}

const Axis *grid_axis(const Sweep *sweep, const Field *field) {
    for (size_t i = 0; i < sweep->axis_count; i++)
        if (sweep->axes[i].field == field)
            return &sweep->axes[i];
    return NULL;
}

bool grid_cells(const Sweep *sweep, int64_t *cells, double *about) {
    bool fits = true;
    *cells = 1;
    *about = 1;
    for (size_t i = 0; i < sweep->axis_count; i++) {
        *about *= (double)sweep->axes[i].count;
        if (fits && __builtin_mul_overflow(*cells, (int64_t)sweep->axes[i].count, cells))
            fits = false;
    }
    return fits;
}

double rule_rate(const RateRule *rule, int64_t width) {
    return fmin(rule->max, rule->value * pow((double)width / (double)rule->base_width, rule->power));
}

void grid_finish_run(const Sweep *sweep, const bool given[FIELDS], const RateRule *rule, Run *run) {
    schema_fill_kinds(run, given);
    if (rule)
        run->optimizer.lr = rule_rate(rule, run->model.width);
    if (!sweep->given[FIELD_SUBSET_SEED])
        run->subset_seed = run->seed;
}

void grid_run(const Sweep *sweep, const Cell *cell, Run *out) {
    const RateRule *rule = sweep->has_rule ? &sweep->draft.rule : NULL;
    *out = sweep->draft.run;
    for (size_t i = 0; i < sweep->axis_count; i++) {
        const Axis *axis = &sweep->axes[i];
        value_store(axis->field, axis->values[cell->at[i]], out);
        if (axis->rules && axis->rules[cell->at[i]].value > 0)
            rule = &axis->rules[cell->at[i]];
    }
    if (sweep->design) {
        const DesignCell *chosen = design_cell(sweep->design, sweep, cell);
        out->examples = chosen->examples;
        out->batch = chosen->batch;
    }
    grid_finish_run(sweep, sweep->given, rule, out);
}

static bool cell_excluded(const Sweep *sweep, const Cell *cell) {
    for (size_t i = 0; i < sweep->exclusion_count; i++) {
        const Exclusion *exclusion = &sweep->exclusions[i];
        bool all = true;
        for (size_t j = 0; all && j < sweep->axis_count; j++)
            all = !exclusion->masks[j] || exclusion->masks[j][cell->at[j]];
        if (all)
            return true;
    }
    return false;
}

/* Two entries of the lr axis can come to the same rate at some width; the run belongs to the first of them that is not excluded. */
static bool cell_repeats(const Sweep *sweep, const Cell *cell) {
    for (size_t i = 0; i < sweep->axis_count; i++) {
        if (!sweep->axes[i].rules || cell->at[i] == 0)
            continue;
        Run own, other;
        grid_run(sweep, cell, &own);
        Cell earlier = *cell;
        for (earlier.at[i] = 0; earlier.at[i] < cell->at[i]; earlier.at[i]++) {
            grid_run(sweep, &earlier, &other);
            if (other.optimizer.lr == own.optimizer.lr && !cell_excluded(sweep, &earlier))
                return true;
        }
    }
    return false;
}

static bool cell_counts(const Sweep *sweep, const Cell *cell) {
    if (sweep->design && design_cell(sweep->design, sweep, cell)->verdict != DESIGN_TAKEN)
        return false;
    return !sweep->sieve || (!cell_excluded(sweep, cell) && !cell_repeats(sweep, cell));
}

/* The last axis is the fastest. */
static void cell_locate(const Sweep *sweep, int64_t number, Cell *out) {
    for (size_t i = sweep->axis_count; i-- > 0;) {
        int64_t count = (int64_t)sweep->axes[i].count;
        out->at[i] = (size_t)(number % count);
        number /= count;
    }
}

bool run_equal(const Run *a, const Run *b) {
    for (size_t i = 0; i < FIELDS; i++) {
        const Field *field = &schema_fields[i];
        if (!field->run || i == FIELD_VERSION)
            continue;
        if (field->type == TYPE_NAME || field->type == TYPE_DIGEST) {
            if (strcmp((const char *)a + field->offset, (const char *)b + field->offset) != 0)
                return false;
        } else if (!value_equal(field, value_load(field, a), value_load(field, b))) {
            return false;
        }
    }
    return true;
}

/* The budget at which the design gives the cell's model so many examples; its axis comes after those of the model. */
static bool find_budget(const Sweep *sweep, const Run *run, Cell *cell) {
    size_t *at = &cell->at[sweep->design->budget_axis];
    for (*at = 0; *at < sweep->design->design.budget_count; ++*at)
        if (design_cell(sweep->design, sweep, cell)->examples == run->examples)
            return true;
    return false;
}

/* An axis's value as the run has it; lr is found by its rate, as rules give it. */
static bool find_values(const Sweep *sweep, const Run *run, Cell *cell, size_t *rate_axis) {
    *rate_axis = FIELDS;
    for (size_t i = 0; i < sweep->axis_count; i++) {
        const Axis *axis = &sweep->axes[i];
        size_t j = 0;
        if (sweep->design && i == sweep->design->budget_axis) {
            if (!find_budget(sweep, run, cell))
                return false;
            continue;
        }
        if (axis->rules) {
            *rate_axis = i;
        } else {
            Value own = value_load(axis->field, run);
            while (j < axis->count && !value_equal(axis->field, axis->values[j], own))
                j++;
            if (j == axis->count)
                return false;
        }
        cell->at[i] = j;
    }
    return true;
}

bool grid_contains(const Sweep *sweep, const Run *run) {
    Cell cell;
    size_t rate_axis;
    if (!find_values(sweep, run, &cell, &rate_axis))
        return false;
    size_t tries = rate_axis < FIELDS ? sweep->axes[rate_axis].count : 1;
    for (size_t i = 0; i < tries; i++) {
        Run candidate;
        if (rate_axis < FIELDS)
            cell.at[rate_axis] = i;
        grid_run(sweep, &cell, &candidate);
        if (run_equal(&candidate, run) && cell_counts(sweep, &cell))
            return true;
    }
    return false;
}

void grid_count(Sweep *sweep) {
    double about;
    grid_cells(sweep, &sweep->cells, &about);
    sweep->runs = sweep->cells;
    if (sweep->sieve || sweep->design) {
        sweep->runs = 0;
        for (int64_t number = 0; number < sweep->cells; number++) {
            Cell cell;
            cell_locate(sweep, number, &cell);
            sweep->runs += cell_counts(sweep, &cell);
        }
    }
    sweep->runs += (int64_t)sweep->include_count;
}

void sweep_cursor_init(SweepCursor *cursor, const Sweep *sweep) {
    *cursor = (SweepCursor){.sweep = sweep};
}

bool sweep_cursor_next(SweepCursor *cursor, Run *out) {
    const Sweep *sweep = cursor->sweep;
    while (cursor->cell < sweep->cells) {
        Cell cell;
        cell_locate(sweep, cursor->cell++, &cell);
        if (cell_counts(sweep, &cell)) {
            grid_run(sweep, &cell, out);
            return true;
        }
    }
    if (cursor->include < sweep->include_count) {
        *out = sweep->includes[cursor->include++];
        return true;
    }
    return false;
}
