/* The sweep file as a whole: YAML to a tree of nodes, nodes to fields, fields to what all runs share and the axes in which they differ.
 * The first thing that is wrong ends it, with one error at its place. */
#include "reader.h"

#include "sweepd/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_in(const Node *node, const char *section) {
    while (node->parent && node->parent->parent)
        node = node->parent;
    return node->key && strcmp(node->key, section) == 0;
}

static bool is_axis(const Node *node) {
    return is_in(node, "grid") || is_in(node, "tune");
}

/* The version comes first: a file of a later form should not be told that its keys are unknown. */
static int read_version(Reader *reader) {
    const Node *root = reader->tree.root;
    if (!root || root->kind != NODE_MAP)
        return node_refuse(&reader->tree, root, AT_VALUE, "found no keys; expected a map of version, name, data, model, grid, train");
    const Node *version = node_child(root, "version");
    if (!version)
        return node_refuse(&reader->tree, root, AT_VALUE, "version: missing; expected 1");
    return field_read(reader, &schema_fields[FIELD_VERSION], version, &reader->sweep->draft);
}

static int read_keys(Reader *reader, Keys *keys) {
    int result = keys_gather(reader, KEYS_FILE, reader->tree.root, keys);
    for (size_t i = 0; result == 0 && i < keys->count; i++) {
        FieldId id = keys->order[i];
        const Node *node = keys->nodes[id];
        reader->nodes[id] = node;
        reader->sweep->given[id] = true;
        if (schema_fields[id].type != TYPE_CELLS && schema_fields[id].type != TYPE_TRANSFERS && !is_axis(node))
            result = field_read(reader, &schema_fields[id], node, &reader->sweep->draft);
    }
    return result;
}

/* At the innermost map of its path that the file has. */
static int refuse_missing(Reader *reader, const Field *field) {
    const Node *place = reader->tree.root;
    char path[128];
    text_copy(path, sizeof path, field->file);
    for (char *segment = path, *dot; (dot = strchr(segment, '.')); segment = dot + 1) {
        *dot = '\0';
        const Node *child = node_child(place, segment);
        if (!child)
            break;
        place = child;
    }
    Buffer expected, key_path;
    buffer_init(&expected, ERROR_TEXT_MAX);
    buffer_init(&key_path, ERROR_TEXT_MAX);
    schema_expected(field, &expected);
    node_append_path(place, &key_path);
    const char *rest = field->file + key_path.size + (key_path.size > 0);
    node_refuse(&reader->tree, place, AT_KEY, "%s is missing; expected %s%s", rest, expected.data ? expected.data : "a value",
                strncmp(field->file, "train.", 6) == 0 ? ", here or under grid" : "");
    buffer_deinit(&expected);
    buffer_deinit(&key_path);
    return SWEEP_INVALID;
}

static bool is_required(const Reader *reader, FieldId id) {
    const Field *field = &schema_fields[id];
    if (!field->file || !field->required || !schema_applies(field, &reader->sweep->draft.run))
        return false;
    if (id == FIELD_EXAMPLES)
        return !node_child(reader->tree.root, "design");
    return !field->within || node_child(reader->tree.root, field->within);
}

static int check_required(Reader *reader) {
    static const FieldId pairs[][2] = {{FIELD_BEST_LR, FIELD_CURVATURE}, {FIELD_CENTRE_COEFFICIENT, FIELD_CENTRE_EXPONENT}};
    const bool *given = reader->sweep->given;
    for (size_t i = 0; i < FIELD_RULE_VALUE; i++)
        if (!given[i] && is_required(reader, (FieldId)i))
            return refuse_missing(reader, &schema_fields[i]);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (given[pairs[i][0]] != given[pairs[i][1]])
            return refuse_missing(reader, &schema_fields[pairs[i][given[pairs[i][0]]]]);
    return 0;
}

