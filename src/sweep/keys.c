#include "reader.h"

#include <stdio.h>
#include <string.h>

enum { KEY_PATH_MAX = 128, CANDIDATES_MAX = 64 };

/* "lr" is the one short name. */
static const char *long_name(KeySet set, const char *relative) {
    return set != KEYS_FILE && set != KEYS_RULE && strcmp(relative, "lr") == 0 ? "optimizer.lr" : relative;
}

static const char *const *set_prefixes(KeySet set) {
    static const char *const prefixes[][5] = {
        [KEYS_FILE] = {"", NULL},
        [KEYS_TRAIN] = {"train.", NULL},
        [KEYS_CELL] = {"grid.", "train.", NULL},
        [KEYS_INCLUDE] = {"grid.", "train.", NULL},
        [KEYS_RULE] = {"train.optimizer.lr.", NULL},
        [KEYS_TRANSFER] = {"eval.", "train.", "grid.", "", NULL},
    };
    return prefixes[set];
}

/* Those whose keys are below train, dotted or nested, with lr for optimizer.lr. */
static bool has_short_keys(KeySet set) {
    return set == KEYS_TRAIN || set == KEYS_CELL || set == KEYS_INCLUDE;
}

/* The sections of a file are no keys of an item, but for its data and its test. */
static bool is_item_section(const char *path) {
    return (strncmp(path, "data", 4) == 0 || strncmp(path, "test", 4) == 0) && (path[4] == '.' || path[4] == '\0');
}

/* What is no axis, but may stand in one value. */
static bool set_has_single(KeySet set, const Field *field) {
    return ((set == KEYS_TRAIN || set == KEYS_INCLUDE) && field->type == TYPE_SPAN) || (set == KEYS_TRAIN && field->type == TYPE_FILE);
}

static bool set_has(KeySet set, const char *prefix, const Field *field) {
    if (set == KEYS_TRANSFER)
        return transfer_has(field) && (*prefix || is_item_section(field->file));
    if (set_has_single(set, field))
        return true;
    return !has_short_keys(set) || field->axis;
}

/* The field or the group that a key path, relative to the set's own place, names. */
static const Field *resolve(KeySet set, const char *relative, bool *group) {
    char path[KEY_PATH_MAX];
    *group = false;
    for (const char *const *prefix = set_prefixes(set); *prefix; prefix++) {
        int size = snprintf(path, sizeof path, "%s%s", *prefix, long_name(set, relative));
        if (size < 0 || (size_t)size >= sizeof path)
            continue;
        const Field *field = schema_find_file(path);
        if (field && set_has(set, *prefix, field))
            return field;
        bool has_groups = set != KEYS_TRANSFER || **prefix || is_item_section(relative);
        *group = *group || (!field && has_groups && schema_has_group_file(path));
    }
    return NULL;
}

static bool has_name(const char **names, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* The keys that may stand below `prefix`: next segments, or whole dotted paths where those are allowed. */
static size_t list_candidates(KeySet set, const char *prefix, char names[][KEY_PATH_MAX], const char **out) {
    size_t count = 0;
    for (const char *const *base = set_prefixes(set); *base; base++) {
        char full[KEY_PATH_MAX];
        snprintf(full, sizeof full, "%s%s%s", *base, prefix, *prefix ? "." : "");
        for (size_t i = 0; i < FIELDS && count < CANDIDATES_MAX; i++) {
            const char *path = schema_fields[i].file;
            if (!path || !set_has(set, *base, &schema_fields[i]) || strncmp(path, full, strlen(full)) != 0)
                continue;
            text_copy(names[count], KEY_PATH_MAX, path + strlen(full));
            char *dot = strchr(names[count], '.');
            if (dot && (set == KEYS_FILE || set == KEYS_TRAIN || set == KEYS_TRANSFER))
                *dot = '\0';
            if (!has_name(out, count, names[count])) {
                out[count] = names[count];
                count++;
            }
        }
    }
    return count;
}

static int refuse_unknown(Reader *reader, KeySet set, const char *prefix, const Node *node) {
    char names[CANDIDATES_MAX][KEY_PATH_MAX];
    const char *candidates[CANDIDATES_MAX + 1];
    size_t count = list_candidates(set, prefix, names, candidates);
    size_t listed = count;
    if (has_short_keys(set) && !*prefix)
        candidates[count++] = "lr";
    Buffer message;
    buffer_init(&message, ERROR_TEXT_MAX);
    const char *nearest = schema_nearest(node->key, candidates, count);
    if (nearest)
        buffer_printf(&message, "; did you mean \"%s\"?", nearest);
    buffer_append_text(&message, nearest ? " Expected one of " : "; expected one of ");
    for (size_t i = 0; i < listed; i++)
        buffer_printf(&message, "%s%s", i ? ", " : "", candidates[i]);
    node_refuse(&reader->tree, node, AT_KEY, "unknown key%s", message.data ? message.data : "");
    buffer_deinit(&message);
    return SWEEP_INVALID;
}

static int refuse_map(Reader *reader, const Node *node) {
    Buffer found;
    buffer_init(&found, ERROR_TEXT_MAX);
    node_append_found(node, &found);
    node_refuse(&reader->tree, node, AT_VALUE, "found %s; expected a map of keys", found.data ? found.data : "another value");
    buffer_deinit(&found);
    return SWEEP_INVALID;
}

static int gather(Reader *reader, KeySet set, const char *prefix, const Node *map, Keys *keys);

static int gather_key(Reader *reader, KeySet set, const char *prefix, const Node *node, Keys *keys) {
    char relative[KEY_PATH_MAX];
    bool group = false, dotted = strchr(node->key, '.') != NULL;
    int size = snprintf(relative, sizeof relative, "%s%s%s", prefix, *prefix ? "." : "", node->key);
    const Field *field = NULL;
    if (set == KEYS_TRANSFER && strcmp(relative, "data") == 0 && node->kind == NODE_SCALAR)
        field = &schema_fields[FIELD_DATA_NAME]; /* data: NAME is short for data: {name: NAME} */
    else if (size > 0 && (size_t)size < sizeof relative && (!dotted || has_short_keys(set)))
        field = resolve(set, relative, &group);
    if (!field && !group)
        return refuse_unknown(reader, set, prefix, node);
    if (set == KEYS_FILE && !*prefix && strcmp(relative, "grid") == 0)
        return gather(reader, KEYS_CELL, "", node, keys);
    if (set == KEYS_FILE && !*prefix && strcmp(relative, "train") == 0)
        return gather(reader, KEYS_TRAIN, "", node, keys);
    if (field == &schema_fields[FIELD_TUNE])
        return gather(reader, KEYS_TRAIN, "", node, keys);
    if (!field)
        return gather(reader, set, relative, node, keys);
    FieldId id = (FieldId)(field - schema_fields);
    if (keys->nodes[id]) {
        const Node *twin = keys->nodes[id];
        return node_refuse(&reader->tree, node, AT_KEY, "found a doubled key; it is given at line %zu already", twin->key_place.line);
    }
    keys->nodes[id] = node;
    keys->order[keys->count++] = id;
    return 0;
}

static int gather(Reader *reader, KeySet set, const char *prefix, const Node *map, Keys *keys) {
    if (map->kind != NODE_MAP)
        return refuse_map(reader, map);
    for (const Node *child = map->first; child; child = child->next) {
        int result = gather_key(reader, set, prefix, child, keys);
        if (result != 0)
            return result;
    }
    return 0;
}

int keys_gather(Reader *reader, KeySet set, const Node *map, Keys *keys) {
    return gather(reader, set, "", map, keys);
}
