/* exclude and include: maps of grid keys that name cells. */
#include "reader.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int cells_check(Reader *reader, const Node *node, int most) {
    if (node->kind != NODE_LIST)
        return refuse_value(reader, &schema_fields[FIELD_INCLUDE], node, "");
    if (node->count > (size_t)most)
        return node_refuse(&reader->tree, node, AT_VALUE, "found %zu cells; expected at most %d", node->count, most);
    return 0;
}

static int cell_keys(Reader *reader, KeySet set, const Node *item, Keys *keys) {
    int result = keys_gather(reader, set, item, keys);
    if (result == 0 && keys->count == 0)
        result = node_refuse(&reader->tree, item, AT_VALUE, "found no key; expected one grid key or more");
    return result;
}

/* ---- exclude ---- */

static int refuse_absent(Reader *reader, const Node *node) {
    Buffer found;
    buffer_init(&found, ERROR_TEXT_MAX);
    node_append_found(node, &found);
    node_refuse(&reader->tree, node, AT_VALUE, "found %s; expected a value that the grid has", found.data ? found.data : "another value");
    buffer_deinit(&found);
    return SWEEP_INVALID;
}

/* A key that is no axis has one value, that of every cell: it may be named, and tells no cells apart. */
static int match_constant(Reader *reader, const Field *field, const Node *node, Value value) {
    Run first;
    grid_run(reader->sweep, &(Cell){0}, &first);
    bool rate = field == &schema_fields[FIELD_LR];
    if ((rate && reader->sweep->has_rule) || !value_equal(field, value_load(field, &first), value))
        return refuse_absent(reader, node);
    return 0;
}

/* axis: NULL when the key is none. number: of the exclusion. */
static int match_value(Reader *reader, const Field *field, const Node *node, Axis *axis, size_t number) {
    Value value = {0};
    int result = scalar_read(reader, field, node, "", &value);
    if (result != 0)
        return result;
    if (!axis)
        return match_constant(reader, field, node, value);
    for (size_t i = 0; i < axis->count; i++) {
        bool rule = axis->rules && axis->rules[i].value > 0;
        if (!rule && value_equal(field, axis->values[i], value)) {
            axis->excluded[i].words[number / 64] |= UINT64_C(1) << number % 64;
            return 0;
        }
    }
    return refuse_absent(reader, node);
}

static bool is_designed(const Reader *reader, const Field *field) {
    return field == &schema_fields[FIELD_EXAMPLES] && reader->nodes[FIELD_DESIGN];
}

static int exclude_key(Reader *reader, const Field *field, const Node *node, size_t number) {
    Sweep *sweep = reader->sweep;
    const Axis *found = grid_axis(sweep, field);
    Axis *axis = found ? &sweep->axes[found - sweep->axes] : NULL;
    if (is_designed(reader, field))
        return node_refuse(&reader->tree, node, AT_KEY, "found examples, which the design chooses; exclude models by depth and width");
    if (axis)
        axis->unnamed.words[number / 64] &= ~(UINT64_C(1) << number % 64);
    if (node->kind != NODE_LIST)
        return match_value(reader, field, node, axis, number);
    if (node->count == 0)
        return node_refuse(&reader->tree, node, AT_VALUE, "found an empty list; expected a value or more");
    int result = 0;
    for (const Node *item = node->first; result == 0 && item; item = item->next)
        result = match_value(reader, field, item, axis, number);
    return result;
}

static int sets_allocate(Reader *reader) {
    Sweep *sweep = reader->sweep;
    for (size_t i = 0; i < sweep->axis_count; i++) {
        Axis *axis = &sweep->axes[i];
        axis->unnamed = exclusion_set_all(sweep);
        axis->excluded = calloc(axis->count, sizeof *axis->excluded);
        if (!axis->excluded)
            return error_set_memory(reader->tree.error, "out of memory");
    }
    return 0;
}

/* A value is in the sets of the exclusions that pass its axis over, too. */
static void sets_finish(Sweep *sweep) {
    for (size_t i = 0; i < sweep->axis_count; i++)
        for (size_t j = 0; j < sweep->axes[i].count; j++)
            for (size_t k = 0; k < EXCLUSION_WORDS; k++)
                sweep->axes[i].excluded[j].words[k] |= sweep->axes[i].unnamed.words[k];
}

int exclude_read(Reader *reader, const Node *node) {
    Sweep *sweep = reader->sweep;
    int result = cells_check(reader, node, EXCLUSIONS_MAX);
    if (result != 0 || node->count == 0)
        return result;
    sweep->exclusion_count = node->count;
    sweep->sieve = true;
    result = sets_allocate(reader);
    for (const Node *item = node->first; result == 0 && item; item = item->next) {
        Keys keys = {0};
        result = cell_keys(reader, KEYS_CELL, item, &keys);
        for (size_t i = 0; result == 0 && i < keys.count; i++)
            result = exclude_key(reader, &schema_fields[keys.order[i]], keys.nodes[keys.order[i]], item->index);
    }
    if (result == 0)
        sets_finish(sweep);
    return result;
}

/* ---- include: each entry is a cell, and makes a run of every combination of tuned values ---- */

