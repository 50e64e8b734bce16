/* A run's JSON back into a Run. The same table that writes it says what each key may hold; jansson knows no places of values, so errors
 * name the key's path, and only broken JSON has a line and column. */
#include "schema.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { JSON_PATH_MAX = 128 };

typedef struct Reading {
    const char *path; /* the file's, for messages */
    Draft draft;
    bool given[FIELDS];
    bool item;   /* of eval */
    char at[32]; /* where that is, for messages: "eval[0]." */
    Error *error;
} Reading;

static int refuse(Reading *reading, const char *key, const char *found, const char *expected) {
    error_set(reading->error, "%s: %s%s: found %.80s; expected %s", reading->path, reading->at, key, found, expected);
    return SWEEP_INVALID;
}

static void describe(json_t *value, char out[96]) {
    if (json_is_object(value) || json_is_array(value))
        snprintf(out, 96, json_is_object(value) ? "an object" : "an array");
    else if (json_is_string(value))
        snprintf(out, 96, "\"%.60s\"", json_string_value(value));
    else if (json_is_integer(value))
        snprintf(out, 96, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        snprintf(out, 96, "%.17g", json_real_value(value));
    else
        snprintf(out, 96, json_is_null(value) ? "null" : json_is_true(value) ? "true" : "false");
    for (char *at = out; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
}

/* The field's path in what is read; NULL: it is not there. */
static const char *field_path(const Reading *reading, const Field *field) {
    if (!reading->item)
        return field->run;
    for (size_t i = 0; transfer_field(i); i++)
        if (transfer_field(i) == field)
            return transfer_path(field);
    return NULL;
}

static const Field *find_field(const Reading *reading, const char *path) {
    for (size_t i = 0; reading->item && transfer_field(i); i++)
        if (strcmp(transfer_path(transfer_field(i)), path) == 0)
            return transfer_field(i);
    return reading->item ? NULL : schema_find_run(path);
}

static bool has_group(const Reading *reading, const char *path) {
    size_t size = strlen(path);
    for (size_t i = 0; reading->item && transfer_field(i); i++)
        if (strncmp(transfer_path(transfer_field(i)), path, size) == 0 && transfer_path(transfer_field(i))[size] == '.')
            return true;
    return !reading->item && schema_has_group_run(path);
}

static bool read_text(const Field *field, const char *text, Draft *draft) {
    char *target = (char *)draft + field->offset;
    if (field->type == TYPE_DIGEST) /* both are empty in a run that can only be planned */
        return (*text == '\0' || value_is_digest(text)) && text_copy(target, SHA256_HEX_MAX, text);
    if (field->type == TYPE_EXPRESSION || field->type == TYPE_DIRECTORY || field->type == TYPE_FILE || field->type == TYPE_PACK)
        return text_copy(target, schema_text_capacity(field), text);
    return (*text == '\0' || value_is_name(text)) && text_copy(target, SWEEP_NAME_MAX, text);
}

static bool read_command(const Field *field, json_t *json, Draft *draft) {
    Buffer text;
    size_t index;
    json_t *item;
    bool good = json_is_array(json) && json_array_size(json) >= 1 && json_array_size(json) <= PROGRAM_ARGUMENTS_MAX;
    buffer_init(&text, PROGRAM_COMMAND_MAX);
    json_array_foreach(json, index, item) {
        good = good && json_is_string(item) && command_check(json_string_value(item), NULL, 0) == 0;
        buffer_append_text(&text, index ? "," : "[");
        buffer_append_json(&text, good ? json_string_value(item) : "");
    }
    buffer_append_text(&text, "]");
    good = good && buffer_check(&text, NULL, "a command") == 0 && text_copy((char *)draft + field->offset, PROGRAM_COMMAND_MAX, text.data);
    buffer_deinit(&text);
    return good;
}

static bool read_value(const Field *field, json_t *json, Draft *draft) {
    Value value;
    memset(&value, 0, sizeof value);
    switch (field->type) {
    case TYPE_INTEGER:
        value.integer = json_integer_value(json);
        if (!json_is_integer(json) || !value_in_range(field, value))
            return false;
        break;
    case TYPE_NUMBER:
        value.number = json_number_value(json) + 0.0;
        if (!json_is_number(json) || !value_in_range(field, value))
            return false;
        break;
    case TYPE_SPAN:
        return json_array_size(json) == 2 && json_is_number(json_array_get(json, 0)) && json_is_number(json_array_get(json, 1)) &&
               value_store_span(field, json_number_value(json_array_get(json, 0)), json_number_value(json_array_get(json, 1)), draft);
    case TYPE_CHOICE:
        if (!json_is_string(json) || !value_read(field, json_string_value(json), &value))
            return false;
        break;
    case TYPE_COMMAND:
        return read_command(field, json, draft);
    default:
        return json_is_string(json) && read_text(field, json_string_value(json), draft);
    }
    value_store(field, value, draft);
    return true;
}

static int read_field(Reading *reading, const Field *field, json_t *json) {
    char found[96];
    if (read_value(field, json, &reading->draft)) {
        reading->given[field - schema_fields] = true;
        return 0;
    }
    Buffer expected;
    buffer_init(&expected, 512);
    schema_expected(field, &expected);
    describe(json, found);
    refuse(reading, field_path(reading, field), found, expected.data ? expected.data : "another value");
    buffer_deinit(&expected);
    return SWEEP_INVALID;
}

/* The keys that may stand beside it, each once: "train" begins several paths. */
static void append_siblings(const Reading *reading, const char *prefix, Buffer *out) {
    size_t size = strlen(prefix), count = 0;
    const char *last = "";
    for (size_t i = 0; i < FIELDS; i++) {
        const char *path = field_path(reading, &schema_fields[i]);
        if (!path || strncmp(path, prefix, size) != 0 || (size > 0 && path[size] != '.'))
            continue;
        const char *name = path + size + (size > 0);
        size_t length = strcspn(name, ".");
        if (strncmp(last, name, length) != 0 || strcspn(last, ".") != length)
            buffer_printf(out, "%s%.*s", count++ ? ", " : "", (int)length, name);
        last = name;
    }
}

static int refuse_unknown(Reading *reading, const char *prefix, char *path) {
    Buffer siblings;
    buffer_init(&siblings, 512);
    append_siblings(reading, prefix, &siblings);
    for (char *at = path; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
    error_set(reading->error, "%s: %s%s: unknown key; expected one of %s", reading->path, reading->at, path,
              siblings.data ? siblings.data : "others");
    buffer_deinit(&siblings);
    return SWEEP_INVALID;
}

static int read_object(Reading *reading, const char *prefix, json_t *object);

static int read_transfers(Reading *reading, json_t *list);

static int read_member(Reading *reading, const char *prefix, const char *key, json_t *json) {
    char path[JSON_PATH_MAX], found[96];
    int size = snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", key);
    if (size < 0 || (size_t)size >= sizeof path)
        return refuse(reading, *prefix ? prefix : "run", "a very long key", "the keys of a run");
    if (!reading->item && strcmp(path, "eval") == 0)
        return read_transfers(reading, json);
    const Field *field = find_field(reading, path);
    if (field)
        return read_field(reading, field, json);
    if (!has_group(reading, path))
        return refuse_unknown(reading, prefix, path);
    if (!json_is_object(json)) {
        describe(json, found);
        return refuse(reading, path, found, "an object");
    }
    return read_object(reading, path, json);
}

static int read_object(Reading *reading, const char *prefix, json_t *object) {
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        int result = read_member(reading, prefix, key, value);
        if (result != 0)
            return result;
    }
    return 0;
}

static bool is_needed(const Reading *reading, FieldId id) {
    const Field *field = &schema_fields[id];
    bool own = id == FIELD_TRANSFER_KIND || id == FIELD_TRANSFER_NAME;
    return own || (field->required && schema_applies(field, &reading->draft.run)) || id == FIELD_DATA_NAME || id == FIELD_INPUTS ||
           id == FIELD_CLASSES;
}

static int check_presence(const Reading *reading) {
    const Run *run = &reading->draft.run;
    for (size_t i = 0; i < FIELDS; i++) {
        const Field *field = &schema_fields[i];
        const char *path = field_path(reading, field);
        if (!path)
            continue;
        if (reading->given[i] && !schema_applies(field, run)) {
            Buffer absence;
            buffer_init(&absence, 256);
            schema_absence(field, run, &absence);
            error_set(reading->error, "%s: %s%s: %s", reading->path, reading->at, path, absence.data ? absence.data : "not for this run");
            buffer_deinit(&absence);
            return SWEEP_INVALID;
        }
        if (is_needed(reading, (FieldId)i) && !reading->given[i]) {
            error_set(reading->error, "%s: %s%s: missing", reading->path, reading->at, path);
            return SWEEP_INVALID;
        }
    }
    return 0;
}

static int finish(Reading *reading) {
    Run *run = &reading->draft.run;
    int result = check_presence(reading);
    if (result != 0)
        return result;
    schema_fill(&reading->draft, reading->given);
    schema_fill_kinds(run, reading->given);
    if ((*run->data_name == '\0') != (*run->data_digest == '\0'))
        return refuse(reading, "data", "a name or a digest alone", "both, or both empty");
    if (*run->data_pack && !*run->data_name)
        return refuse(reading, "data", "a pack alone", "its name and digest beside it");
    return 0;
}

/* ---- the items of eval ---- */

static int check_item(Reading *item) {
    char reason[256];
    bool finetune = item->draft.transfer_kind == TRANSFER_FINETUNE;
    if (finetune != item->given[FIELD_BODY_LR])
        return refuse(item, "body_lr", finetune ? "none" : "a rate", finetune ? "one, of a finetune" : "none, of a linear");
    if (!finetune)
        item->draft.body_lr = 0;
    if (strlen(item->draft.transfer_name) >= TRANSFER_NAME_MAX || !*item->draft.transfer_name)
        return refuse(item, "name", item->draft.transfer_name, "1 to 31 characters");
    if (schema_check_schedule(&item->draft.run, reason, sizeof reason) != 0) {
        error_set(item->error, "%s: %s%s", item->path, item->at, reason);
        return SWEEP_INVALID;
    }
    return 0;
}

static int read_transfers(Reading *reading, json_t *list) {
    Run *run = &reading->draft.run;
    char found[96];
    size_t index;
    json_t *json;
    describe(list, found);
    if (!json_is_array(list) || json_array_size(list) < 1 || json_array_size(list) > RUN_TRANSFERS_MAX)
        return refuse(reading, "eval", found, "an array of 1 to 4 objects");
    json_array_foreach(list, index, json) {
        Reading item = {.path = reading->path, .error = reading->error, .item = true};
        snprintf(item.at, sizeof item.at, "eval[%zu].", index);
        int result = json_is_object(json) ? read_object(&item, "", json) : refuse(reading, "eval", "no object", "an array of objects");
        if (result == 0)
            result = finish(&item);
        if (result == 0)
            result = check_item(&item);
        if (result != 0)
            return result;
        transfer_take(&run->transfers[run->transfer_count++], &item.draft);
    }
    return 0;
}

static int finish_run(Reading *reading, Run *out) {
    char reason[256];
    Run *run = &reading->draft.run;
    int result = finish(reading);
    if (result != 0)
        return result;
    if (!reading->given[FIELD_SUBSET_SEED])
        run->subset_seed = run->seed;
    if (run->transfer_count > 0 && run->trainer != TRAINER_BUILTIN)
        return refuse(reading, "eval", "items", "none: the trainer is not the built-in one");
    if (schema_check_run(run, reason, sizeof reason) != 0) {
        error_set(reading->error, "%s: %s", reading->path, reason);
        return SWEEP_INVALID;
    }
    *out = *run;
    return 0;
}

int run_parse(Run *out, const char *text, size_t size, const char *path, Error *error) {
    json_error_t problem;
    Reading reading = {.path = path, .error = error};
    if (size > 16 * RUN_SPEC_MAX) {
        error_set(error, "%s: found %zu bytes; expected at most %d", path, size, 16 * RUN_SPEC_MAX);
        return SWEEP_INVALID;
    }
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &problem);
    if (!json) {
        error_set(error, "%s:%d:%d: %s", path, problem.line < 1 ? 1 : problem.line, problem.column < 0 ? 0 : problem.column, problem.text);
        return SWEEP_INVALID;
    }
    int result = json_is_object(json) ? read_object(&reading, "", json) : refuse(&reading, "run", "no object", "a JSON object");
    if (result == 0)
        result = finish_run(&reading, out);
    json_decref(json);
    return result;
}
