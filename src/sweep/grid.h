/* grid (private to sweep): the axes of a sweep, the cells that they span, and the run of each cell. */
#pragma once

#include "schema.h"

enum {
    AXIS_VALUES_MAX = 10000,
    EXCLUSIONS_MAX = 200,
    INCLUDES_MAX = 1000,
    RULES_MAX = 16, /* entries of an lr list that has rules in it */
};

enum { EXCLUSION_WORDS = (EXCLUSIONS_MAX + 63) / 64 };

/* A set of exclusions, a bit each. A cell is excluded when some exclusion is in the sets of all its values: a few words to look at for
 * each cell of a large grid, however many exclusions there are. */
typedef struct ExclusionSet {
    uint64_t words[EXCLUSION_WORDS];
} ExclusionSet;

typedef struct Axis {
    const Field *field;
    bool tuned; /* of `tune`; these come after those of the grid */
    size_t count;
    Value *values;          /* [count] */
    RateRule *rules;        /* lr only: [count]; a rule whose value is 0 stands for the plain number */
    ExclusionSet *excluded; /* [count]: those that name the value, or do not name the axis; NULL when there are none */
    ExclusionSet unnamed;   /* those that do not name the axis */
} Axis;

/* The design's own axis is that of the examples: its values are budgets, and what a cell's examples are depends on its model. */
typedef struct DesignGrid {
    Design design;
    size_t depth_axis, width_axis, budget_axis;
    size_t *places; /* [depths * widths]: of the model among the budgets' cells */
} DesignGrid;

struct Sweep {
    Draft draft;        /* what all runs share; values of axes are unset */
    bool given[FIELDS]; /* by the file, as a scalar or an axis */
    bool has_rule;      /* lr is draft.rule, outside the grid */
    bool sieve;         /* some cells of the grid are no runs */
    Axis axes[FIELDS];
    size_t axis_count;
    int64_t cells, runs;
    size_t exclusion_count;
    Run *includes; /* that are not in the grid */
    size_t include_count;
    DesignGrid *design;                        /* owned; NULL: none */
    int64_t transfer_tests[RUN_TRANSFERS_MAX]; /* images of the test sets of the items of eval; 0: not known */
};

typedef struct Cell {
    size_t at[FIELDS]; /* by axis */
} Cell;

/* The rate that a rule gives at a width. */
double rule_rate(const RateRule *rule, int64_t width);
const Axis *grid_axis(const Sweep *sweep, const Field *field); /* NULL when the field is none */
/* The product of the axes. False when it overflows 64 bits; a double has the size then, too. */
bool grid_cells(const Sweep *sweep, int64_t *cells, double *about);
/* What a cell's run derives from its parts: settings of the optimizer and schedule, the rate, the subset. */
void grid_finish_run(const Sweep *sweep, const bool given[FIELDS], const RateRule *rule, Run *run);
void grid_run(const Sweep *sweep, const Cell *cell, Run *out);
/* Whether some cell that counts gives this very run. */
bool grid_contains(const Sweep *sweep, const Run *run);
int64_t grid_settings(const Sweep *sweep); /* combinations of tuned values; 1 when nothing is tuned */
/* Sets the tuned keys to their values in combination `setting` [grid_settings]; the rule of the rate when that is one, else NULL. */
const RateRule *grid_tune(const Sweep *sweep, int64_t setting, Run *run);
/* What the design says of a cell of the grid. */
const DesignCell *design_cell(const DesignGrid *grid, const Sweep *sweep, const Cell *cell);
void design_free(DesignGrid *grid);
bool exclusion_set_is_empty(const ExclusionSet *set);
void exclusion_set_meet(ExclusionSet *set, const ExclusionSet *other);
ExclusionSet exclusion_set_all(const Sweep *sweep);
/* Sets cells and runs, once everything else is in place. */
void grid_count(Sweep *sweep);
bool run_equal(const Run *a, const Run *b);
