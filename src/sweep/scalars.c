#include "reader.h"

#include <inttypes.h>
#include <string.h>

int refuse_value(Reader *reader, const Field *field, const Node *node, const char *more) {
    Buffer found, expected;
    buffer_init(&found, ERROR_TEXT_MAX);
    buffer_init(&expected, ERROR_TEXT_MAX);
    bool number = field->type == TYPE_INTEGER || field->type == TYPE_NUMBER;
    if (number && node->kind == NODE_SCALAR && node->quoted)
        buffer_append_text(&found, "the quoted text ");
    node_append_found(node, &found);
    schema_expected(field, &expected);
    node_refuse(&reader->tree, node, AT_VALUE, "found %s; expected %s%s", found.data ? found.data : "another value",
                expected.data ? expected.data : "another", more);
    buffer_deinit(&found);
    buffer_deinit(&expected);
    return SWEEP_INVALID;
}

int scalar_read(Reader *reader, const Field *field, const Node *node, const char *more, Value *out) {
    bool number = field->type == TYPE_INTEGER || field->type == TYPE_NUMBER;
    if (node->kind != NODE_SCALAR || (number && node->quoted) || !value_read(field, node->text, out))
        return refuse_value(reader, field, node, more);
    return 0;
}

int rule_read(Reader *reader, const Node *node, RateRule *out) {
    static const FieldId parts[] = {FIELD_RULE_VALUE, FIELD_RULE_BASE_WIDTH, FIELD_RULE_POWER, FIELD_RULE_MAX};
    Draft draft = {0};
    Keys keys = {0};
    int result = keys_gather(reader, KEYS_RULE, node, &keys);
    for (size_t i = 0; result == 0 && i < sizeof parts / sizeof *parts; i++) {
        const Field *field = &schema_fields[parts[i]];
        Value value;
        if (keys.nodes[parts[i]])
            result = scalar_read(reader, field, keys.nodes[parts[i]], "", &value);
        else if (field->required || !value_read(field, field->standard, &value))
            return node_refuse(&reader->tree, node, AT_VALUE, "%s is missing; a rule is {value, base_width, power, max}",
                               strrchr(field->file, '.') + 1);
        if (result == 0)
            value_store(field, value, &draft);
    }
    *out = draft.rule;
    return result;
}

bool rule_equal(const RateRule *a, const RateRule *b) {
    return a->value == b->value && a->base_width == b->base_width && a->power == b->power && a->max == b->max;
}

static int name_read(Reader *reader, const Field *field, const Node *node, Draft *draft) {
    if (node->kind != NODE_SCALAR || !value_is_name(node->text))
        return refuse_value(reader, field, node, "");
    text_copy((char *)draft + field->offset, SWEEP_NAME_MAX, node->text);
    return 0;
}

/* ---- an external program ---- */

