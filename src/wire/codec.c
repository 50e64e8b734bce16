#include "codec.h"

#include <math.h>
#include <string.h>

static const char *const directive_texts[] = {"continue", "stop", "drop"};
enum { DIRECTIVES = 3 };

/* ---- where reading stands ---- */

void decoder_init(Decoder *decoder, bool strict, Error *error) {
    *decoder = (Decoder){.strict = strict, .error = error};
}

static size_t decoder_append(Decoder *decoder, const char *format, ...) __attribute__((format(printf, 2, 3)));

static size_t decoder_append(Decoder *decoder, const char *format, ...) {
    size_t before = decoder->length;
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(decoder->path + before, sizeof decoder->path - before, format, arguments);
    va_end(arguments);
    size_t wanted = before + (written > 0 ? (size_t)written : 0);
    decoder->length = wanted < sizeof decoder->path ? wanted : sizeof decoder->path - 1;
    return before;
}

size_t decoder_enter(Decoder *decoder, const char *name) {
    return decoder_append(decoder, decoder->length == 0 ? "%s" : ".%s", name);
}

size_t decoder_enter_item(Decoder *decoder, size_t index) {
    return decoder_append(decoder, "[%zu]", index);
}

void decoder_leave(Decoder *decoder, size_t length) {
    decoder->length = length;
    decoder->path[length] = '\0';
}

int decoder_fail(Decoder *decoder, const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    error_set(decoder->error, "%s: %s", decoder->length == 0 ? "body" : decoder->path, text);
    return WIRE_INVALID;
}

/* ---- writing ---- */

void codec_append_text(const char *text, Buffer *out) {
    char cut[PATH_TEXT_MAX];
    text_copy(cut, sizeof cut, text);
    buffer_append_json(out, cut);
}

static void encode_unsigned(uint64_t value, Buffer *out) {
    buffer_printf(out, value > INT64_MAX ? "\"%llu\"" : "%llu", (unsigned long long)value);
}

static void encode_value(const CodecField *field, const char *value, Buffer *out) {
    switch (field->kind) {
    case CODEC_BOOL:
        buffer_append_text(out, *(const bool *)value ? "true" : "false");
        return;
    case CODEC_INTEGER:
        buffer_printf(out, "%lld", (long long)*(const int64_t *)value);
        return;
    case CODEC_UNSIGNED:
        encode_unsigned(*(const uint64_t *)value, out);
        return;
    case CODEC_NUMBER:
        buffer_append_double(out, *(const double *)value);
        return;
    case CODEC_TEXT:
        codec_append_text(value, out);
        return;
    case CODEC_OUTCOME:
        buffer_append_json(out, outcome_text(*(const Outcome *)value));
        return;
    case CODEC_STATE:
        buffer_append_json(out, run_state_text(*(const RunState *)value));
        return;
    case CODEC_DIRECTIVE:
        buffer_append_json(out, directive_texts[*(const Directive *)value]);
        return;
    case CODEC_OBJECT:
        codec_encode(field->fields, value, out);
        return;
    case CODEC_OTHER:
        field->encode(value, out);
        return;
    }
}

void codec_encode_fields(const CodecField *fields, const void *message, Buffer *out) {
    for (const CodecField *field = fields; field->name != NULL; field++) {
        if (field != fields)
            buffer_append_text(out, ",");
        buffer_append_json(out, field->name);
        buffer_append_text(out, ":");
        encode_value(field, (const char *)message + field->offset, out);
    }
}

void codec_encode(const CodecField *fields, const void *message, Buffer *out) {
    buffer_append_text(out, "{");
    codec_encode_fields(fields, message, out);
    buffer_append_text(out, "}");
}

void codec_encode_array(const CodecField *fields, const void *items, size_t item_size, size_t count, Buffer *out) {
    buffer_append_text(out, "[");
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buffer_append_text(out, ",");
        codec_encode(fields, (const char *)items + i * item_size, out);
    }
    buffer_append_text(out, "]");
}

/* ---- reading ---- */

static int decode_integer(Decoder *decoder, const CodecField *field, int64_t *out, const json_t *json) {
    if (!json_is_integer(json))
        return decoder_fail(decoder, "must be an integer");
    if (json_integer_value(json) < field->minimum)
        return decoder_fail(decoder, "must be at least %lld", (long long)field->minimum);
    *out = json_integer_value(json);
    return 0;
}

static int decode_unsigned(Decoder *decoder, uint64_t *out, const json_t *json) {
    if (json_is_integer(json) && json_integer_value(json) >= 0) {
        *out = (uint64_t)json_integer_value(json);
        return 0;
    }
    const char *text = json_string_value(json);
    if (text == NULL || *text == '\0' || strlen(text) > 20)
        return decoder_fail(decoder, "must be an integer of at least 0");
    uint64_t value = 0;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return decoder_fail(decoder, "must be an integer of at least 0");
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
            return decoder_fail(decoder, "must be below 2^64");
    }
    *out = value;
    return 0;
}

