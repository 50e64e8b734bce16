/* Settings are told apart by runs' canonical text and named by the table behind it (run_setting), so that whatever a later version adds
 * is found here, too. */
#include "settings.h"

#include <stdio.h>
#include <string.h>

/* The texts that were met so far, each with its number. */
typedef struct Known {
    json_t *settings, *cells;
    Buffer text;
} Known;

/* ---- one run's settings, by name ---- */

static json_t *list_settings(const Run *run) {
    Buffer value;
    char name[SETTING_NAME_MAX];
    json_t *out = json_object();
    buffer_init(&value, RUN_SPEC_MAX);
    for (size_t i = 0; out && run_setting(run, i, name, &value); i++) {
        if (json_object_set_new(out, name, json_loadb(value.data, value.size, JSON_DECODE_ANY, NULL))) {
            json_decref(out);
            out = NULL;
        }
        buffer_clear(&value);
    }
    buffer_deinit(&value);
    return out;
}

/* All that is no setting is made equal to another run's. known: from canonical text to index. */
static int find_setting(Study *study, const Run *run, const Run *first, Known *known, size_t *index, Error *error) {
    Buffer *text = &known->text;
    Run plain = *run;
    plain.model.depth = first->model.depth;
    plain.model.width = first->model.width;
    plain.model.expansion = first->model.expansion;
    plain.examples = first->examples;
    plain.seed = first->seed;
    plain.subset_seed = first->subset_seed;
    buffer_clear(text);
    if (run_format(&plain, text, error))
        return -1;
    const json_t *place = json_object_get(known->settings, text->data);
    if (place) {
        *index = (size_t)json_integer_value(place);
        return 0;
    }
    *index = json_array_size(study->settings);
    bool failed = json_array_append_new(study->settings, list_settings(&plain)) ||
                  json_object_set_new(known->settings, text->data, json_integer((json_int_t)*index));
    return failed ? error_set(error, "out of memory") : 0;
}

/* ---- a study's ---- */

/* known: from canonical text to index, in which the next one gets the next number. */
static int find_cell(const Sweep *sweep, const Run *run, json_t *known, Buffer *text, size_t *index, Error *error) {
    Run cell = *run;
    sweep_untune(sweep, &cell);
    cell.seed = 0;
    cell.subset_seed = 0;
    buffer_clear(text);
    if (run_format(&cell, text, error))
        return -1;
    const json_t *place = json_object_get(known, text->data);
    *index = place ? (size_t)json_integer_value(place) : json_object_size(known);
    if (!place && json_object_set_new(known, text->data, json_integer((json_int_t)*index)))
        return error_set(error, "out of memory");
    return 0;
}

/* The file's runs and the study's are in one order. 0; 1: they are not the same runs; negative. */
static int match_runs(Study *study, const Sweep *sweep, Known *known, Error *error) {
    SweepCursor cursor;
    Run run, first = {0};
    char key[RUN_KEY_MAX];
    bool tuned = sweep_tuned_count(sweep) > 0;
    int result = 0;
    sweep_cursor_init(&cursor, sweep);
    for (size_t i = 0; i < study->run_count && !result; i++) {
        StudyRun *record = &study->runs[i];
        if (!sweep_cursor_next(&cursor, &run))
            return 1;
        if (i == 0)
            first = run;
        result = run_key(&run, key, error);
        if (!result && strcmp(key, record->key) != 0)
            return 1;
        result = result ? result : find_setting(study, &run, &first, known, &record->setting, error);
        if (!result && tuned) {
            record->tuned = sweep_tuned_setting(sweep, &run);
            result = find_cell(sweep, &run, known->cells, &known->text, &record->cell, error);
        }
    }
    return result;
}

static void forget(Study *study) {
    json_decref(study->settings);
    study->settings = NULL;
    for (size_t i = 0; i < study->run_count; i++)
        study->runs[i].setting = 0;
}