static int read_data(Reader *reader) {
    const Draft *draft = &reader->sweep->draft;
    int result = data_read(reader, reader->nodes, reader->tree.root, reader->known, &reader->sweep->draft);
    if (result != 0)
        return result;
    reader->available = draft->data_examples - draft->run.validation;
    snprintf(reader->available_why, sizeof reader->available_why, "%s has %" PRId64 " examples, %" PRId64 " of them for validation",
             *draft->run.data_name ? draft->run.data_name : "the data", draft->data_examples, draft->run.validation);
    return 0;
}

/* ---- the grid ---- */

static int read_axes(Reader *reader, const Keys *keys, const char *section) {
    int result = 0;
    bool tuned = strcmp(section, "tune") == 0;
    size_t count = 0;
    for (size_t i = 0; result == 0 && i < keys->count; i++) {
        const Node *node = keys->nodes[keys->order[i]];
        if (!is_in(node, section))
            continue;
        if (tuned && ++count > SWEEP_TUNED_MAX)
            return node_refuse(&reader->tree, node, AT_KEY, "found more tuned keys than %d", SWEEP_TUNED_MAX);
        result = axis_read(reader, &schema_fields[keys->order[i]], node, tuned);
    }
    return result;
}

static int refuse_absent_key(Reader *reader, const Field *field, const Run *run) {
    Buffer absence;
    buffer_init(&absence, ERROR_TEXT_MAX);
    schema_absence(field, run, &absence);
    node_refuse(&reader->tree, reader->nodes[field - schema_fields], AT_KEY, "%s", absence.data ? absence.data : "not for this run");
    buffer_deinit(&absence);
    return SWEEP_INVALID;
}

/* A key must suit every model, optimizer and schedule that the file names, so that none of its values is ignored. */
static int check_applicable(Reader *reader) {
    Sweep *sweep = reader->sweep;
    for (size_t i = 0; i < FIELDS; i++) {
        const Field *field = &schema_fields[i];
        if (!field->chosen || !reader->nodes[i])
            continue;
        const Field *chooser = &schema_fields[field->chooser];
        const Axis *axis = grid_axis(sweep, chooser);
        Run run = sweep->draft.run;
        for (size_t j = 0; j < (axis ? axis->count : 1); j++) {
            if (axis)
                value_store(chooser, axis->values[j], &run);
            if (!schema_applies(field, &run))
                return refuse_absent_key(reader, field, &run);
        }
    }
    return 0;
}

static int check_size(Reader *reader) {
    int64_t cells;
    double about;
    bool fits = grid_cells(reader->sweep, &cells, &about);
    const Node *grid = node_child(reader->tree.root, "grid");
    if (!fits)
        return node_refuse(&reader->tree, grid, AT_KEY, "found about %.3g cells; expected at most %d", about, SWEEP_CELLS_MAX);
    if (cells > SWEEP_CELLS_MAX)
        return node_refuse(&reader->tree, grid, AT_KEY, "found %" PRId64 " cells; expected at most %d", cells, SWEEP_CELLS_MAX);
    return 0;
}

static Value largest_value(const Axis *axis) {
    Value most = axis->values[0];
    for (size_t i = 1; i < axis->count; i++) {
        Value value = axis->values[i];
        bool larger = axis->field->type == TYPE_INTEGER ? value.integer > most.integer : value.number > most.number;
        most = axis->field->type != TYPE_CHOICE && larger ? value : most;
        if (axis->field == &schema_fields[FIELD_SCHEDULE] && value.choice == SCHEDULE_WSD)
            most = value;
    }
    return most;
}

/* Of a rule on several keys, which names one of them first: the section where it stands. */
static const Node *section_of(const Reader *reader, const char *reason) {
    char name[16];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(reason, ". "), reason);
    const Node *section = node_child(reader->tree.root, name);
    return section ? section : node_child(reader->tree.root, "grid");
}