static int decode_number(Decoder *decoder, double *out, const json_t *json) {
    if (!json_is_number(json))
        return decoder_fail(decoder, "must be a number");
    *out = json_number_value(json);
    return 0;
}

static int decode_text(Decoder *decoder, const CodecField *field, char *out, const json_t *json) {
    if (!json_is_string(json))
        return decoder_fail(decoder, "must be text");
    size_t length = json_string_length(json);
    if (length >= field->size)
        return decoder_fail(decoder, "%zu bytes, at most %zu are allowed", length, field->size - 1);
    memcpy(out, json_string_value(json), length + 1);
    return 0;
}

static int decode_directive(Decoder *decoder, Directive *out, const json_t *json) {
    const char *text = json_string_value(json);
    for (int i = 0; text != NULL && i < DIRECTIVES; i++)
        if (strcmp(text, directive_texts[i]) == 0) {
            *out = (Directive)i;
            return 0;
        }
    return decoder_fail(decoder, "must be \"continue\", \"stop\" or \"drop\"");
}

static int decode_outcome(Decoder *decoder, Outcome *out, const json_t *json) {
    const char *text = json_string_value(json);
    if (text == NULL || outcome_find(text, out) != 0)
        return decoder_fail(decoder, "must be an outcome: ok, crashed, lost, preempted, timeout, out_of_memory, refused, open");
    return 0;
}

static int decode_state(Decoder *decoder, RunState *out, const json_t *json) {
    const char *text = json_string_value(json);
    if (text == NULL || run_state_find(text, out) != 0)
        return decoder_fail(decoder, "must be a state: pending, running, done, diverged, failed, cancelled");
    return 0;
}

static int decode_value(Decoder *decoder, const CodecField *field, char *value, const json_t *json) {
    switch (field->kind) {
    case CODEC_BOOL:
        if (!json_is_boolean(json))
            return decoder_fail(decoder, "must be true or false");
        *(bool *)value = json_is_true(json);
        return 0;
    case CODEC_INTEGER:
        return decode_integer(decoder, field, (int64_t *)value, json);
    case CODEC_UNSIGNED:
        return decode_unsigned(decoder, (uint64_t *)value, json);
    case CODEC_NUMBER:
        return decode_number(decoder, (double *)value, json);
    case CODEC_TEXT:
        return decode_text(decoder, field, value, json);
    case CODEC_OUTCOME:
        return decode_outcome(decoder, (Outcome *)value, json);
    case CODEC_STATE:
        return decode_state(decoder, (RunState *)value, json);
    case CODEC_DIRECTIVE:
        return decode_directive(decoder, (Directive *)value, json);
    case CODEC_OBJECT:
        return codec_decode(decoder, field->fields, value, json);
    case CODEC_OTHER:
        return field->decode(decoder, value, json);
    }
    return decoder_fail(decoder, "has no decoder");
}

static int check_unknown(Decoder *decoder, const CodecField *fields, json_t *object) {
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        const CodecField *field = fields;
        while (field->name != NULL && strcmp(field->name, key) != 0)
            field++;
        if (field->name == NULL) {
            decoder_enter(decoder, key);
            return decoder_fail(decoder, "unknown field");
        }
    }
    return 0;
}

int codec_decode(Decoder *decoder, const CodecField *fields, void *message, const json_t *json) {
    if (!json_is_object(json))
        return decoder_fail(decoder, "must be an object");
    int result = 0;
    for (const CodecField *field = fields; field->name != NULL && result == 0; field++) {
        const json_t *value = json_object_get(json, field->name);
        size_t length = decoder_enter(decoder, field->name);
        result = value == NULL ? decoder_fail(decoder, "missing") : decode_value(decoder, field, (char *)message + field->offset, value);
        decoder_leave(decoder, length);
    }
    if (result == 0 && decoder->strict)
        result = check_unknown(decoder, fields, (json_t *)json);
    return result;
}

int codec_decode_array(Decoder *decoder, const CodecField *fields, void *items, size_t item_size, size_t capacity, size_t *count,
                       const json_t *json) {
    if (!json_is_array(json))
        return decoder_fail(decoder, "must be a list");
    if (json_array_size(json) > capacity)
        return decoder_fail(decoder, "%zu items, at most %zu are allowed", json_array_size(json), capacity);
    *count = json_array_size(json);
    for (size_t i = 0; i < *count; i++) {
        size_t length = decoder_enter_item(decoder, i);
        int result = codec_decode(decoder, fields, (char *)items + i * item_size, json_array_get(json, i));
        if (result != 0)
            return result;
        decoder_leave(decoder, length);
    }
    return 0;
}

