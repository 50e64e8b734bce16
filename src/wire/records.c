/* Records of sweeps and runs, for the command line. */

#include "codec.h"

static void encode_by_state(const void *value, Buffer *out) {
    const int64_t *counts = value;
    buffer_append_text(out, "{");
    for (int state = 0; state < RUN_STATES; state++)
        buffer_printf(out, "%s\"%s\":%lld", state == 0 ? "" : ",", run_state_text((RunState)state), (long long)counts[state]);
    buffer_append_text(out, "}");
}

static int decode_by_state(Decoder *decoder, void *value, const json_t *json) {
    int64_t *counts = value;
    for (int state = 0; state < RUN_STATES; state++) {
        const json_t *count = json_object_get(json, run_state_text((RunState)state));
        size_t length = decoder_enter(decoder, run_state_text((RunState)state));
        if (!json_is_integer(count))
            return decoder_fail(decoder, "must be an integer");
        counts[state] = json_integer_value(count);
        decoder_leave(decoder, length);
    }
    return 0;
}

static const CodecField sweep_record_fields[] = {
    CODEC_MEMBER(SweepRecord, id, CODEC_INTEGER),
    CODEC_MEMBER(SweepRecord, name, CODEC_TEXT),
    CODEC_MEMBER(SweepRecord, data, CODEC_TEXT),
    CODEC_MEMBER(SweepRecord, digest, CODEC_TEXT),
    CODEC_MEMBER(SweepRecord, state, CODEC_TEXT),
    CODEC_MEMBER(SweepRecord, submitted_at, CODEC_NUMBER),
    CODEC_MEMBER(SweepRecord, runs, CODEC_INTEGER),
    CODEC_CUSTOM(SweepRecord, by_state, encode_by_state, decode_by_state),
    CODEC_MEMBER(SweepRecord, planned_flops, CODEC_NUMBER),
    CODEC_MEMBER(SweepRecord, done_flops, CODEC_NUMBER),
    CODEC_MEMBER(SweepRecord, first_started_at, CODEC_NUMBER),
    CODEC_MEMBER(SweepRecord, last_ended_at, CODEC_NUMBER),
    CODEC_MEMBER(SweepRecord, waiting, CODEC_TEXT),
    CODEC_MEMBER(SweepRecord, oversized, CODEC_INTEGER),
    CODEC_END,
};

static const CodecField flops_fields[] = {
    CODEC_MEMBER(Flops, exact, CODEC_NUMBER),
    CODEC_MEMBER(Flops, gemm, CODEC_NUMBER),
    CODEC_MEMBER(Flops, paper, CODEC_NUMBER),
    {"6nd", CODEC_NUMBER, offsetof(Flops, nd6), sizeof(double), 0, NULL, NULL, NULL},
    CODEC_END,
};

static void encode_last(const void *message, Buffer *out) {
    const RunRecord *record = message;
    if (record->has_point)
        codec_encode(codec_point_fields, &record->last, out);
    else
        buffer_append_text(out, "null");
}

static int decode_last(Decoder *decoder, void *message, const json_t *json) {
    RunRecord *record = message;
    record->has_point = !json_is_null(json);
    return record->has_point ? codec_decode(decoder, codec_point_fields, &record->last, json) : 0;
}

const CodecField codec_run_record_fields[] = {
    CODEC_MEMBER(RunRecord, id, CODEC_INTEGER),          CODEC_MEMBER(RunRecord, key, CODEC_TEXT),
    CODEC_MEMBER(RunRecord, state, CODEC_STATE),         CODEC_MEMBER(RunRecord, attempts, CODEC_INTEGER),
    CODEC_MEMBER(RunRecord, failures, CODEC_INTEGER),    CODEC_MEMBER(RunRecord, model, CODEC_TEXT),
    CODEC_MEMBER(RunRecord, params, CODEC_INTEGER),      CODEC_MEMBER(RunRecord, params_body, CODEC_INTEGER),
    CODEC_MEMBER(RunRecord, depth, CODEC_INTEGER),       CODEC_MEMBER(RunRecord, width, CODEC_INTEGER),
    CODEC_MEMBER(RunRecord, examples, CODEC_INTEGER),    CODEC_MEMBER(RunRecord, seed, CODEC_UNSIGNED),
    CODEC_MEMBER(RunRecord, lr, CODEC_NUMBER),           CODEC_NESTED(RunRecord, flops, flops_fields),
    CODEC_MEMBER(RunRecord, steps, CODEC_INTEGER),       CODEC_MEMBER(RunRecord, eval_flops, CODEC_NUMBER),
    CODEC_MEMBER(RunRecord, done_flops, CODEC_NUMBER),   CODEC_MEMBER(RunRecord, started_at, CODEC_NUMBER),
    CODEC_MEMBER(RunRecord, ended_at, CODEC_NUMBER),     CODEC_MEMBER(RunRecord, seconds, CODEC_NUMBER),
    CODEC_WHOLE("last", encode_last, decode_last),       CODEC_MEMBER(RunRecord, detail, CODEC_TEXT),
    CODEC_MEMBER(RunRecord, memory_bytes, CODEC_NUMBER), CODEC_MEMBER(RunRecord, gpus, CODEC_INTEGER),
    CODEC_MEMBER(RunRecord, waiting, CODEC_TEXT),        CODEC_END,
};

