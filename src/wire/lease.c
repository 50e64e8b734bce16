/* The messages of the lease protocol. An answer without a lease carries two fields; a report carries what its kind needs. */

#include "codec.h"

#include <stdlib.h>
#include <string.h>

#define CODEC_AT_LEAST(type, member, least)                                                                                                \
    { #member, CODEC_INTEGER, offsetof(type, member), sizeof(int64_t), least, NULL, NULL, NULL }

/* ---- leases ---- */

static const CodecField lease_request_fields[] = {
    CODEC_NESTED(LeaseRequest, environment, codec_environment_fields),
    CODEC_MEMBER(LeaseRequest, bf16_backend, CODEC_TEXT),
    CODEC_MEMBER(LeaseRequest, worker, CODEC_TEXT),
    CODEC_AT_LEAST(LeaseRequest, runs_max, 1),
    CODEC_MEMBER(LeaseRequest, sweep_id, CODEC_INTEGER),
    CODEC_MEMBER(LeaseRequest, cores, CODEC_INTEGER),
    CODEC_MEMBER(LeaseRequest, memory_bytes, CODEC_NUMBER),
    CODEC_CUSTOM(LeaseRequest, gpus, codec_encode_gpus, codec_decode_gpus),
    CODEC_END,
};

static const CodecField lease_fields[] = {
    CODEC_MEMBER(Lease, attempt_id, CODEC_INTEGER),
    CODEC_MEMBER(Lease, run_id, CODEC_INTEGER),
    CODEC_MEMBER(Lease, attempt_number, CODEC_INTEGER),
    CODEC_MEMBER(Lease, token, CODEC_TEXT),
    CODEC_MEMBER(Lease, key, CODEC_TEXT),
    CODEC_AT_LEAST(Lease, threads, 1),
    CODEC_CUSTOM(Lease, gpus, codec_encode_gpus, codec_decode_gpus),
    CODEC_CUSTOM(Lease, run, codec_encode_run, codec_decode_run),
    CODEC_END,
};

static void encode_leases(const void *message, Buffer *out) {
    const LeaseAnswer *answer = message;
    codec_encode_array(lease_fields, answer->leases, sizeof answer->leases[0], answer->count, out);
}

static int decode_leases(Decoder *decoder, void *message, const json_t *json) {
    LeaseAnswer *answer = message;
    size_t size = json_array_size(json);
    if (size > 0 && size <= WIRE_LEASES_MAX && (answer->leases = calloc(size, sizeof answer->leases[0])) == NULL)
        return error_set_memory(decoder->error, "out of memory");
    return codec_decode_array(decoder, lease_fields, answer->leases, sizeof answer->leases[0], WIRE_LEASES_MAX, &answer->count, json);
}

static const CodecField lease_idle_fields[] = {
    CODEC_MEMBER(LeaseAnswer, leave, CODEC_BOOL),
    CODEC_MEMBER(LeaseAnswer, retry_seconds, CODEC_NUMBER),
    CODEC_WHOLE("leases", encode_leases, decode_leases),
    CODEC_END,
};

static const CodecField lease_granted_fields[] = {
    CODEC_MEMBER(LeaseAnswer, heartbeat_seconds, CODEC_NUMBER), CODEC_MEMBER(LeaseAnswer, expires_seconds, CODEC_NUMBER),
    CODEC_MEMBER(LeaseAnswer, directory, CODEC_TEXT),           CODEC_MEMBER(LeaseAnswer, sweep_id, CODEC_INTEGER),
    CODEC_WHOLE("leases", encode_leases, decode_leases),        CODEC_END,
};

void lease_request_encode(const LeaseRequest *message, Buffer *out) {
    codec_encode(lease_request_fields, message, out);
}

int lease_request_decode(LeaseRequest *out, const char *json, size_t size, Error *error) {
    *out = (LeaseRequest){0};
    int result = codec_decode_text(lease_request_fields, out, true, json, size, error);
    if (result != 0 || out->runs_max <= WIRE_LEASES_MAX)
        return result;
    error_set(error, "runs_max: must be at most %d", WIRE_LEASES_MAX);
    return WIRE_INVALID;
}

void lease_answer_encode(const LeaseAnswer *message, Buffer *out) {
    codec_encode(message->count > 0 ? lease_granted_fields : lease_idle_fields, message, out);
}

int lease_answer_decode(LeaseAnswer *out, const char *json, size_t size, Error *error) {
    *out = (LeaseAnswer){0};
    json_t *root = codec_parse(json, size, error);
    if (root == NULL)
        return WIRE_INVALID;
    Decoder decoder;
    decoder_init(&decoder, false, error);
    bool granted = json_array_size(json_object_get(root, "leases")) > 0;
    int result = codec_decode(&decoder, granted ? lease_granted_fields : lease_idle_fields, out, root);
    json_decref(root);
    return result;
}

void lease_answer_deinit(LeaseAnswer *message) {
    free(message->leases);
    message->leases = NULL;
    message->count = 0;
}

/* ---- reports ---- */

static const char *const kind_texts[] = {[REPORT_HEARTBEAT] = "heartbeat", [REPORT_POINTS] = "points", [REPORT_RESULT] = "result"};
enum { KINDS = 3 };

static void encode_kind(const void *value, Buffer *out) {
    buffer_append_json(out, kind_texts[*(const ReportKind *)value]);
}

static int decode_kind(Decoder *decoder, void *value, const json_t *json) {
    const char *text = json_string_value(json);
    for (int i = 0; text != NULL && i < KINDS; i++)
        if (strcmp(text, kind_texts[i]) == 0) {
            *(ReportKind *)value = (ReportKind)i;
            return 0;
        }
    return decoder_fail(decoder, "must be \"heartbeat\", \"points\" or \"result\"");
}

static void encode_points(const void *message, Buffer *out) {
    const Report *report = message;
    codec_encode_array(codec_point_fields, report->points, sizeof report->points[0], report->point_count, out);
}

static int decode_points(Decoder *decoder, void *message, const json_t *json) {
    Report *report = message;
    return codec_decode_array(decoder, codec_point_fields, report->points, sizeof report->points[0], WIRE_POINTS_MAX, &report->point_count,
                              json);
}

#define REPORT_COMMON                                                                                                                      \
    CODEC_CUSTOM(Report, kind, encode_kind, decode_kind), CODEC_MEMBER(Report, attempt_id, CODEC_INTEGER),                                 \
        CODEC_MEMBER(Report, token, CODEC_TEXT), CODEC_AT_LEAST(Report, sequence, 1), CODEC_MEMBER(Report, step, CODEC_NUMBER),            \
        CODEC_MEMBER(Report, flops, CODEC_NUMBER)

static const CodecField heartbeat_fields[] = {REPORT_COMMON, CODEC_END};

static const CodecField points_fields[] = {REPORT_COMMON, CODEC_WHOLE("points", encode_points, decode_points), CODEC_END};

static const CodecField result_fields[] = {
    REPORT_COMMON,
    CODEC_WHOLE("points", encode_points, decode_points),
    CODEC_MEMBER(Report, outcome, CODEC_OUTCOME),
    CODEC_MEMBER(Report, state, CODEC_STATE),
    CODEC_MEMBER(Report, detail, CODEC_TEXT),
    CODEC_NESTED(Report, environment, codec_environment_fields),
    CODEC_END,
};

static const CodecField *const report_fields[] = {
    [REPORT_HEARTBEAT] = heartbeat_fields, [REPORT_POINTS] = points_fields, [REPORT_RESULT] = result_fields};

void reports_begin(Buffer *out) {
    buffer_append_text(out, "{\"reports\":[");
}

void reports_add(const Report *report, Buffer *out) {
    if (out->size > 0 && out->data[out->size - 1] != '[')
        buffer_append_text(out, ",");
    codec_encode(report_fields[report->kind], report, out);
}

void reports_end(Buffer *out) {
    buffer_append_text(out, "]}");
}

struct ReportReader {
    json_t *root;
    const json_t *list;
    size_t next;
};

static int reader_check(const ReportReader *reader, Error *error) {
    size_t count = json_array_size(reader->list);
    if (!json_is_array(reader->list))
        error_set(error, "reports: must be a list");
    else if (json_object_size(reader->root) != 1)
        error_set(error, "body: reports is the only field");
    else if (count < 1 || count > WIRE_REPORTS_MAX)
        error_set(error, "reports: %zu items, 1 to %d are allowed", count, WIRE_REPORTS_MAX);
    else
        return 0;
    return WIRE_INVALID;
}

int report_reader_new(ReportReader **out, const char *json, size_t size, Error *error) {
    *out = NULL;
    ReportReader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return error_set_memory(error, "out of memory");
    reader->root = codec_parse(json, size, error);
    reader->list = json_object_get(reader->root, "reports");
    int result = reader->root == NULL ? WIRE_INVALID : reader_check(reader, error);
    if (result == 0)
        *out = reader;
    else
        report_reader_free(reader);
    return result;
}

void report_reader_free(ReportReader *reader) {
    if (reader == NULL)
        return;
    json_decref(reader->root);
    free(reader);
}

size_t report_reader_count(const ReportReader *reader) {
    return json_array_size(reader->list);
}

/* An attempt is not closed by saying that it is open or that its lease ran out: those are the daemon's words. */
static int check_result(Decoder *decoder, const Report *report) {
    bool outcome = report->outcome != OUTCOME_OPEN && report->outcome != OUTCOME_LOST;
    if (outcome && (report->outcome != OUTCOME_OK || report->state == RUN_DONE || report->state == RUN_DIVERGED))
        return 0;
    decoder_enter(decoder, outcome ? "state" : "outcome");
    return decoder_fail(decoder, outcome ? "must be done or diverged when the outcome is ok"
                                         : "must be ok, preempted, refused, out_of_memory, timeout or crashed");
}

int report_reader_next(ReportReader *reader, Report *out, Error *error) {
    Decoder decoder;
    decoder_init(&decoder, true, error);
    decoder_enter(&decoder, "reports");
    decoder_enter_item(&decoder, reader->next);
    const json_t *json = json_array_get(reader->list, reader->next++);
    const json_t *kind = json_object_get(json, "kind");
    out->point_count = 0;
    size_t length = decoder_enter(&decoder, "kind");
    int result = kind == NULL ? decoder_fail(&decoder, "missing") : decode_kind(&decoder, &out->kind, kind);
    if (result != 0)
        return result;
    decoder_leave(&decoder, length);
    result = codec_decode(&decoder, report_fields[out->kind], out, json);
    return result == 0 && out->kind == REPORT_RESULT ? check_result(&decoder, out) : result;
}

static const CodecField report_answer_fields[] = {
    CODEC_MEMBER(ReportAnswer, status, CODEC_INTEGER),
    CODEC_MEMBER(ReportAnswer, directive, CODEC_DIRECTIVE),
    CODEC_MEMBER(ReportAnswer, message, CODEC_TEXT),
    CODEC_END,
};

static void encode_answers(const void *message, Buffer *out) {
    const ReportAnswers *answers = message;
    codec_encode_array(report_answer_fields, answers->answers, sizeof answers->answers[0], answers->count, out);
}

static int decode_answers(Decoder *decoder, void *message, const json_t *json) {
    ReportAnswers *answers = message;
    return codec_decode_array(decoder, report_answer_fields, answers->answers, sizeof answers->answers[0], WIRE_REPORTS_MAX,
                              &answers->count, json);
}

static const CodecField report_answers_fields[] = {
    CODEC_MEMBER(ReportAnswers, expires_seconds, CODEC_NUMBER),
    CODEC_WHOLE("answers", encode_answers, decode_answers),
    CODEC_END,
};

void report_answers_encode(const ReportAnswers *message, Buffer *out) {
    codec_encode(report_answers_fields, message, out);
}

int report_answers_decode(ReportAnswers *out, const char *json, size_t size, Error *error) {
    out->count = 0;
    return codec_decode_text(report_answers_fields, out, false, json, size, error);
}
