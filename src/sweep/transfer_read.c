/* The items of `eval`. */
#include "reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct Item {
    const Node *node;
    Keys keys;
    Draft draft;
    bool given[FIELDS];
} Item;

static int read_field(Reader *reader, Item *item, FieldId id) {
    const Field *field = &schema_fields[id];
    const Node *node = item->keys.nodes[id];
    bool scalar = field->type == TYPE_INTEGER || field->type == TYPE_NUMBER || field->type == TYPE_CHOICE;
    if (scalar && node->kind != NODE_SCALAR)
        return refuse_value(reader, field, node, "");
    item->given[id] = true;
    return field_read(reader, field, node, &item->draft);
}

/* known: the item as a run that was stored has it, or NULL. */
static int read_fields(Reader *reader, const Run *known, Item *item) {
    const Run *all = reader->known;
    int result = keys_gather(reader, KEYS_TRANSFER, item->node, &item->keys);
    reader->known = known; /* what its files were */
    for (size_t i = 0; result == 0 && i < item->keys.count; i++)
        result = read_field(reader, item, item->keys.order[i]);
    reader->known = all;
    if (result != 0)
        return result;
    if (!item->given[FIELD_TRANSFER_KIND])
        return node_refuse(&reader->tree, item->node, AT_VALUE, "kind is missing; expected one of linear, finetune");
    if (known && !item->given[FIELD_EXAMPLES]) {
        item->given[FIELD_EXAMPLES] = true; /* all that there were, which data that are gone do not tell */
        item->draft.run.examples = known->examples;
    }
    return data_read(reader, item->keys.nodes, item->node, known, &item->draft);
}

/* Each kind has its rates, and their defaults are for its own optimizer. */
static int check_rates(Reader *reader, const Item *item) {
    bool linear = item->draft.transfer_kind == TRANSFER_LINEAR;
    static const FieldId foreign[2][2] = {{FIELD_HEAD_LR, FIELD_BODY_LR}, {FIELD_LR, FIELD_LR}};
    for (size_t i = 0; i < 2; i++) {
        const Node *node = item->keys.nodes[foreign[!linear][i]];
        if (node && linear)
            return node_refuse(&reader->tree, node, AT_KEY, "linear has one rate, that of the head; expected optimizer.lr");
        if (node)
            return node_refuse(&reader->tree, node, AT_KEY, "finetune has two rates; expected head_lr and body_lr, beside optimizer");
    }
    OptimizerKind usual = linear ? OPTIMIZER_LION : OPTIMIZER_SGD;
    bool complete = linear ? item->given[FIELD_LR] : item->given[FIELD_HEAD_LR] && item->given[FIELD_BODY_LR];
    if (item->given[FIELD_OPTIMIZER] && item->draft.run.optimizer.kind != usual && !complete)
        return node_refuse(&reader->tree, item->node, AT_VALUE, "%s missing; the default is for %s alone",
                           linear ? "optimizer.lr is" : "head_lr or body_lr is", optimizer_kind_text(usual));
    return 0;
}

static int check_applicable(Reader *reader, const Item *item) {
    for (size_t i = 0; i < item->keys.count; i++) {
        const Field *field = &schema_fields[item->keys.order[i]];
        if (schema_applies(field, &item->draft.run))
            continue;
        Buffer absence;
        buffer_init(&absence, ERROR_TEXT_MAX);
        schema_absence(field, &item->draft.run, &absence);
        node_refuse(&reader->tree, item->keys.nodes[item->keys.order[i]], AT_KEY, "%s", absence.data ? absence.data : "not for this item");
        buffer_deinit(&absence);
        return SWEEP_INVALID;
    }
    return 0;
}

static void describe_shape(const Draft *draft, char out[96]) {
    const int64_t *shape = draft->data_shape;
    if (*shape)
        snprintf(out, 96, "%" PRId64 " x %" PRId64 " images of %" PRId64 " channel%s", shape[0], shape[1], shape[2],
                 shape[2] == 1 ? "" : "s");
    else
        snprintf(out, 96, "examples of %" PRId64 " values", draft->run.model.inputs);
}

/* A model reads examples of one shape. */
static int check_shape(Reader *reader, const Item *item) {
    const Draft *own = &item->draft, *main = &reader->sweep->draft;
    bool shapes = *own->data_shape && *main->data_shape;
    if (own->run.model.inputs == main->run.model.inputs && (!shapes || !memcmp(own->data_shape, main->data_shape, sizeof own->data_shape)))
        return 0;
    char found[96], expected[96];
    describe_shape(own, found);
    describe_shape(main, expected);
    char name[SWEEP_NAME_MAX + 24] = "NAME";
    Buffer commands;
    buffer_init(&commands, ERROR_TEXT_MAX);
    if (*main->data_shape && *own->run.data_name)
        snprintf(name, sizeof name, "%s-%" PRId64, own->run.data_name, main->data_shape[0]);
    data_append_commands(name, main->run.model.inputs, own->run.model.classes, own->data_shape[2], &commands);
    node_refuse(
        &reader->tree, node_child(item->node, "data"), AT_VALUE,
        "found %s, where the model is trained on %s; expected data of the same shape: pack them anew with %s, and give that name here",
        found, expected, commands.data ? commands.data : "--size");
    buffer_deinit(&commands);
    return SWEEP_INVALID;
}

