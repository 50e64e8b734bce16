/* Tuned keys are the last axes of the grid, so that a cell's settings follow each other in every listing. */
#include "grid.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const Axis *tuned_axis(const Sweep *sweep, size_t key) {
    for (size_t i = 0; i < sweep->axis_count; i++)
        if (sweep->axes[i].tuned && key-- == 0)
            return &sweep->axes[i];
    return NULL;
}

static bool is_rule(const Axis *axis, size_t i) {
    return axis->rules && axis->rules[i].value > 0;
}

size_t sweep_tuned_count(const Sweep *sweep) {
    size_t count = 0;
    while (tuned_axis(sweep, count))
        count++;
    return count;
}

int64_t grid_settings(const Sweep *sweep) {
    int64_t settings = 1;
    for (size_t key = 0; tuned_axis(sweep, key); key++)
        settings *= (int64_t)tuned_axis(sweep, key)->count;
    return settings;
}

const RateRule *grid_tune(const Sweep *sweep, int64_t setting, Run *run) {
    const RateRule *rule = NULL;
    for (size_t key = sweep_tuned_count(sweep); key-- > 0;) {
        const Axis *axis = tuned_axis(sweep, key);
        size_t at = (size_t)(setting % (int64_t)axis->count);
        setting /= (int64_t)axis->count;
        value_store(axis->field, axis->values[at], run);
        if (is_rule(axis, at))
            rule = &axis->rules[at];
    }
    return rule;
}

/* An axis's value as a run of this width has it. */
static Value value_at(const Axis *axis, size_t i, int64_t width) {
    Value value = axis->values[i];
    if (is_rule(axis, i))
        value.number = rule_rate(&axis->rules[i], width);
    return value;
}

static size_t find_value(const Axis *axis, const Run *run) {
    Value own = value_load(axis->field, run);
    size_t i = 0;
    while (i + 1 < axis->count && !value_equal(axis->field, value_at(axis, i, run->model.width), own))
        i++;
    return i;
}

static bool is_less(const Field *field, Value a, Value b) {
    return field->type == TYPE_INTEGER ? a.integer < b.integer : a.number < b.number;
}

static void write_value(const Field *field, Value value, TunedValue *out) {
    Buffer text;
    buffer_init(&text, sizeof out->text);
    if (field->type == TYPE_NUMBER)
        buffer_append_double(&text, value.number);
    else if (field->type == TYPE_INTEGER)
        buffer_printf(&text, "%" PRId64, value.integer);
    else
        buffer_append_text(&text, field->choices[value.choice]);
    text_copy(out->text, sizeof out->text, text.data ? text.data : "");
    buffer_deinit(&text);
}

/* A rule's rate depends on the width, and so may its place among the others: only rules that differ in nothing but their value keep it. */
static bool has_order(const Axis *axis) {
    bool ordered = axis->field->type != TYPE_CHOICE;
    for (size_t i = 1; axis->rules && i < axis->count; i++) {
        const RateRule *a = &axis->rules[0], *b = &axis->rules[i];
        bool alike = a->base_width == b->base_width && a->power == b->power && a->max == b->max;
        ordered = ordered && is_rule(axis, 0) == is_rule(axis, i) && (!is_rule(axis, 0) || alike);
    }
    return ordered;
}

static void write_rule(const RateRule *rule, TunedValue *out) {
    int used = snprintf(out->text, sizeof out->text, "%.4g (width / %" PRId64 ")^%.4g", rule->value, rule->base_width, rule->power);
    if (rule->max < schema_fields[FIELD_RULE_MAX].high && used > 0 && (size_t)used < sizeof out->text)
        snprintf(out->text + used, sizeof out->text - (size_t)used, " up to %.4g", rule->max);
}

static void find_limits(const Field *field, Value own, TunedValue *out) {
    out->lowest = field->type == TYPE_NUMBER ? own.number <= field->low : own.integer <= field->least;
    out->highest = field->type == TYPE_NUMBER ? own.number >= field->high : own.integer >= field->most;
}

void sweep_tuned_value(const Sweep *sweep, const Run *run, size_t key, TunedValue *out) {
    const Axis *axis = tuned_axis(sweep, key);
    const Field *field = axis->field;
    Value own = value_load(field, run);
    *out = (TunedValue){.count = axis->count, .ordered = has_order(axis)};
    text_copy(out->name, sizeof out->name, field == &schema_fields[FIELD_LR] ? "lr" : strchr(field->file, '.') + 1);
    size_t at = find_value(axis, run);
    if (is_rule(axis, at))
        write_rule(&axis->rules[at], out);
    else
        write_value(field, own, out);
    if (out->ordered)
        find_limits(field, own, out);
    else
        out->index = at;
    for (size_t i = 0; out->ordered && i < axis->count; i++)
        out->index += is_less(field, value_at(axis, i, run->model.width), own);
}

int64_t sweep_tuned_setting(const Sweep *sweep, const Run *run) {
    int64_t setting = 0;
    for (size_t key = 0; tuned_axis(sweep, key); key++) {
        const Axis *axis = tuned_axis(sweep, key);
        setting = setting * (int64_t)axis->count + (int64_t)find_value(axis, run);
    }
    return setting;
}

static bool is_tuned(const Sweep *sweep, FieldId id) {
    const Axis *axis = grid_axis(sweep, &schema_fields[id]);
    return axis && axis->tuned;
}

/* Settings that belong to a tuned optimizer or schedule are no part of the cell either. */
void sweep_untune(const Sweep *sweep, Run *run) {
    const RateRule *rule = grid_tune(sweep, 0, run);
    if (is_tuned(sweep, FIELD_OPTIMIZER) || is_tuned(sweep, FIELD_SCHEDULE))
        schema_fill_kinds(run, sweep->given);
    if (rule)
        run->optimizer.lr = rule_rate(rule, run->model.width);
}
