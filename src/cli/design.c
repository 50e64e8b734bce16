#include "design.h"

#include "format.h"
#include "table.h"

#include <math.h>

enum { NAMED_MAX = 6 }; /* models that a reason names one by one */

static const char *const count_texts[] = {[SWEEP_FLOPS_EXACT] = "exact", [SWEEP_FLOPS_PAPER] = "paper", [SWEEP_FLOPS_6ND] = "6nd"};

/* What all models of a design share is in any run. */
static Architecture shape_of(const Sweep *sweep) {
    SweepCursor cursor;
    Run run = {0};
    sweep_cursor_init(&cursor, sweep);
    sweep_cursor_next(&cursor, &run);
    return run.model;
}

static const char *cell_name(const Architecture *shape, const DesignCell *cell, char out[ARCH_NAME_MAX]) {
    Architecture model = *shape;
    model.depth = cell->depth;
    model.width = cell->width;
    arch_name(&model, out);
    return out;
}

/* ---- for people ---- */

static void print_rows(const Design *design, const DesignBudget *budget, const Architecture *shape, Table *table) {
    char text[FORMAT_MAX], name[ARCH_NAME_MAX];
    bool first = true;
    for (size_t i = 0; i < design->model_count; i++) {
        const DesignCell *cell = &budget->cells[i];
        if (cell->verdict != DESIGN_TAKEN)
            continue;
        table_cell(table, "%s", first ? format_scaled(budget->flops, "", text) : "");
        table_cell(table, "%s", cell_name(shape, cell, name));
        table_cell(table, "%s", format_count(cell->params, text));
        table_cell(table, "%s", format_count(cell->examples, text));
        table_cell(table, "%s", format_count(cell->batch, text));
        table_cell(table, "%.0f", cell->flops);
        table_cell(table, "%+.2f %%", 100 * (cell->flops / budget->flops - 1));
        first = false;
    }
}

/* "  1.00 G: the budget pays for ...: B_1-Wi_8, B_1-Wi_16 and 3 more" */
static void say_left_out(const Design *design, const DesignBudget *budget, DesignVerdict verdict, const Architecture *shape,
                         const Cli *cli) {
    char text[FORMAT_MAX], name[ARCH_NAME_MAX];
    Buffer names;
    size_t count = 0;
    buffer_init(&names, 4096);
    for (size_t i = 0; i < design->model_count; i++) {
        if (budget->cells[i].verdict != verdict)
            continue;
        if (count++ < NAMED_MAX)
            buffer_printf(&names, "%s%s", count > 1 ? ", " : "", cell_name(shape, &budget->cells[i], name));
    }
    if (count > NAMED_MAX)
        buffer_printf(&names, " and %zu more", count - NAMED_MAX);
    if (count > 0)
        cli_say(cli, "%s: left out, %s: %s", format_scaled(budget->flops, "FLOP", text), design_verdict_text(verdict), names.data);
    buffer_deinit(&names);
}

static void say_all_left_out(const Design *design, const Architecture *shape, const Cli *cli) {
    for (size_t i = 0; i < design->budget_count; i++)
        for (DesignVerdict verdict = DESIGN_TAKEN + 1; verdict < DESIGN_VERDICTS; verdict++)
            say_left_out(design, &design->budgets[i], verdict, shape, cli);
}

int design_print(const Sweep *sweep, const Cli *cli, Error *error) {
    const Design *design = sweep_design(sweep);
    Table *table;
    if (!design)
        return 0;
    if (table_new(&table, cli, error) < 0)
        return -1;
    Architecture shape = shape_of(sweep);
    printf("\nIsoFLOP design: budgets in FLOPs (%s)\n\n", count_texts[design->count]);
    table_column(table, "Budget", TABLE_RIGHT, 0);
    table_column(table, "Model", TABLE_LEFT, 0);
    table_column(table, "Parameters", TABLE_RIGHT, 0);
    table_column(table, "Examples", TABLE_RIGHT, 0);
    table_column(table, "Batch", TABLE_RIGHT, 1);
    table_column(table, "FLOPs", TABLE_RIGHT, 2);
    table_column(table, "Off", TABLE_RIGHT, 0);
    for (size_t i = 0; i < design->budget_count; i++)
        print_rows(design, &design->budgets[i], &shape, table);
    int result = table_print(table, error);
    table_free(table);
    putchar('\n');
    say_all_left_out(design, &shape, cli);
    return result;
}

/* ---- for programs ---- */

static void encode_cell(const DesignBudget *budget, const DesignCell *cell, const Architecture *shape, Buffer *out) {
    char name[ARCH_NAME_MAX];
    buffer_append_text(out, "{\"name\":");
    buffer_append_json(out, cell_name(shape, cell, name));
    buffer_printf(out, ",\"params\":%lld,\"verdict\":\"%s\"", (long long)cell->params, design_verdict_code(cell->verdict));
    if (cell->examples > 0) {
        buffer_printf(out, ",\"examples\":%lld,\"batch\":%lld,\"flops\":", (long long)cell->examples, (long long)cell->batch);
        buffer_append_double(out, cell->flops);
        buffer_append_text(out, ",\"deviation\":");
        buffer_append_double(out, cell->flops / budget->flops - 1);
    }
    buffer_append_text(out, "}");
}

void design_encode(const Sweep *sweep, Buffer *out) {
    const Design *design = sweep_design(sweep);
    if (!design)
        return;
    Architecture shape = shape_of(sweep);
    buffer_printf(out, ",\"design\":{\"kind\":\"isoflop\",\"flops\":\"%s\",\"budgets\":[", count_texts[design->count]);
    for (size_t i = 0; i < design->budget_count; i++) {
        const DesignBudget *budget = &design->budgets[i];
        buffer_append_text(out, i ? ",{\"flops\":" : "{\"flops\":");
        buffer_append_double(out, budget->flops);
        buffer_append_text(out, ",\"centre\":");
        buffer_append_double(out, budget->centre);
        buffer_printf(out, ",\"taken\":%zu,\"models\":[", budget->taken);
        for (size_t j = 0; j < design->model_count; j++) {
            buffer_append_text(out, j ? "," : "");
            encode_cell(budget, &budget->cells[j], &shape, out);
        }
        buffer_append_text(out, "]}");
    }
    buffer_append_text(out, "]}");
}