static const CodecField submit_record_fields[] = {
    CODEC_MEMBER(SubmitRecord, sweep_id, CODEC_INTEGER),  CODEC_MEMBER(SubmitRecord, name, CODEC_TEXT),
    CODEC_MEMBER(SubmitRecord, runs, CODEC_INTEGER),      CODEC_MEMBER(SubmitRecord, added, CODEC_INTEGER),
    CODEC_MEMBER(SubmitRecord, shared, CODEC_INTEGER),    CODEC_MEMBER(SubmitRecord, removed, CODEC_INTEGER),
    CODEC_MEMBER(SubmitRecord, elsewhere, CODEC_INTEGER), CODEC_MEMBER(SubmitRecord, elsewhere_directory, CODEC_TEXT),
    CODEC_MEMBER(SubmitRecord, directory, CODEC_TEXT),    CODEC_END,
};

/* Decodes the list under `name` of an object. */
static int decode_list(const json_t *root, const char *name, const CodecField *fields, void *items, size_t item_size, size_t capacity,
                       size_t *count, Error *error) {
    Decoder decoder;
    decoder_init(&decoder, false, error);
    decoder_enter(&decoder, name);
    *count = 0;
    return codec_decode_array(&decoder, fields, items, item_size, capacity, count, json_object_get(root, name));
}

void sweep_record_encode(const SweepRecord *record, Buffer *out) {
    codec_encode(sweep_record_fields, record, out);
}

int sweep_record_decode(SweepRecord *out, const char *json, size_t size, Error *error) {
    *out = (SweepRecord){0};
    return codec_decode_text(sweep_record_fields, out, false, json, size, error);
}

void sweep_records_encode(const SweepRecord *records, size_t count, Buffer *out) {
    buffer_printf(out, "{\"schema_version\":%d,\"sweeps\":", WIRE_SCHEMA_VERSION);
    codec_encode_array(sweep_record_fields, records, sizeof *records, count, out);
    buffer_append_text(out, "}");
}

int sweep_records_decode(SweepRecord *out, size_t capacity, size_t *count, const char *json, size_t size, Error *error) {
    json_t *root = codec_parse(json, size, error);
    if (root == NULL)
        return WIRE_INVALID;
    int result = decode_list(root, "sweeps", sweep_record_fields, out, sizeof *out, capacity, count, error);
    json_decref(root);
    return result;
}

void run_record_encode(const RunRecord *record, Buffer *out) {
    codec_encode(codec_run_record_fields, record, out);
}

void run_records_encode(const RunRecord *records, size_t count, int64_t next, Buffer *out) {
    buffer_printf(out, "{\"schema_version\":%d,\"runs\":", WIRE_SCHEMA_VERSION);
    codec_encode_array(codec_run_record_fields, records, sizeof *records, count, out);
    buffer_printf(out, ",\"next\":%lld}", (long long)next);
}

int run_records_decode(RunRecord *out, size_t capacity, size_t *count, int64_t *next, const char *json, size_t size, Error *error) {
    json_t *root = codec_parse(json, size, error);
    if (root == NULL)
        return WIRE_INVALID;
    int result = decode_list(root, "runs", codec_run_record_fields, out, sizeof *out, capacity, count, error);
    if (result == 0 && !json_is_integer(json_object_get(root, "next"))) {
        error_set(error, "next: must be an integer");
        result = WIRE_INVALID;
    }
    if (result == 0)
        *next = json_integer_value(json_object_get(root, "next"));
    json_decref(root);
    return result;
}

void submit_record_encode(const SubmitRecord *record, Buffer *out) {
    codec_encode(submit_record_fields, record, out);
}

int submit_record_decode(SubmitRecord *out, const char *json, size_t size, Error *error) {
    *out = (SubmitRecord){0};
    return codec_decode_text(submit_record_fields, out, false, json, size, error);
}

void wire_error_encode(const char *message, const char *field, Buffer *out) {
    buffer_append_text(out, "{\"error\":{\"message\":");
    codec_append_text(message, out);
    if (field != NULL) {
        buffer_append_text(out, ",\"field\":");
        codec_append_text(field, out);
    }
    buffer_append_text(out, "}}");
}
