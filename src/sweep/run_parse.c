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
    Error *error;
} Reading;

static int refuse(Reading *reading, const char *key, const char *found, const char *expected) {
    error_set(reading->error, "%s: %s: found %.80s; expected %s", reading->path, key, found, expected);
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

static bool read_text(const Field *field, const char *text, Draft *draft) {
    char *target = (char *)draft + field->offset;
    if (field->type == TYPE_DIGEST) /* both are empty in a run that can only be planned */
        return (*text == '\0' || value_is_digest(text)) && text_copy(target, SHA256_HEX_MAX, text);
    if (field->type == TYPE_EXPRESSION || field->type == TYPE_DIRECTORY || field->type == TYPE_FILE)
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
    refuse(reading, field->run, found, expected.data ? expected.data : "another value");
    buffer_deinit(&expected);
    return SWEEP_INVALID;
}

/* The keys that may stand beside it, each once: "train" begins several paths. */
static void append_siblings(const char *prefix, Buffer *out) {
    size_t size = strlen(prefix), count = 0;
    const char *last = "";
    for (size_t i = 0; i < FIELDS; i++) {
        const char *path = schema_fields[i].run;
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
    append_siblings(prefix, &siblings);
    for (char *at = path; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
    error_set(reading->error, "%s: %s: unknown key; expected one of %s", reading->path, path, siblings.data ? siblings.data : "others");
    buffer_deinit(&siblings);
    return SWEEP_INVALID;
}

static int read_object(Reading *reading, const char *prefix, json_t *object);

static int read_member(Reading *reading, const char *prefix, const char *key, json_t *json) {
    char path[JSON_PATH_MAX], found[96];
    int size = snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", key);
    if (size < 0 || (size_t)size >= sizeof path)
        return refuse(reading, *prefix ? prefix : "run", "a very long key", "the keys of a run");
    const Field *field = schema_find_run(path);
    if (field)
        return read_field(reading, field, json);
    if (!schema_has_group_run(path))
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

static int check_presence(Reading *reading) {
    const Run *run = &reading->draft.run;
    for (size_t i = 0; i < FIELDS; i++) {
        const Field *field = &schema_fields[i];
        bool choice = reading->given[i];
        if (!field->run)
            continue;
        if (choice && !schema_applies(field, run)) {
            Buffer absence;
            buffer_init(&absence, 256);
            schema_absence(field, run, &absence);
            error_set(reading->error, "%s: %s: %s", reading->path, field->run, absence.data ? absence.data : "not for this run");
            buffer_deinit(&absence);
            return SWEEP_INVALID;
        }
        bool needed = (field->required && schema_applies(field, run)) || i == FIELD_DATA_NAME || i == FIELD_INPUTS || i == FIELD_CLASSES;
        if (needed && !choice) {
            error_set(reading->error, "%s: %s: missing", reading->path, field->run);
            return SWEEP_INVALID;
        }
    }
    return 0;
}

static int finish(Reading *reading, Run *out) {
    char reason[256];
    Run *run = &reading->draft.run;
    int result = check_presence(reading);
    if (result != 0)
        return result;
    schema_fill(&reading->draft, reading->given);
    schema_fill_kinds(run, reading->given);
    if (!reading->given[FIELD_SUBSET_SEED])
        run->subset_seed = run->seed;
    if ((*run->data_name == '\0') != (*run->data_digest == '\0'))
        return refuse(reading, "data", "a name or a digest alone", "both, or both empty");
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
        result = finish(&reading, out);
    json_decref(json);
    return result;
}
