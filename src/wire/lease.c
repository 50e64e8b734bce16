/* The messages of the lease protocol. A lease that was not granted carries three fields; a report carries what its kind needs. */

#include "codec.h"

#include <string.h>

static const CodecField lease_request_fields[] = {
    CODEC_NESTED(LeaseRequest, environment, codec_environment_fields),
    CODEC_MEMBER(LeaseRequest, worker, CODEC_TEXT),
    CODEC_END,
};

static const CodecField lease_idle_fields[] = {
    CODEC_MEMBER(Lease, granted, CODEC_BOOL),
    CODEC_MEMBER(Lease, leave, CODEC_BOOL),
    CODEC_MEMBER(Lease, retry_seconds, CODEC_NUMBER),
    CODEC_END,
};

static const CodecField lease_granted_fields[] = {
    CODEC_MEMBER(Lease, granted, CODEC_BOOL),
    CODEC_MEMBER(Lease, attempt_id, CODEC_INTEGER),
    CODEC_MEMBER(Lease, run_id, CODEC_INTEGER),
    CODEC_MEMBER(Lease, attempt_number, CODEC_INTEGER),
    CODEC_MEMBER(Lease, token, CODEC_TEXT),
    CODEC_MEMBER(Lease, key, CODEC_TEXT),
    CODEC_CUSTOM(Lease, run, codec_encode_run, codec_decode_run),
    CODEC_MEMBER(Lease, directory, CODEC_TEXT),
    CODEC_MEMBER(Lease, heartbeat_seconds, CODEC_NUMBER),
    CODEC_MEMBER(Lease, expires_seconds, CODEC_NUMBER),
    CODEC_END,
};

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
    CODEC_MEMBER(Report, token, CODEC_TEXT),                                                                                               \
        {"sequence", CODEC_INTEGER, offsetof(Report, sequence), sizeof(int64_t), 1, NULL, NULL, NULL},                                     \
        CODEC_MEMBER(Report, step, CODEC_NUMBER), CODEC_MEMBER(Report, flops, CODEC_NUMBER)

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

static const CodecField report_answer_fields[] = {
    CODEC_MEMBER(ReportAnswer, directive, CODEC_DIRECTIVE),
    CODEC_MEMBER(ReportAnswer, expires_seconds, CODEC_NUMBER),
    CODEC_END,
};

void lease_request_encode(const LeaseRequest *message, Buffer *out) {
    codec_encode(lease_request_fields, message, out);
}

int lease_request_decode(LeaseRequest *out, const char *json, size_t size, Error *error) {
    *out = (LeaseRequest){0};
    return codec_decode_text(lease_request_fields, out, true, json, size, error);
}

void lease_encode(const Lease *message, Buffer *out) {
    codec_encode(message->granted ? lease_granted_fields : lease_idle_fields, message, out);
}

int lease_decode(Lease *out, const char *json, size_t size, Error *error) {
    json_t *root = codec_parse(json, size, error);
    if (root == NULL)
        return WIRE_INVALID;
    *out = (Lease){0};
    Decoder decoder;
    decoder_init(&decoder, false, error);
    bool granted = json_is_true(json_object_get(root, "granted"));
    int result = codec_decode(&decoder, granted ? lease_granted_fields : lease_idle_fields, out, root);
    json_decref(root);
    return result;
}

static const CodecField *report_fields(ReportKind kind) {
    switch (kind) {
    case REPORT_HEARTBEAT:
        return heartbeat_fields;
    case REPORT_POINTS:
        return points_fields;
    case REPORT_RESULT:
        return result_fields;
    }
    return heartbeat_fields;
}

void report_encode(const Report *message, Buffer *out) {
    codec_encode(report_fields(message->kind), message, out);
}

/* An attempt is not closed by saying that it is open or that its lease ran out: those are the daemon's words. */
static int check_result(const Report *report, Error *error) {
    if (report->outcome == OUTCOME_OPEN || report->outcome == OUTCOME_LOST) {
        error_set(error, "outcome: must be ok, preempted, refused, out_of_memory, timeout or crashed");
        return WIRE_INVALID;
    }
    if (report->outcome == OUTCOME_OK && report->state != RUN_DONE && report->state != RUN_DIVERGED) {
        error_set(error, "state: must be done or diverged when the outcome is ok");
        return WIRE_INVALID;
    }
    return 0;
}

int report_decode(Report *out, const char *json, size_t size, Error *error) {
    ReportKind kind = out->kind;
    int64_t attempt_id = out->attempt_id;
    memset(out, 0, sizeof *out);
    out->kind = kind;
    out->attempt_id = attempt_id;
    int result = codec_decode_text(report_fields(kind), out, true, json, size, error);
    return result == 0 && kind == REPORT_RESULT ? check_result(out, error) : result;
}

void report_answer_encode(const ReportAnswer *message, Buffer *out) {
    codec_encode(report_answer_fields, message, out);
}

int report_answer_decode(ReportAnswer *out, const char *json, size_t size, Error *error) {
    *out = (ReportAnswer){0};
    return codec_decode_text(report_answer_fields, out, false, json, size, error);
}
