/* One key of the grid: a value, a list, or {from, to, points}, log-spaced, seeds evenly. */
#include "reader.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *axis_forms(const Field *field) {
    if (field == &schema_fields[FIELD_LR])
        return ", a rule {value, base_width, power, max}, a list of those, or {from, to, points}";
    return field->type == TYPE_CHOICE ? ", or a list of them" : ", a list of them, or {from, to, points}";
}

static int axis_allocate(Reader *reader, Axis *axis, size_t count) {
    axis->values = calloc(count, sizeof *axis->values);
    if (!axis->values)
        return error_set_memory(reader->tree.error, "out of memory");
    if (axis->field != &schema_fields[FIELD_LR])
        return 0;
    axis->rules = calloc(count, sizeof *axis->rules);
    return axis->rules ? 0 : error_set_memory(reader->tree.error, "out of memory");
}

static int value_add(Reader *reader, Axis *axis, const Node *node, const char *forms) {
    Value value = {0};
    RateRule rule = {0};
    int result;
    if (axis->rules && node->kind == NODE_MAP)
        result = rule_read(reader, node, &rule);
    else
        result = scalar_read(reader, axis->field, node, forms, &value);
    if (result == 0 && axis->field == &schema_fields[FIELD_EXAMPLES])
        result = examples_check(reader, node, value.integer);
    if (result != 0)
        return result;
    for (size_t i = 0; i < axis->count; i++)
        if (value_equal(axis->field, axis->values[i], value) && (!axis->rules || rule_equal(&axis->rules[i], &rule)))
            return node_refuse(&reader->tree, node, AT_VALUE, "found a value that is in the list already; expected each once");
    if (axis->rules)
        axis->rules[axis->count] = rule;
    axis->values[axis->count++] = value;
    return 0;
}

static int list_read(Reader *reader, Axis *axis, const Node *node) {
    if (node->count == 0 || node->count > AXIS_VALUES_MAX)
        return node_refuse(&reader->tree, node, AT_VALUE, "found a list of %zu values; expected 1 to %d", node->count, AXIS_VALUES_MAX);
    int result = axis_allocate(reader, axis, node->count);
    for (const Node *item = node->first; result == 0 && item; item = item->next)
        result = value_add(reader, axis, item, axis->rules ? ", or a rule {value, base_width, power, max}" : "");
    return result;
}

/* ---- {from, to, points} ---- */

typedef struct Range {
    Value from, to;
    int64_t points;
} Range;

static int range_part(Reader *reader, const Node *node, const char *key, const Field *field, Value *out) {
    const Node *part = node_child(node, key);
    if (!part)
        return node_refuse(&reader->tree, node, AT_VALUE, "%s is missing; expected {from, to, points}", key);
    return scalar_read(reader, field, part, "", out);
}

/* Numbers that count nothing: as many of them as asked for, evenly spaced. */
static bool is_label(const Field *field) {
    return field == &schema_fields[FIELD_SEED];
}

/* Ends are logarithms' arguments, so 0 is none even where the field allows it. */
static Field positive_field(const Field *field) {
    Field positive = *field;
    if (positive.least < 1 && !is_label(field))
        positive.least = 1;
    if (positive.low <= 0)
        positive.low_open = true;
    return positive;
}

static int range_parse(Reader *reader, const Field *field, const Node *node, Range *out) {
    static const Field points_field = {.type = TYPE_INTEGER, .least = 2, .most = AXIS_VALUES_MAX};
    Field positive = positive_field(field);
    Value points = {0};
    for (const Node *child = node->first; child; child = child->next)
        if (strcmp(child->key, "from") != 0 && strcmp(child->key, "to") != 0 && strcmp(child->key, "points") != 0)
            return node_refuse(&reader->tree, child, AT_KEY, "unknown key; expected one of from, to, points");
    int result = range_part(reader, node, "from", &positive, &out->from);
    if (result == 0)
        result = range_part(reader, node, "to", &positive, &out->to);
    if (result == 0)
        result = range_part(reader, node, "points", &points_field, &points);
    out->points = points.integer;
    if (result != 0)
        return result;
    bool rises = field->type == TYPE_INTEGER ? out->from.integer < out->to.integer : out->from.number < out->to.number;
    if (!rises)
        return node_refuse(&reader->tree, node_child(node, "to"), AT_VALUE, "found \"%s\", not above from; expected a larger value",
                           node_child(node, "to")->text);
    if (field == &schema_fields[FIELD_EXAMPLES])
        result = examples_check(reader, node_child(node, "to"), out->to.integer);
    return result;
}

static Value range_value(const Field *field, const Range *range, int64_t i) {
    double share = (double)i / (double)(range->points - 1);
    Value value = i == 0 ? range->from : range->to;
    if (i == 0 || i == range->points - 1)
        return value;
    if (field->type == TYPE_INTEGER) {
        double low = (double)range->from.integer, high = (double)range->to.integer;
        double between = is_label(field) ? low + share * (high - low) : low * pow(high / low, share);
        double integer = nearbyint(value_round(between));
        value.integer = integer >= high ? range->to.integer : (int64_t)integer;
    } else {
        value.number = value_round(range->from.number * pow(range->to.number / range->from.number, share));
    }
    return value;
}

static int range_read(Reader *reader, Axis *axis, const Node *node) {
    Range range = {0};
    int result = range_parse(reader, axis->field, node, &range);
    if (result == 0)
        result = axis_allocate(reader, axis, (size_t)range.points);
    for (int64_t i = 0; result == 0 && i < range.points; i++) {
        Value value = range_value(axis->field, &range, i);
        if (axis->count == 0 || !value_equal(axis->field, axis->values[axis->count - 1], value))
            axis->values[axis->count++] = value;
    }
    return result;
}

static bool is_range(const Axis *axis, const Node *node) {
    if (node->kind != NODE_MAP || axis->field->type == TYPE_CHOICE)
        return false;
    bool rate = axis->field == &schema_fields[FIELD_LR];
    return !rate || node_child(node, "from") || node_child(node, "to") || node_child(node, "points");
}

static bool drop_rules(Axis *axis) {
    bool any = false;
    for (size_t i = 0; axis->rules && i < axis->count; i++)
        any = any || axis->rules[i].value > 0;
    if (!any) {
        free(axis->rules);
        axis->rules = NULL;
    }
    return any;
}

int axis_read(Reader *reader, const Field *field, const Node *node, bool tuned) {
    Sweep *sweep = reader->sweep;
    Axis *axis = &sweep->axes[sweep->axis_count++];
    axis->field = field;
    axis->tuned = tuned;
    int result;
    if (is_range(axis, node)) {
        result = range_read(reader, axis, node);
    } else if (node->kind == NODE_LIST) {
        result = list_read(reader, axis, node);
    } else {
        result = axis_allocate(reader, axis, 1);
        if (result == 0)
            result = value_add(reader, axis, node, axis_forms(field));
    }
    if (result != 0)
        return result;
    bool rules = drop_rules(axis);
    if (rules && axis->count > RULES_MAX)
        return node_refuse(&reader->tree, node, AT_VALUE, "found a list of %zu with rules in it; expected at most %d", axis->count,
                           RULES_MAX);
    if (rules && axis->count > 1)
        sweep->sieve = true;
    return 0;
}
