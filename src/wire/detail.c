/* All that is known of one run: its record, its settings, its attempts, its points, what happened to it. */

#include "codec.h"

#include <stdlib.h>

static const CodecField attempt_fields[] = {
    CODEC_MEMBER(AttemptRecord, id, CODEC_INTEGER),
    CODEC_MEMBER(AttemptRecord, run_id, CODEC_INTEGER),
    CODEC_MEMBER(AttemptRecord, number, CODEC_INTEGER),
    CODEC_MEMBER(AttemptRecord, outcome, CODEC_OUTCOME),
    CODEC_MEMBER(AttemptRecord, detail, CODEC_TEXT),
    CODEC_NESTED(AttemptRecord, environment, codec_environment_fields),
    CODEC_CUSTOM(AttemptRecord, gpus, codec_encode_gpus, codec_decode_gpus),
    CODEC_MEMBER(AttemptRecord, started_at, CODEC_NUMBER),
    CODEC_MEMBER(AttemptRecord, ended_at, CODEC_NUMBER),
    CODEC_MEMBER(AttemptRecord, expires_at, CODEC_NUMBER),
    CODEC_MEMBER(AttemptRecord, step, CODEC_NUMBER),
    CODEC_MEMBER(AttemptRecord, flops, CODEC_NUMBER),
    CODEC_END,
};

static const CodecField event_fields[] = {
    CODEC_MEMBER(EventRecord, id, CODEC_INTEGER),     CODEC_MEMBER(EventRecord, time, CODEC_NUMBER),
    CODEC_MEMBER(EventRecord, kind, CODEC_TEXT),      CODEC_MEMBER(EventRecord, sweep_id, CODEC_INTEGER),
    CODEC_MEMBER(EventRecord, run_id, CODEC_INTEGER), CODEC_MEMBER(EventRecord, attempt_id, CODEC_INTEGER),
    CODEC_MEMBER(EventRecord, detail, CODEC_TEXT),    CODEC_END,
};

static void encode_attempts(const void *message, Buffer *out) {
    const RunDetail *detail = message;
    codec_encode_array(attempt_fields, detail->attempts, sizeof *detail->attempts, detail->attempt_count, out);
}

static void encode_points(const void *message, Buffer *out) {
    const RunDetail *detail = message;
    codec_encode_array(codec_point_fields, detail->points, sizeof *detail->points, detail->point_count, out);
}

static void encode_events(const void *message, Buffer *out) {
    const RunDetail *detail = message;
    codec_encode_array(event_fields, detail->events, sizeof *detail->events, detail->event_count, out);
}

/* The array is as long as the JSON list, whose size the body's limit bounds. */
static int decode_owned(Decoder *decoder, const CodecField *fields, void **items, size_t item_size, size_t *count, const json_t *json) {
    size_t capacity = json_array_size(json);
    *items = calloc(capacity > 0 ? capacity : 1, item_size);
    if (*items == NULL)
        return error_set_memory(decoder->error, "%s: out of memory", decoder->path);
    return codec_decode_array(decoder, fields, *items, item_size, capacity, count, json);
}

static int decode_attempts(Decoder *decoder, void *message, const json_t *json) {
    RunDetail *detail = message;
    return decode_owned(decoder, attempt_fields, (void **)&detail->attempts, sizeof *detail->attempts, &detail->attempt_count, json);
}

static int decode_points(Decoder *decoder, void *message, const json_t *json) {
    RunDetail *detail = message;
    return decode_owned(decoder, codec_point_fields, (void **)&detail->points, sizeof *detail->points, &detail->point_count, json);
}

static int decode_events(Decoder *decoder, void *message, const json_t *json) {
    RunDetail *detail = message;
    return decode_owned(decoder, event_fields, (void **)&detail->events, sizeof *detail->events, &detail->event_count, json);
}

static const CodecField run_detail_fields[] = {
    CODEC_NESTED(RunDetail, record, codec_run_record_fields),  CODEC_CUSTOM(RunDetail, spec, codec_encode_run, codec_decode_run),
    CODEC_WHOLE("attempts", encode_attempts, decode_attempts), CODEC_WHOLE("points", encode_points, decode_points),
    CODEC_WHOLE("events", encode_events, decode_events),       CODEC_END,
};

void run_detail_encode(const RunDetail *detail, Buffer *out) {
    codec_encode(run_detail_fields, detail, out);
}

int run_detail_decode(RunDetail *out, const char *json, size_t size, Error *error) {
    *out = (RunDetail){0};
    int result = codec_decode_text(run_detail_fields, out, false, json, size, error);
    if (result != 0)
        run_detail_deinit(out);
    return result;
}

void run_detail_deinit(RunDetail *detail) {
    if (detail == NULL)
        return;
    free(detail->attempts);
    free(detail->points);
    free(detail->events);
    *detail = (RunDetail){0};
}
