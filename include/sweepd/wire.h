/* wire: the messages between programs, as C structs and as JSON; the HTTP server and client that carry them. docs/api.md lists every
 * route. One encoder and one decoder per message, so that the daemon, the worker and the command line cannot disagree. */
#pragma once

#include "sweepd/base.h"
#include "sweepd/record.h"
#include "sweepd/sweep.h"

enum {
    WIRE_SCHEMA_VERSION = 1,
    WIRE_BODY_MAX = 8 << 20,
    WIRE_POINTS_MAX = 64,   /* in one report */
    WIRE_LEASES_MAX = 256,  /* in one answer */
    WIRE_REPORTS_MAX = 256, /* in one message */
    WIRE_TOKEN_MAX = SHA256_HEX_MAX
};

/* ---- messages of the lease protocol ---- */

typedef struct LeaseRequest {            /* POST /v1/leases */
    Environment environment;             /* of the worker; data_digest empty; threads 0: the daemon's choice */
    char bf16_backend[MACHINE_TEXT_MAX]; /* as environment.backend, which is that of fp32; "": it has none */
    char worker[MACHINE_TEXT_MAX];       /* the executor's name for it, "" when started by hand */
    int64_t runs_max;    /* that it would take at once of the sweep `sweep_id`, 1 to WIRE_LEASES_MAX; of another sweep it takes one */
    int64_t sweep_id;    /* that its last runs came from; 0: none */
    int64_t cores;       /* of its machine, that it may use */
    double memory_bytes; /* of its machine, that its control groups allow */
    GpuSet gpus;         /* of its machine, that it may use */
} LeaseRequest;

typedef struct Lease {
    int64_t attempt_id, run_id, attempt_number;
    char token[WIRE_TOKEN_MAX];
    char key[RUN_KEY_MAX];
    int64_t threads; /* to train with */
    GpuSet gpus;     /* that the run has to itself */
    Run run;
} Lease;

typedef struct LeaseAnswer { /* its answer */
    bool leave;              /* without a lease: whether to exit or to ask again after retry_seconds */
    double retry_seconds;
    double heartbeat_seconds;      /* interval */
    double expires_seconds;        /* from now; at least five intervals */
    char directory[PATH_TEXT_MAX]; /* a run's directory in it is K/KEY, K being the first two digits of its KEY; the worker makes it */
    int64_t sweep_id;              /* of all the leases */
    size_t count;                  /* 0: nothing to do */
    Lease *leases;                 /* [count], dearest first; lease_answer_deinit */
} LeaseAnswer;

typedef enum { DIRECTIVE_CONTINUE, DIRECTIVE_STOP, DIRECTIVE_DROP } Directive; /* "continue", "stop" (checkpoint, release), "drop" */

typedef enum { REPORT_HEARTBEAT, REPORT_POINTS, REPORT_RESULT } ReportKind;

/* One thing that a worker has to say of one attempt. It may be said twice with no effect: `sequence` counts a worker's reports of one
 * attempt from 1. */
typedef struct Report {
    ReportKind kind;
    int64_t attempt_id;
    char token[WIRE_TOKEN_MAX];
    int64_t sequence;
    double step, flops; /* progress */
    size_t point_count; /* points and result */
    Point points[WIRE_POINTS_MAX];
    Outcome outcome; /* result: ok, preempted, refused, out_of_memory, timeout, crashed */
    RunState state;  /* result, when ok: done or diverged */
    char detail[RECORD_TEXT_MAX];
    Environment environment; /* result */
} Report;

typedef struct ReportAnswer {
    int64_t status; /* 200, or why nothing changed: 400 (the report is wrong), 404 (no such attempt), 409 (the lease is not the sender's) */
    Directive directive;
    char message[RECORD_TEXT_MAX]; /* "" with 200 */
} ReportAnswer;

typedef struct ReportAnswers { /* in the reports' order */
    double expires_seconds;    /* of the leases that were reported on */
    size_t count;
    ReportAnswer answers[WIRE_REPORTS_MAX];
} ReportAnswers;

/* Encoders append JSON to an initialised buffer. Decoders return 0, or WIRE_INVALID with an error that names the field. */
enum { WIRE_INVALID = 1 };