bool text_is_printable(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

static int expression_read(Reader *reader, const Field *field, const Node *node, Draft *draft) {
    char reason[256];
    if (node->kind != NODE_SCALAR || strlen(node->text) >= PROGRAM_EXPRESSION_MAX)
        return refuse_value(reader, field, node, "");
    bool has_params = field == &schema_fields[FIELD_FLOPS] && node_child(node->parent, "params");
    if (expression_check(node->text, has_params, reason, sizeof reason) != 0)
        return node_refuse(&reader->tree, node, AT_VALUE, "%s", reason);
    text_copy((char *)draft + field->offset, PROGRAM_EXPRESSION_MAX, node->text);
    return 0;
}

static int directory_read(Reader *reader, const Field *field, const Node *node, Draft *draft) {
    if (node->kind != NODE_SCALAR || *node->text != '/' || strlen(node->text) >= PROGRAM_DIRECTORY_MAX || !text_is_printable(node->text))
        return refuse_value(reader, field, node, "");
    text_copy((char *)draft + field->offset, PROGRAM_DIRECTORY_MAX, node->text);
    return 0;
}

static int argument_read(Reader *reader, const Field *field, const Node *item, Buffer *out) {
    char reason[256];
    if (item->kind != NODE_SCALAR || (item->index == 0 && !*item->text))
        return refuse_value(reader, field, item, "");
    if (command_check(item->text, reason, sizeof reason) != 0)
        return node_refuse(&reader->tree, item, AT_VALUE, "%s", reason);
    buffer_append_text(out, item->index ? "," : "[");
    buffer_append_json(out, item->text);
    return 0;
}

static int command_read(Reader *reader, const Field *field, const Node *node, Draft *draft) {
    Buffer text;
    if (node->kind != NODE_LIST || node->count == 0 || node->count > PROGRAM_ARGUMENTS_MAX)
        return refuse_value(reader, field, node, "");
    buffer_init(&text, PROGRAM_COMMAND_MAX);
    int result = 0;
    for (const Node *item = node->first; result == 0 && item; item = item->next)
        result = argument_read(reader, field, item, &text);
    buffer_append_text(&text, "]");
    if (result == 0 &&
        (buffer_check(&text, NULL, "a command") < 0 || !text_copy((char *)draft + field->offset, PROGRAM_COMMAND_MAX, text.data)))
        result = refuse_value(reader, field, node, "");
    buffer_deinit(&text);
    return result;
}

static int choices_read(Reader *reader, const Field *field, const Node *node, Draft *draft) {
    unsigned bits = 0;
    if (node->kind != NODE_LIST || node->count == 0)
        return refuse_value(reader, field, node, "");
    for (const Node *item = node->first; item; item = item->next) {
        unsigned found = 0;
        for (unsigned i = 0; field->choices[i]; i++)
            if (item->kind == NODE_SCALAR && strcmp(field->choices[i], item->text) == 0)
                found = 1U << i;
        if (!found || bits & found)
            return refuse_value(reader, field, item, found ? ", each once" : "");
        bits |= found;
    }
    memcpy((char *)draft + field->offset, &bits, sizeof bits);
    return 0;
}

int span_read(Reader *reader, const Field *field, const Node *node, void *draft) {
    const Node *low = node->kind == NODE_LIST && node->count == 2 ? node->first : NULL, *high = low ? low->next : NULL;
    double from, to;
    bool read = low && low->kind == NODE_SCALAR && !low->quoted && high->kind == NODE_SCALAR && !high->quoted &&
                value_read_number(low->text, &from) && value_read_number(high->text, &to);
    if (read && value_store_span(field, from, to, draft))
        return 0;
    if (read && from > to && from <= field->high && to >= field->low)
        return node_refuse(&reader->tree, node, AT_VALUE, "found %s, then %s; expected the smaller number first: from, then to", low->text,
                           high->text);
    return refuse_value(reader, field, node, "");
}

int field_read(Reader *reader, const Field *field, const Node *node, Draft *draft) {
    if (field->type == TYPE_SPAN)
        return span_read(reader, field, node, draft);
    if (field->type == TYPE_NAME || field->type == TYPE_METRIC)
        return name_read(reader, field, node, draft);
    if (field->type == TYPE_CHOICES)
        return choices_read(reader, field, node, draft);
    if (field->type == TYPE_COMMAND)
        return command_read(reader, field, node, draft);
    if (field->type == TYPE_EXPRESSION)
        return expression_read(reader, field, node, draft);
    if (field->type == TYPE_FILE)
        return file_field_read(reader, field, node, draft);
    if (field->type == TYPE_PACK)
        return pack_field_read(reader, field, node, draft);
    if (field->type == TYPE_DIRECTORY)
        return directory_read(reader, field, node, draft);
    bool rate = field == &schema_fields[FIELD_LR];
    if (rate && node->kind == NODE_MAP) {
        reader->sweep->has_rule = true;
        return rule_read(reader, node, &draft->rule);
    }
    const char *more = rate ? ", or a rule {value, base_width, power, max}" : "";
    if (field->axis && node->kind == NODE_LIST)
        more = rate ? ", or a rule {value, base_width, power, max}; a list goes under grid" : "; a list goes under grid";
    Value value;
    int result = scalar_read(reader, field, node, more, &value);
    if (result == 0)
        value_store(field, value, draft);
    return result;
}

int examples_check(Reader *reader, const Node *node, int64_t examples) {
    if (examples <= reader->available)
        return 0;
    return node_refuse(&reader->tree, node, AT_VALUE, "found %" PRId64 "; expected at most %" PRId64 ": %s", examples, reader->available,
                       reader->available_why);
}
