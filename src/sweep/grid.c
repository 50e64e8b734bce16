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
        free(sweep->axes[i].excluded);
    }
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

/* Of data that were named but not found, or of a trainer that needs some and was told sizes. */
static bool data_is_missing(const Run *run, const char *name, const char *digest) {
    return *digest == '\0' && (*name != '\0' || run->trainer == TRAINER_BUILTIN);
}

bool sweep_is_plan_only(const Sweep *sweep) {
    const Run *run = &sweep->draft.run;
    bool missing = data_is_missing(run, run->data_name, run->data_digest);
    for (size_t i = 0; i < run->transfer_count; i++)
        missing = missing || data_is_missing(run, run->transfers[i].data_name, run->transfers[i].data_digest);
    return missing;
}

static void append_missing(const char *name, int64_t inputs, int64_t classes, Buffer *out) {
    buffer_append_text(out, out->size ? "; " : "");
    if (*name == '\0') {
        buffer_append_text(out, "sizes stand in place of data, which 'data: {name: ...}' names");
        return;
    }
    buffer_printf(out, "%s is not in this home: ", name);
    data_append_commands(name, inputs, classes, 0, out);
}

void sweep_append_missing(const Sweep *sweep, Buffer *out) {
    const Run *run = &sweep->draft.run;
    if (data_is_missing(run, run->data_name, run->data_digest))
        append_missing(run->data_name, run->model.inputs, run->model.classes, out);
    for (size_t i = 0; i < run->transfer_count; i++) {
        const Transfer *item = &run->transfers[i];
        bool told = strcmp(item->data_name, run->data_name) == 0;
        for (size_t j = 0; j < i; j++)
            told = told || strcmp(item->data_name, run->transfers[j].data_name) == 0;
        if (!told && data_is_missing(run, item->data_name, item->data_digest))
            append_missing(item->data_name, run->model.inputs, item->classes, out);
    }
}

int sweep_check_data(const Sweep *sweep, const char *path, Error *error) {
    Buffer missing;
    if (!sweep_is_plan_only(sweep))
        return 0;
    buffer_init(&missing, ERROR_TEXT_MAX);
    sweep_append_missing(sweep, &missing);
    error_set(error, "%s can be planned, not run: %s", path, missing.data ? missing.data : "data are missing");
    buffer_deinit(&missing);
    return SWEEP_INVALID;
}

bool sweep_is_simulated(const Sweep *sweep) {
    return sweep->draft.run.trainer == TRAINER_SIMULATED;
}

bool sweep_is_external(const Sweep *sweep) {
    return sweep->draft.run.trainer == TRAINER_EXTERNAL;
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

bool exclusion_set_is_empty(const ExclusionSet *set) {
    uint64_t any = 0;
    for (size_t i = 0; i < EXCLUSION_WORDS; i++)
        any |= set->words[i];
    return any == 0;
}

void exclusion_set_meet(ExclusionSet *set, const ExclusionSet *other) {
    for (size_t i = 0; i < EXCLUSION_WORDS; i++)
        set->words[i] &= other->words[i];
}

ExclusionSet exclusion_set_all(const Sweep *sweep) {
    ExclusionSet all = {0};
    for (size_t i = 0; i < sweep->exclusion_count; i++)
        all.words[i / 64] |= UINT64_C(1) << i % 64;
    return all;
}

static bool cell_excluded(const Sweep *sweep, const Cell *cell) {
    if (sweep->exclusion_count == 0)
        return false;
    ExclusionSet set = exclusion_set_all(sweep);
    for (size_t i = 0; i < sweep->axis_count; i++)
        exclusion_set_meet(&set, &sweep->axes[i].excluded[cell->at[i]]);
    return !exclusion_set_is_empty(&set);
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
        if (schema_text_capacity(field) > 0) {
            if (strcmp((const char *)a + field->offset, (const char *)b + field->offset) != 0)
                return false;
        } else if (field->type == TYPE_SPAN) {
            if (memcmp(value_span(field, a), value_span(field, b), 2 * sizeof(double)) != 0)
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

/* Cells from axis i on that no exclusion of the set matches: all of them as soon as the set is empty. */
static int64_t count_not_excluded(const Sweep *sweep, size_t i, const ExclusionSet *set) {
    int64_t cells = 1;
    if (exclusion_set_is_empty(set)) {
        for (; i < sweep->axis_count; i++)
            cells *= (int64_t)sweep->axes[i].count;
        return cells;
    }
    if (i == sweep->axis_count)
        return 0;
    cells = 0;
    for (size_t j = 0; j < sweep->axes[i].count; j++) {
        ExclusionSet rest = *set;
        exclusion_set_meet(&rest, &sweep->axes[i].excluded[j]);
        cells += count_not_excluded(sweep, i + 1, &rest);
    }
    return cells;
}

static int64_t count_cells(const Sweep *sweep) {
    int64_t count = 0;
    for (int64_t number = 0; number < sweep->cells; number++) {
        Cell cell;
        cell_locate(sweep, number, &cell);
        count += cell_counts(sweep, &cell);
    }
    return count;
}

void grid_count(Sweep *sweep) {
    double about;
    grid_cells(sweep, &sweep->cells, &about);
    bool repeats = sweep->design != NULL;
    for (size_t i = 0; i < sweep->axis_count; i++)
        repeats = repeats || (sweep->axes[i].rules && sweep->axes[i].count > 1);
    ExclusionSet all = exclusion_set_all(sweep);
    sweep->runs = (repeats ? count_cells(sweep) : count_not_excluded(sweep, 0, &all)) + (int64_t)sweep->include_count;
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
