/* What the command line asks of the daemon with a body, and the daemon's own state. */

#include "codec.h"

#include <string.h>

static void encode_text(const void *value, Buffer *out) {
    buffer_append_json(out, value);
}

/* A sweep file is larger than what CODEC_TEXT cleans on its way. */
static int decode_file(Decoder *decoder, void *value, const json_t *json) {
    if (!json_is_string(json))
        return decoder_fail(decoder, "must be text");
    if (json_string_length(json) > SWEEP_FILE_MAX)
        return decoder_fail(decoder, "%zu bytes, at most %d are allowed", json_string_length(json), SWEEP_FILE_MAX);
    memcpy(value, json_string_value(json), json_string_length(json) + 1);
    return 0;
}

static void encode_path(const void *value, Buffer *out) {
    codec_append_text(value, out);
}

static int decode_path(Decoder *decoder, void *value, const json_t *json) {
    if (!json_is_string(json))
        return decoder_fail(decoder, "must be text");
    if (!text_is_plain(json_string_value(json))) /* messages repeat it on terminals */
        return decoder_fail(decoder, "must not hold control characters");
    if (!text_copy(value, PATH_TEXT_MAX, json_string_value(json)))
        return decoder_fail(decoder, "%zu bytes, at most %d are allowed", json_string_length(json), PATH_TEXT_MAX - 1);
    return 0;
}

static const CodecField submit_request_fields[] = {
    CODEC_CUSTOM(SubmitRequest, path, encode_path, decode_path),
    CODEC_CUSTOM(SubmitRequest, text, encode_text, decode_file),
    CODEC_END,
};

void submit_request_encode(const SubmitRequest *message, Buffer *out) {
    codec_encode(submit_request_fields, message, out);
}

int submit_request_decode(SubmitRequest *out, const char *json, size_t size, Error *error) {
    return codec_decode_text(submit_request_fields, out, true, json, size, error);
}

static int decode_method(Decoder *decoder, void *value, const json_t *json) {
    FitRequest *request = value;
    const char *text = json_string_value(json);
    size_t length = text == NULL ? 0 : strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-");
    if (length == 0 || text[length] != '\0' || !text_copy(request->method, sizeof request->method, text))
        return decoder_fail(decoder, "must be a fit's method, such as \"parametric\"");
    return 0;
}

/* jansson writes 0.1 with seventeen digits; what was sent is to be kept as it was. */
static void append_value(const json_t *json, Buffer *out) {
    const char *separator = "", *key;
    json_t *value;
    size_t index;
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        buffer_append_text(out, "{");
        json_object_foreach((json_t *)json, key, value) {
            buffer_append_text(out, separator);
            buffer_append_json(out, key);
            buffer_append_text(out, ":");
            append_value(value, out);
            separator = ",";
        }
        buffer_append_text(out, "}");
        return;
    case JSON_ARRAY:
        buffer_append_text(out, "[");
        json_array_foreach(json, index, value) {
            buffer_append_text(out, separator);
            append_value(value, out);
            separator = ",";
        }
        buffer_append_text(out, "]");
        return;
    case JSON_STRING:
        buffer_append_json(out, json_string_value(json));
        return;
    case JSON_INTEGER:
        buffer_printf(out, "%lld", (long long)json_integer_value(json));
        return;
    case JSON_REAL:
        buffer_append_double(out, json_real_value(json));
        return;
    case JSON_TRUE:
    case JSON_FALSE:
        buffer_append_text(out, json_is_true(json) ? "true" : "false");
        return;
    case JSON_NULL:
        buffer_append_text(out, "null");
        return;
    }
}

static int decode_fit(Decoder *decoder, void *value, const json_t *json) {
    FitRequest *request = value;
    if (!json_is_object(json))
        return decoder_fail(decoder, "must be an object");
    append_value(json, &request->fit);
    return request->fit.failed ? error_set_memory(decoder->error, "%s: out of memory", decoder->path) : 0;
}

static const CodecField fit_request_fields[] = {
    CODEC_WHOLE("method", NULL, decode_method),
    CODEC_WHOLE("fit", NULL, decode_fit),
    CODEC_END,
};

int fit_request_decode(FitRequest *out, const char *json, size_t size, Error *error) {
    *out = (FitRequest){0};
    buffer_init(&out->fit, WIRE_BODY_MAX * 2);
    return codec_decode_text(fit_request_fields, out, true, json, size, error);
}

void fit_request_deinit(FitRequest *message) {
    buffer_deinit(&message->fit);
}

static const CodecField shutdown_request_fields[] = {
    CODEC_MEMBER(ShutdownRequest, sweep, CODEC_TEXT),
    CODEC_END,
};

int shutdown_request_decode(ShutdownRequest *out, const char *json, size_t size, Error *error) {
    *out = (ShutdownRequest){0};
    if (size == 0)
        return 0;
    json_t *root = codec_parse(json, size, error);
    if (root == NULL)
        return WIRE_INVALID;
    Decoder decoder;
    decoder_init(&decoder, true, error);
    int result = json_object_size(root) == 0 ? 0 : codec_decode(&decoder, shutdown_request_fields, out, root);
    json_decref(root);
    return result;
}

static const CodecField status_record_fields[] = {
    CODEC_MEMBER(StatusRecord, version, CODEC_TEXT),          CODEC_MEMBER(StatusRecord, home, CODEC_TEXT),
    CODEC_MEMBER(StatusRecord, pid, CODEC_INTEGER),           CODEC_MEMBER(StatusRecord, uptime_seconds, CODEC_NUMBER),
    CODEC_MEMBER(StatusRecord, workers_alive, CODEC_INTEGER), CODEC_MEMBER(StatusRecord, workers_capacity, CODEC_INTEGER),
    CODEC_MEMBER(StatusRecord, pending, CODEC_INTEGER),       CODEC_MEMBER(StatusRecord, running, CODEC_INTEGER),
    CODEC_MEMBER(StatusRecord, stopping, CODEC_BOOL),         CODEC_MEMBER(StatusRecord, leaves, CODEC_BOOL),
    CODEC_MEMBER(StatusRecord, problem, CODEC_TEXT),          CODEC_END,
};

void status_record_encode(const StatusRecord *record, Buffer *out) {
    buffer_printf(out, "{\"schema_version\":%d,", WIRE_SCHEMA_VERSION);
    codec_encode_fields(status_record_fields, record, out);
    buffer_append_text(out, "}");
}

int status_record_decode(StatusRecord *out, const char *json, size_t size, Error *error) {
    *out = (StatusRecord){0};
    return codec_decode_text(status_record_fields, out, false, json, size, error);
}