void lease_request_encode(const LeaseRequest *message, Buffer *out);
int lease_request_decode(LeaseRequest *out, const char *json, size_t size, Error *error);
void lease_answer_encode(const LeaseAnswer *message, Buffer *out);
int lease_answer_decode(LeaseAnswer *out, const char *json, size_t size, Error *error); /* to be cleared whatever it returns */
void lease_answer_deinit(LeaseAnswer *message);

/* POST /v1/reports: a list of 1 to WIRE_REPORTS_MAX reports, written one after the other: begin, add each, end. */
void reports_begin(Buffer *out);
void reports_add(const Report *report, Buffer *out);
void reports_end(Buffer *out);
/* Read one after the other, so that a Report, which is large, is needed once. */
typedef struct ReportReader ReportReader;
int report_reader_new(ReportReader **out, const char *json, size_t size, Error *error); /* 0, WIRE_INVALID, -1 */
void report_reader_free(ReportReader *reader);
size_t report_reader_count(const ReportReader *reader);
/* The next: 0, or WIRE_INVALID when it is wrong ("reports[3].points[0].step: ..."), which says nothing of those after it. */
int report_reader_next(ReportReader *reader, Report *out, Error *error);
void report_answers_encode(const ReportAnswers *message, Buffer *out);
int report_answers_decode(ReportAnswers *out, const char *json, size_t size, Error *error);

/* Records, for the command line. One JSON object each; lists are {"schema_version":1,"sweeps":[...]} and the like. */
void sweep_record_encode(const SweepRecord *record, Buffer *out);
int sweep_record_decode(SweepRecord *out, const char *json, size_t size, Error *error);
int sweep_records_decode(SweepRecord *out, size_t capacity, size_t *count, const char *json, size_t size, Error *error); /* {"sweeps":[]} */
void sweep_records_encode(const SweepRecord *records, size_t count, Buffer *out);
void run_record_encode(const RunRecord *record, Buffer *out);
void run_records_encode(const RunRecord *records, size_t count, int64_t next, Buffer *out);
int run_records_decode(RunRecord *out, size_t capacity, size_t *count, int64_t *next, const char *json, size_t size,
                       Error *error); /* {"runs":[],"next":N} */
void submit_record_encode(const SubmitRecord *record, Buffer *out);
int submit_record_decode(SubmitRecord *out, const char *json, size_t size, Error *error);

typedef struct RunDetail { /* GET /v1/runs/ID: all that is known of one run */
    RunRecord record;
    Run spec;
    AttemptRecord *attempts; /* owned */
    size_t attempt_count;
    Point *points; /* owned */
    size_t point_count;
    EventRecord *events; /* owned; the newest ones, the oldest of them first */
    size_t event_count;
} RunDetail;

void run_detail_encode(const RunDetail *detail, Buffer *out);
int run_detail_decode(RunDetail *out, const char *json, size_t size, Error *error);
void run_detail_deinit(RunDetail *detail);

/* ---- messages between the command line and the daemon ---- */

typedef struct SubmitRequest { /* POST /v1/sweeps */
    char path[PATH_TEXT_MAX];  /* where the file is, for messages and for the paths in it; absolute */
    char text[SWEEP_FILE_MAX + 1];
} SubmitRequest;

typedef struct FitRequest { /* POST /v1/sweeps/NAME/fits */
    char method[32];        /* lower-case letters, digits, '_' and '-' */
    Buffer fit;             /* a JSON object, as `sweepctl fit --json` prints it */
} FitRequest;

typedef struct ShutdownRequest { /* POST /v1/shutdown; an empty body or object: stop whatever is under way */
    char sweep[SWEEP_NAME_MAX];  /* stop only when no other sweep has work, else once nothing is left to do; "": stop */
} ShutdownRequest;

typedef struct StatusRecord { /* GET /v1/status */
    char version[MACHINE_TEXT_MAX];
    char home[PATH_TEXT_MAX];
    int64_t pid;
    double uptime_seconds;
    int64_t workers_alive, workers_capacity; /* of the daemon's own executor */
    int64_t pending, running;                /* runs; pending of active sweeps */
    bool stopping;
    bool leaves;                  /* by itself, when nothing is left to be done */
    char problem[ERROR_TEXT_MAX]; /* why work does not go on, "" when it does */
} StatusRecord;