/* A padding is an axis, or the same for all. Of a cell that `include` adds it is looked at there. */
static int check_paddings(Reader *reader, const Run *largest) {
    const int64_t *shape = reader->sweep->draft.data_shape;
    int result = padding_check(reader, reader->nodes[FIELD_PADDING], largest->augmentation.padding, shape);
    return result ? result : padding_check(reader, reader->nodes[FIELD_TEST_PADDING], largest->test.augmentation.padding, shape);
}

/* The largest of every axis at once is no smaller than any run of the grid, and no schedule of the grid has less room. */
static int check_largest(Reader *reader) {
    Sweep *sweep = reader->sweep;
    Run largest = sweep->draft.run;
    char reason[256];
    for (size_t i = 0; i < sweep->axis_count; i++)
        value_store(sweep->axes[i].field, largest_value(&sweep->axes[i]), &largest);
    schema_fill_kinds(&largest, sweep->given);
    if (schema_check_run(&largest, reason, sizeof reason) != 0)
        return node_refuse(&reader->tree, section_of(reader, reason), AT_KEY, "%s", reason);
    if (schema_check_schedule(&largest, reason, sizeof reason) != 0) {
        const Node *place = reader->nodes[FIELD_WARMUP] ? reader->nodes[FIELD_WARMUP] : reader->nodes[FIELD_DECAY];
        return node_refuse(&reader->tree, place, AT_VALUE, "%s", reason);
    }
    return check_paddings(reader, &largest);
}

static int refuse_metric(Reader *reader, FieldId id, const char *metric) {
    char name[METRIC_NAME_MAX];
    Buffer names;
    buffer_init(&names, 4 * ERROR_TEXT_MAX);
    for (size_t i = 0; run_metric(&reader->sweep->draft.run, i, name); i++)
        buffer_printf(&names, "%s%s", i ? ", " : "", name);
    node_refuse(&reader->tree, reader->nodes[id], AT_VALUE, "found \"%s\"; expected one of %s", metric, names.data ? names.data : "others");
    buffer_deinit(&names);
    return SWEEP_INVALID;
}

enum { KEY_TEXT_MAX = 48 };

/* Whether a metric is of validation examples that there are none of; key: which say how many, the file's or an item's. */
static bool lacks_validation(const Run *run, const char *metric, char key[KEY_TEXT_MAX]) {
    int64_t count = run->trainer == TRAINER_BUILTIN ? run->validation : 1;
    snprintf(key, KEY_TEXT_MAX, "data.validation");
    for (size_t i = 0; i < run->transfer_count; i++) {
        char prefix[SWEEP_NAME_MAX];
        transfer_metric(&run->transfers[i], "", prefix);
        if (strncmp(metric, prefix, strlen(prefix)) != 0)
            continue;
        metric += strlen(prefix);
        count = run->transfers[i].validation;
        snprintf(key, KEY_TEXT_MAX, "eval[%zu].data.validation", i);
        break;
    }
    return count == 0 && strncmp(metric, "validation_", strlen("validation_")) == 0;
}

static int check_metric(Reader *reader, FieldId id, const char *metric) {
    const Run *run = &reader->sweep->draft.run;
    char key[KEY_TEXT_MAX];
    bool validation = lacks_validation(run, metric, key);
    if (run_has_metric(run, metric))
        return 0;
    if (reader->nodes[id] && !validation)
        return refuse_metric(reader, id, metric);
    if (reader->nodes[id])
        return node_refuse(&reader->tree, reader->nodes[id], AT_VALUE,
                           "found \"%s\", but %s is 0; expected a metric of train or test, or examples for validation", metric, key);
    return node_refuse(&reader->tree, node_child(reader->tree.root, "tune"), AT_KEY,
                       "%s chooses among tuned settings, but %s is 0; expected examples for validation, or fit.select: a metric "
                       "of train or test",
                       metric, key);
}