json_t *codec_parse(const char *json, size_t size, Error *error) {
    json_error_t problem;
    json_t *root = json_loadb(json, size, JSON_REJECT_DUPLICATES, &problem);
    if (root == NULL) {
        error_set(error, "body: not JSON at byte %d: %s", problem.position, problem.text);
        return NULL;
    }
    if (!json_is_object(root)) {
        json_decref(root);
        error_set(error, "body: must be an object");
        return NULL;
    }
    return root;
}

int codec_decode_text(const CodecField *fields, void *message, bool strict, const char *json, size_t size, Error *error) {
    json_t *root = codec_parse(json, size, error);
    if (root == NULL)
        return WIRE_INVALID;
    Decoder decoder;
    decoder_init(&decoder, strict, error);
    int result = codec_decode(&decoder, fields, message, root);
    json_decref(root);
    return result;
}

/* ---- what several messages carry ---- */

const CodecField codec_environment_fields[] = {
    CODEC_MEMBER(Environment, host, CODEC_TEXT),
    CODEC_MEMBER(Environment, cpu, CODEC_TEXT),
    CODEC_MEMBER(Environment, version, CODEC_TEXT),
    CODEC_MEMBER(Environment, backend, CODEC_TEXT),
    CODEC_MEMBER(Environment, data_digest, CODEC_TEXT),
    CODEC_MEMBER(Environment, pid, CODEC_INTEGER),
    CODEC_MEMBER(Environment, threads, CODEC_INTEGER),
    CODEC_MEMBER(Environment, memory_bytes, CODEC_NUMBER),
    CODEC_END,
};

static void encode_metrics(const void *value, Buffer *out) {
    point_format_metrics(value, out);
}

/* A metric that could not be had travels as null. */
static int decode_metrics(Decoder *decoder, void *value, const json_t *json) {
    Point *point = value;
    if (!json_is_object(json))
        return decoder_fail(decoder, "must be an object");
    if (json_object_size(json) > POINT_METRICS_MAX)
        return decoder_fail(decoder, "%zu metrics, at most %d are allowed", json_object_size(json), POINT_METRICS_MAX);
    point->metric_count = 0;
    const char *name;
    json_t *number;
    json_object_foreach((json_t *)json, name, number) {
        size_t length = decoder_enter(decoder, name);
        if (*name == '\0' || strlen(name) >= METRIC_NAME_MAX)
            return decoder_fail(decoder, "a metric's name has 1 to %d bytes", METRIC_NAME_MAX - 1);
        if (!json_is_number(number) && !json_is_null(number))
            return decoder_fail(decoder, "must be a number or null");
        point_set_metric(point, name, json_is_null(number) ? NAN : json_number_value(number));
        decoder_leave(decoder, length);
    }
    return 0;
}

const CodecField codec_point_fields[] = {
    CODEC_MEMBER(Point, step, CODEC_INTEGER),
    CODEC_MEMBER(Point, examples, CODEC_NUMBER),
    CODEC_MEMBER(Point, flops, CODEC_NUMBER),
    CODEC_MEMBER(Point, seconds, CODEC_NUMBER),
    CODEC_WHOLE("metrics", encode_metrics, decode_metrics),
    CODEC_END,
};

void codec_encode_gpus(const void *gpus, Buffer *out) {
    char text[GPUS_TEXT_MAX];
    buffer_append_json(out, gpus_text(*(const GpuSet *)gpus, text));
}

int codec_decode_gpus(Decoder *decoder, void *gpus, const json_t *json) {
    if (json_is_string(json) && gpus_parse(json_string_value(json), gpus) == 0)
        return 0;
    return decoder_fail(decoder, "must be a list of GPUs, as \"0,1\", or \"\"");
}

void codec_encode_run(const void *run, Buffer *out) {
    Error error;
    Buffer text;
    buffer_init(&text, RUN_SPEC_MAX);
    if (run_format(run, &text, &error) != 0 || text.failed)
        out->failed = true;
    else
        buffer_append(out, text.data, text.size);
    buffer_deinit(&text);
}

int codec_decode_run(Decoder *decoder, void *run, const json_t *json) {
    if (!json_is_object(json))
        return decoder_fail(decoder, "must be an object");
    char *text = json_dumps(json, JSON_COMPACT);
    if (text == NULL)
        return error_set_memory(decoder->error, "%s: out of memory", decoder->path);
    Error inner = {0};
    int result = run_parse(run, text, strlen(text), decoder->path, &inner);
    free(text);
    if (result < 0)
        return error_set(decoder->error, "%s", inner.text);
    if (result != 0)
        error_set(decoder->error, "%s", inner.text);
    return result == 0 ? 0 : WIRE_INVALID;
}