void submit_request_encode(const SubmitRequest *message, Buffer *out);
int submit_request_decode(SubmitRequest *out, const char *json, size_t size, Error *error);
int shutdown_request_decode(ShutdownRequest *out, const char *json, size_t size, Error *error);
/* out->fit is made by the decoder and cleared by fit_request_deinit, also after a failure. */
int fit_request_decode(FitRequest *out, const char *json, size_t size, Error *error);
void fit_request_deinit(FitRequest *message);
void status_record_encode(const StatusRecord *record, Buffer *out);
int status_record_decode(StatusRecord *out, const char *json, size_t size, Error *error);

/* {"error":{"message":"...","field":"..."}}; field may be NULL. */
void wire_error_encode(const char *message, const char *field, Buffer *out);

/* ---- HTTP server (libevent) ---- */

struct event_base;
typedef struct HttpServer HttpServer;

typedef struct HttpRequest {
    const char *method; /* "GET", "POST" */
    const char *path;   /* decoded, without the query: "/v1/runs" */
    const char *query;  /* raw, "" when none; see http_query_get */
    const char *body;
    size_t body_size;
} HttpRequest;

typedef struct HttpResponse {
    int status;               /* 200 when untouched */
    const char *content_type; /* "application/json" when untouched */
    Buffer body;
    bool provisional; /* to be held back until http_server_settle */
} HttpResponse;

typedef void (*HttpHandler)(void *context, const HttpRequest *request, HttpResponse *response);

typedef struct HttpLimits {
    size_t header_max, body_max; /* bytes */
    int seconds;                 /* for a request to arrive */
    int connections;             /* at once; more are closed at accept */
} HttpLimits;

/* The handler is called within the loop of `base`, which outlives the server; its request's texts are valid for the call. */
int http_server_new(HttpServer **out, struct event_base *base, const HttpLimits *limits, HttpHandler handler, void *context, Error *error);
void http_server_free(HttpServer *server);
/* Lets provisional answers go, or, when what they say was not kept, sends a 503 in their place. */
void http_server_settle(HttpServer *server, bool kept);
/* A stale socket file is replaced; one that answers is an error. Mode 0600. */
int http_server_listen_unix(HttpServer *server, const char *path, Error *error);
/* Every request on TCP must carry "Authorization: Bearer TOKEN". */
int http_server_listen_tcp(HttpServer *server, const char *address, int port, const char *token, Error *error);
/* The port of the first TCP listener (for one that was opened as port 0), or 0. */
int http_server_port(const HttpServer *server);
/* The value of name in a query string, decoded, into out; false when absent. */
bool http_query_get(const char *query, const char *name, char *out, size_t capacity);

/* ---- HTTP client (libcurl) ---- */

enum { WIRE_NO_DAEMON = 2, WIRE_STATUS = 3, WIRE_TIMEOUT = 4 };

typedef struct HttpClient HttpClient; /* one connection, kept open; for one thread */

/* socket_path, or a URL "http://host:port" with a token. */
int http_client_new(HttpClient **out, const char *socket_path, const char *url, const char *token, Error *error);
void http_client_free(HttpClient *client);
/* body NULL: GET, else POST. out: initialised, replaced by the answer's body; *status the HTTP status. 0 when the daemon answered 2xx;
 * WIRE_STATUS for 4xx and 5xx with the daemon's message in the error; WIRE_NO_DAEMON when nobody listens; WIRE_TIMEOUT; -1. */
int http_client_call(HttpClient *client, const char *path, const char *body, size_t body_size, double timeout_seconds, Buffer *out,
                     int *status, Error *error);

/* HOME/sweepd.sock, or, where that is too long for a socket address, a stable name made from the home's hash, in $XDG_RUNTIME_DIR or
 * in /tmp/sweepd-UID, which is made; one that is not this user's alone is an error. */
int wire_socket_path(const char *home, char out[PATH_TEXT_MAX], Error *error);

/* The first word of the file, for TCP. 0 or -1. */
int wire_token_read(const char *path, char out[WIRE_TOKEN_MAX], Error *error);
/* Logs a warning where others than the file's owner and its group may read or write it. */
void wire_token_warn(const char *path);