/* What the cell does not say comes from the grid, where that has one value. */
static int take_grid_values(Reader *reader, const Node *item, const Keys *keys, Run *run, const RateRule **rule) {
    const Sweep *sweep = reader->sweep;
    *run = sweep->draft.run;
    *rule = sweep->has_rule ? &sweep->draft.rule : NULL;
    for (size_t i = 0; i < sweep->axis_count; i++) {
        const Axis *axis = &sweep->axes[i];
        const Node *node = keys->nodes[axis->field - schema_fields];
        if (axis->tuned && node)
            return node_refuse(&reader->tree, node, AT_KEY, "found a key that is tuned; a cell tries every value of tune");
        if (axis->tuned || node)
            continue;
        if (axis->count != 1 || is_designed(reader, axis->field))
            return node_refuse(&reader->tree, item, AT_VALUE, "%s is missing; the grid has %zu values of it, so the cell must say which",
                               strchr(axis->field->file, '.') + 1, axis->count);
        value_store(axis->field, axis->values[0], run);
        if (axis->rules)
            *rule = &axis->rules[0];
    }
    return 0;
}

static int take_cell_value(Reader *reader, FieldId id, const Node *node, Run *run, RateRule *rule, const RateRule **used) {
    if (id == FIELD_LR && node->kind == NODE_MAP) {
        *used = rule;
        return rule_read(reader, node, rule);
    }
    if (schema_fields[id].type == TYPE_SPAN)
        return span_read(reader, &schema_fields[id], node, run);
    Value value;
    int result = scalar_read(reader, &schema_fields[id], node, id == FIELD_LR ? ", or a rule {value, base_width, power, max}" : "", &value);
    if (result == 0 && id == FIELD_EXAMPLES)
        result = examples_check(reader, node, value.integer);
    if (result == 0)
        value_store(&schema_fields[id], value, run);
    if (id == FIELD_LR)
        *used = NULL;
    return result;
}

static int check_cell(Reader *reader, const Node *item, const Keys *keys, const Run *run) {
    char reason[256];
    for (size_t i = 0; i < keys->count; i++) {
        const Field *field = &schema_fields[keys->order[i]];
        if (schema_applies(field, run))
            continue;
        Buffer absence;
        buffer_init(&absence, ERROR_TEXT_MAX);
        schema_absence(field, run, &absence);
        node_refuse(&reader->tree, keys->nodes[keys->order[i]], AT_KEY, "%s", absence.data ? absence.data : "not for this cell");
        buffer_deinit(&absence);
        return SWEEP_INVALID;
    }
    if (schema_check_run(run, reason, sizeof reason) != 0 || schema_check_schedule(run, reason, sizeof reason) != 0)
        return node_refuse(&reader->tree, item, AT_VALUE, "%s", reason);
    const Node *padding = keys->nodes[FIELD_PADDING];
    return padding ? padding_check(reader, padding, run->augmentation.padding, reader->sweep->draft.data_shape) : 0;
}

static void add_run(Sweep *sweep, const Run *run) {
    bool known = grid_contains(sweep, run);
    for (size_t i = 0; !known && i < sweep->include_count; i++)
        known = run_equal(run, &sweep->includes[i]);
    if (!known)
        sweep->includes[sweep->include_count++] = *run;
}

static int add_cell(Reader *reader, const Node *item, const Keys *keys, const Run *cell, const RateRule *rule) {
    Sweep *sweep = reader->sweep;
    bool given[FIELDS];
    memcpy(given, sweep->given, sizeof given);
    for (size_t i = 0; i < keys->count; i++)
        given[keys->order[i]] = true;
    for (int64_t setting = 0, count = grid_settings(sweep); setting < count; setting++) {
        Run run = *cell;
        const RateRule *tuned = grid_tune(sweep, setting, &run);
        grid_finish_run(sweep, given, tuned ? tuned : rule, &run);
        int result = check_cell(reader, item, keys, &run);
        if (result != 0)
            return result;
        add_run(sweep, &run);
    }
    return 0;
}

static int include_cell(Reader *reader, const Node *item) {
    Keys keys = {0};
    RateRule rule = {0};
    const RateRule *used = NULL;
    Run cell;
    int result = cell_keys(reader, KEYS_INCLUDE, item, &keys);
    if (result == 0)
        result = take_grid_values(reader, item, &keys, &cell, &used);
    for (size_t i = 0; result == 0 && i < keys.count; i++)
        result = take_cell_value(reader, keys.order[i], keys.nodes[keys.order[i]], &cell, &rule, &used);
    return result == 0 ? add_cell(reader, item, &keys, &cell, used) : result;
}

int include_read(Reader *reader, const Node *node) {
    Sweep *sweep = reader->sweep;
    int64_t settings = grid_settings(sweep);
    int result = cells_check(reader, node, INCLUDES_MAX);
    if (result != 0 || node->count == 0)
        return result;
    if ((int64_t)node->count > INCLUDES_MAX / settings)
        return node_refuse(&reader->tree, node, AT_VALUE, "found %zu cells of %" PRId64 " tuned settings each; expected at most %d runs",
                           node->count, settings, INCLUDES_MAX);
    sweep->includes = calloc(node->count * (size_t)settings, sizeof *sweep->includes);
    if (!sweep->includes)
        return error_set_memory(reader->tree.error, "out of memory");
    for (const Node *item = node->first; result == 0 && item; item = item->next)
        result = include_cell(reader, item);
    return result;
}