static int check_examples(Reader *reader, const Item *item) {
    char reason[256];
    const Run *run = &item->draft.run;
    int64_t available = item->draft.data_examples - run->validation;
    if (run->examples > available)
        return node_refuse(
            &reader->tree, item->keys.nodes[FIELD_EXAMPLES], AT_VALUE,
            "found %" PRId64 "; expected at most %" PRId64 ": %s has %" PRId64 " examples, %" PRId64 " of them for validation",
            run->examples, available, *run->data_name ? run->data_name : "the data", item->draft.data_examples, run->validation);
    if (schema_check_schedule(run, reason, sizeof reason) != 0 || schema_check_run(run, reason, sizeof reason) != 0)
        return node_refuse(&reader->tree, item->node, AT_VALUE, "%s", reason);
    const int64_t *shape = item->draft.data_shape;
    int result = padding_check(reader, item->keys.nodes[FIELD_PADDING], run->augmentation.padding, shape);
    return result ? result : padding_check(reader, item->keys.nodes[FIELD_TEST_PADDING], run->test.augmentation.padding, shape);
}

static bool is_same(const Transfer *a, const Transfer *b) {
    return a->kind == b->kind && strcmp(a->name, b->name) == 0;
}

/* Of an item a with test.crops and an item a.tta, the metrics a.tta.test_error would be one. */
static bool ends_as_crops(const char *name) {
    static const char end[] = ".tta";
    size_t length = strlen(name), tail = sizeof end - 1;
    return length >= tail && strcmp(name + length - tail, end) == 0;
}

/* Metrics are named by it. */
static int name_item(Reader *reader, Item *item) {
    const Run *all = &reader->sweep->draft.run;
    Draft *draft = &item->draft;
    const Node *node = item->keys.nodes[FIELD_TRANSFER_NAME] ? item->keys.nodes[FIELD_TRANSFER_NAME] : item->node;
    if (!*draft->transfer_name)
        text_copy(draft->transfer_name, sizeof draft->transfer_name, draft->run.data_name);
    if (!*draft->transfer_name)
        return node_refuse(&reader->tree, node, AT_VALUE, "name is missing; expected one for the metrics of data that have none");
    if (strlen(draft->transfer_name) >= TRANSFER_NAME_MAX)
        return node_refuse(&reader->tree, node, AT_VALUE, "found the name %s; expected a name of at most %d characters, for the metrics",
                           draft->transfer_name, TRANSFER_NAME_MAX - 1);
    if (ends_as_crops(draft->transfer_name))
        return node_refuse(&reader->tree, node, AT_VALUE,
                           "found the name %s; expected one that does not end in .tta, as metrics over crops do", draft->transfer_name);
    Transfer own;
    transfer_take(&own, draft);
    for (size_t i = 0; i < all->transfer_count; i++)
        if (is_same(&own, &all->transfers[i]))
            return node_refuse(&reader->tree, node, AT_VALUE, "found two items of kind %s on %s; expected a name of its own for one",
                               transfer_kind_text(own.kind), own.name);
    return 0;
}

static int read_item(Reader *reader, Item *item) {
    Run *all = &reader->sweep->draft.run, known;
    bool is_known = reader->known && all->transfer_count < reader->known->transfer_count;
    if (is_known)
        run_transfer(reader->known, all->transfer_count, &known);
    int result = read_fields(reader, is_known ? &known : NULL, item);
    if (result == 0)
        result = check_rates(reader, item);
    if (result == 0) {
        transfer_fill(&item->draft, item->given);
        result = check_applicable(reader, item);
    }
    if (result == 0)
        result = check_shape(reader, item);
    if (result == 0)
        result = check_examples(reader, item);
    if (result == 0)
        result = name_item(reader, item);
    if (result == 0) {
        reader->sweep->transfer_tests[all->transfer_count] = item->draft.data_tests;
        transfer_take(&all->transfers[all->transfer_count++], &item->draft);
    }
    return result;
}

int transfers_read(Reader *reader, const Node *list) {
    const Sweep *sweep = reader->sweep;
    if (list->kind != NODE_LIST || list->count < 1 || list->count > RUN_TRANSFERS_MAX)
        return refuse_value(reader, &schema_fields[FIELD_TRANSFERS], list, "");
    if (sweep_is_simulated(sweep) || sweep_is_external(sweep))
        return node_refuse(&reader->tree, list, AT_KEY,
                           "found eval beside %s trainer; expected the built-in one, which measures its own model on other data",
                           sweep_is_simulated(sweep) ? "a simulated" : "an external");
    for (const Node *node = list->first; node; node = node->next) {
        Item item = {.node = node};
        int result = read_item(reader, &item);
        if (result != 0)
            return result;
    }
    return 0;
}

size_t sweep_transfer_count(const Sweep *sweep) {
    return sweep->draft.run.transfer_count;
}

const Transfer *sweep_transfer(const Sweep *sweep, size_t index) {
    return &sweep->draft.run.transfers[index];
}