static int check_metrics(Reader *reader) {
    const FitSettings *fit = &reader->sweep->draft.fit;
    int result = check_metric(reader, FIELD_FIT_METRIC, fit->metric);
    bool used = node_child(reader->tree.root, "tune") || reader->nodes[FIELD_FIT_SELECT];
    return result == 0 && used ? check_metric(reader, FIELD_FIT_SELECT, fit->select) : result;
}

/* Expressions may have a value in one corner of the grid and none in another, so each run is looked at. */
static int check_programs(Reader *reader) {
    SweepCursor cursor;
    Run run;
    char reason[256];
    sweep_cursor_init(&cursor, reader->sweep);
    while (sweep_cursor_next(&cursor, &run))
        if (program_check(&run, reason, sizeof reason) != 0)
            return node_refuse(&reader->tree, node_child(reader->tree.root, "trainer"), AT_KEY, "%s", reason);
    return 0;
}

static int read_grid(Reader *reader, const Keys *keys) {
    Sweep *sweep = reader->sweep;
    bool external = sweep_is_external(sweep);
    if (external && reader->nodes[FIELD_DESIGN])
        return node_refuse(&reader->tree, reader->nodes[FIELD_DESIGN], AT_KEY,
                           "found a design beside an external trainer; expected grid.examples: a design prices bmlp and smlp");
    int result = read_axes(reader, keys, "grid");
    if (result == 0)
        result = design_read_axis(reader);
    if (result == 0)
        result = read_axes(reader, keys, "tune");
    if (result == 0)
        result = check_applicable(reader);
    if (result == 0)
        result = check_size(reader);
    if (result == 0)
        result = check_largest(reader);
    if (result == 0 && reader->nodes[FIELD_EXCLUDE])
        result = exclude_read(reader, reader->nodes[FIELD_EXCLUDE]);
    if (result == 0)
        result = design_make(reader);
    if (result == 0 && reader->nodes[FIELD_INCLUDE])
        result = include_read(reader, reader->nodes[FIELD_INCLUDE]);
    if (result != 0)
        return result;
    grid_count(sweep);
    if (external && check_programs(reader) != 0)
        return SWEEP_INVALID;
    if (sweep->runs == 0)
        return node_refuse(&reader->tree, reader->nodes[FIELD_EXCLUDE], AT_KEY, "found every cell excluded; expected one run or more");
    return 0;
}

static int read_file(Reader *reader) {
    Keys keys = {0};
    int result = read_version(reader);
    if (result == 0)
        result = read_keys(reader, &keys);
    if (result == 0)
        result = check_required(reader);
    if (result == 0)
        result = read_data(reader);
    if (result == 0 && reader->nodes[FIELD_TRANSFERS])
        result = transfers_read(reader, reader->nodes[FIELD_TRANSFERS]);
    if (result == 0) {
        schema_fill(&reader->sweep->draft, reader->sweep->given);
        result = check_metrics(reader);
    }
    return result == 0 ? read_grid(reader, &keys) : result;
}

static int parse(Sweep **out, const char *text, size_t size, const char *path, bool stored, const Run *known, Error *error) {
    Reader reader = {.stored = stored, .known = known};
    *out = NULL;
    reader.sweep = calloc(1, sizeof *reader.sweep);
    if (!reader.sweep)
        return error_set_memory(error, "out of memory");
    int result = tree_parse(&reader.tree, text, size, path, error);
    if (result == 0)
        result = read_file(&reader);
    tree_deinit(&reader.tree);
    if (result == 0)
        *out = reader.sweep;
    else
        sweep_free(reader.sweep);
    return result;
}

int sweep_parse(Sweep **out, const char *text, size_t size, const char *path, Error *error) {
    return parse(out, text, size, path, false, NULL, error);
}

int sweep_parse_stored(Sweep **out, const char *text, size_t size, const char *name, const Run *known, Error *error) {
    return parse(out, text, size, name, true, known, error);
}