int settings_load(Study *study, Source *source, Error *error) {
    Sweep *sweep = NULL;
    Error ignored = {0};
    Known known = {json_object(), json_object(), {0}};
    study->settings = json_array();
    buffer_init(&known.text, RUN_SPEC_MAX);
    int result = 1;
    if (!known.settings || !known.cells || !study->settings)
        result = error_set(error, "out of memory");
    else if (source_sweep_parse(source, &study->sweep, &sweep, &ignored) == 0)
        result = match_runs(study, sweep, &known, error);
    if (result) {
        study->untold = sweep && sweep_tuned_count(sweep) > 0;
        forget(study);
        sweep_free(sweep);
    } else {
        study->file = sweep;
    }
    buffer_deinit(&known.text);
    json_decref(known.settings);
    json_decref(known.cells);
    return result < 0 ? result : 0;
}

static void add_name(SettingNames *out, const char *name) {
    for (size_t i = 0; i < out->count; i++)
        if (!strcmp(out->names[i], name))
            return;
    if (out->count < SETTINGS_NAMES_MAX)
        text_copy(out->names[out->count++], SETTING_NAME_MAX, name);
}

static void add_missing(json_t *from, const json_t *in, SettingNames *out) {
    const char *name;
    json_t *value;
    json_object_foreach(from, name, value) {
        if (!json_equal(value, json_object_get(in, name)))
            add_name(out, name);
    }
}

static void compare_settings(const Study *study, size_t left, size_t right, SettingNames *out) {
    json_t *a = json_array_get(study->settings, left), *b = json_array_get(study->settings, right);
    add_missing(a, b, out);
    add_missing(b, a, out);
}

void settings_compare(const Study *study, const StudyRun *left, const StudyRun *right, SettingNames *out) {
    if (study->settings && left->setting != right->setting)
        compare_settings(study, left->setting, right->setting, out);
}

/* Whether wherever two settings have the same choice (a word) they have the same value, too. */
static bool decides(const Study *study, const char *choice, const char *name) {
    size_t count = json_array_size(study->settings);
    for (size_t i = 0; i < count; i++) {
        const json_t *a = json_array_get(study->settings, i), *word = json_object_get(a, choice), *value = json_object_get(a, name);
        if (!json_is_string(word) || json_is_string(value))
            return false;
        for (size_t j = 0; j < i; j++) {
            const json_t *b = json_array_get(study->settings, j), *other = json_object_get(b, name);
            bool same = value ? json_equal(value, other) : !other;
            if (json_equal(word, json_object_get(b, choice)) && !same)
                return false;
        }
    }
    return true;
}

void settings_drop_decided(const Study *study, SettingNames *names) {
    enum { SETTINGS_LOOKED_AT = 500 }; /* each is held against each */
    size_t kept = 0;
    if (json_array_size(study->settings) > SETTINGS_LOOKED_AT)
        return;
    bool decided[SETTINGS_NAMES_MAX] = {0};
    for (size_t i = 0; i < names->count; i++)
        for (size_t j = 0; j < names->count; j++)
            decided[i] = decided[i] || (i != j && decides(study, names->names[j], names->names[i]));
    for (size_t i = 0; i < names->count; i++)
        if (!decided[i])
            memmove(names->names[kept++], names->names[i], SETTING_NAME_MAX);
    names->count = kept;
}

void settings_differing(const Study *study, SettingNames *out) {
    *out = (SettingNames){0};
    for (size_t i = 1; i < json_array_size(study->settings); i++)
        compare_settings(study, 0, i, out);
}

const json_t *settings_find(const Study *study, const StudyRun *run, const char *name) {
    return json_object_get(json_array_get(study->settings, run->setting), name);
}

const char *settings_value(const Study *study, const StudyRun *run, const char *name, char out[SETTING_TEXT_MAX]) {
    const json_t *value = settings_find(study, run, name), *low = json_array_get(value, 0), *high = json_array_get(value, 1);
    if (json_is_integer(value))
        snprintf(out, SETTING_TEXT_MAX, "%lld", (long long)json_integer_value(value));
    else if (json_is_number(value))
        snprintf(out, SETTING_TEXT_MAX, "%g", json_number_value(value));
    else if (json_is_number(low) && json_is_number(high))
        snprintf(out, SETTING_TEXT_MAX, "%g to %g", json_number_value(low), json_number_value(high));
    else
        text_copy(out, SETTING_TEXT_MAX, json_is_string(value) ? json_string_value(value) : "-");
    return out;
}
