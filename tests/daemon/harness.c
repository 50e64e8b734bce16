#include "harness.h"

#include "../scratch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const char harness_sweep[] = "version: 1\n"
                             "name: tiny\n"
                             "data: {name: fashion-mnist, validation: 5000}\n"
                             "model: {kind: bmlp, expansion: 4}\n"
                             "grid:\n"
                             "  depth: [1]\n"
                             "  width: [8, 16]\n"
                             "  examples: [500, 1000]\n"
                             "  seed: [0]\n"
                             "train:\n"
                             "  epochs: 2\n"
                             "  batch: 100\n"
                             "  optimizer: {name: lion, lr: 1.0e-3, weight_decay: 0.1}\n"
                             "  schedule: {name: cosine, warmup: 0.05}\n";

void harness_init(Harness *harness) {
    *harness = (Harness){0};
    strcpy(harness->home, "/tmp/sweepd-daemon-XXXXXX");
    assert_non_null(mkdtemp(harness->home));
    assert_int_equal(wire_socket_path(harness->home, harness->socket_path, &harness->error), 0);
    buffer_init(&harness->answer, WIRE_BODY_MAX);
}

void harness_deinit(Harness *harness) {
    if (harness->pid > 0)
        harness_end(harness, SIGKILL);
    buffer_deinit(&harness->answer);
    directory_remove(harness->home);
}

static void sleep_briefly(void) {
    struct timespec span = {.tv_nsec = 20000000};
    nanosleep(&span, NULL);
}

void harness_start(Harness *harness, const char *const options[]) {
    const char *arguments[32] = {getenv("SWEEPD"), "--home", harness->home};
    assert_non_null(arguments[0]);
    for (size_t i = 0; options[i] != NULL; i++)
        arguments[3 + i] = options[i];
    harness->pid = fork();
    if (harness->pid == 0) {
        if (harness->file_limit > 0) {
            signal(SIGXFSZ, SIG_IGN);
            setrlimit(RLIMIT_FSIZE, &(struct rlimit){harness->file_limit, harness->file_limit});
        }
        execv(arguments[0], (char *const *)arguments);
        _exit(127);
    }
    assert_int_equal(http_client_new(&harness->client, harness->socket_path, NULL, NULL, &harness->error), 0);
    while (harness_call(harness, "/v1/health", NULL) != 200) {
        assert_int_equal(waitpid(harness->pid, NULL, WNOHANG), 0);
        sleep_briefly();
    }
}

int harness_end(Harness *harness, int signal) {
    int status = 0;
    kill(harness->pid, signal);
    while (waitpid(harness->pid, &status, 0) < 0 && errno == EINTR)
        ;
    harness->pid = 0;
    http_client_free(harness->client);
    harness->client = NULL;
    return status;
}

int harness_call(Harness *harness, const char *path, const char *body) {
    harness->status = 0;
    http_client_call(harness->client, path, body, body == NULL ? 0 : strlen(body), 30, &harness->answer, &harness->status, &harness->error);
    return harness->status;
}

void harness_expect(Harness *harness, const char *path, const char *body, int status) {
    if (harness_call(harness, path, body) != status)
        fail_msg("%s: %d, expected %d: %s", path, harness->status, status, harness->answer.data);
}

bool harness_answer_has(const Harness *harness, const char *text) {
    return harness->answer.data != NULL && strstr(harness->answer.data, text) != NULL;
}

void harness_submit(Harness *harness, const char *text, int status) {
    SubmitRequest *request = calloc(1, sizeof *request);
    Buffer body;
    strcpy(request->path, "tiny.yaml");
    text_copy(request->text, sizeof request->text, text);
    buffer_init(&body, WIRE_BODY_MAX);
    submit_request_encode(request, &body);
    harness_expect(harness, "/v1/sweeps", body.data, status);
    buffer_deinit(&body);
    free(request);
}

void harness_run_states(Harness *harness, int64_t by_state[RUN_STATES]) {
    SweepRecord record;
    harness_expect(harness, "/v1/sweeps/tiny", NULL, 200);
    assert_int_equal(sweep_record_decode(&record, harness->answer.data, harness->answer.size, &harness->error), 0);
    memcpy(by_state, record.by_state, sizeof record.by_state);
}

void harness_lease_some(Harness *harness, const char *worker, int64_t runs_max, int64_t sweep_id, LeaseAnswer *out) {
    LeaseRequest request = {
        .environment = {.host = "elsewhere", .version = "0", .threads = 1, .pid = 1}, .runs_max = runs_max, .sweep_id = sweep_id};
    Buffer body;
    if (harness->here) {
        Machine machine;
        machine_read(&machine);
        text_copy(request.environment.host, sizeof request.environment.host, machine.host);
        request.environment.pid = harness->pid_of_worker > 0 ? harness->pid_of_worker : getpid();
    }
    text_copy(request.worker, sizeof request.worker, worker);
    buffer_init(&body, WIRE_BODY_MAX);
    lease_request_encode(&request, &body);
    harness_expect(harness, "/v1/leases", body.data, 200);
    if (lease_answer_decode(out, harness->answer.data, harness->answer.size, &harness->error) != 0)
        fail_msg("%s", harness->error.text);
    buffer_deinit(&body);
}

void harness_lease(Harness *harness, const char *worker, Lease *out) {
    LeaseAnswer answer;
    harness_lease_some(harness, worker, 1, 0, &answer);
    assert_int_equal(answer.count, 1);
    assert_true(answer.expires_seconds >= 5 * answer.heartbeat_seconds);
    *out = answer.leases[0];
    lease_answer_deinit(&answer);
}

bool harness_lease_none(Harness *harness, const char *worker) {
    LeaseAnswer answer;
    harness_lease_some(harness, worker, 1, 0, &answer);
    assert_int_equal(answer.count, 0);
    return answer.leave;
}

Report *harness_report(Harness *harness, const Lease *lease, ReportKind kind) {
    Report *report = calloc(1, sizeof *report);
    report->kind = kind;
    report->attempt_id = lease->attempt_id;
    strcpy(report->token, lease->token);
    report->sequence = ++harness->sequence;
    report->outcome = OUTCOME_OK;
    report->state = RUN_DONE;
    strcpy(report->environment.host, "elsewhere");
    return report;
}

void harness_point(Report *report, int64_t step, double test_error) {
    Point *point = &report->points[report->point_count++];
    *point = (Point){.step = step, .examples = (double)step * 100, .flops = (double)step * 1e6, .seconds = (double)step * 1e-3};
    point_set_metric(point, "test_error", test_error);
    report->step = (double)step;
    report->flops = point->flops;
}

int harness_send(Harness *harness, Report *report, Directive *directive) {
    Buffer body;
    ReportAnswers *answers = calloc(1, sizeof *answers);
    buffer_init(&body, WIRE_BODY_MAX);
    reports_begin(&body);
    reports_add(report, &body);
    reports_end(&body);
    int status = harness_call(harness, "/v1/reports", body.data);
    if (status == 200) {
        if (report_answers_decode(answers, harness->answer.data, harness->answer.size, &harness->error) != 0 || answers->count != 1)
            fail_msg("%s", harness->answer.data);
        status = (int)answers->answers[0].status;
        if (directive != NULL)
            *directive = answers->answers[0].directive;
    }
    buffer_deinit(&body);
    free(answers);
    free(report);
    return status;
}
