/* A message that is wrong names its field; and whatever bytes arrive, a decoder says yes or no. */
#include "examples.h"

static int read_all(const char *json, size_t size, Report *report, Error *error) {
    ReportReader *reader;
    int result = report_reader_new(&reader, json, size, error);
    for (size_t i = 0; result == 0 && i < report_reader_count(reader); i++)
        result = report_reader_next(reader, report, error);
    report_reader_free(reader);
    return result;
}

static void expect_invalid(const char *json, const char *field) {
    Report *report = calloc(1, sizeof *report);
    Error error = {0};
    assert_int_equal(read_all(json, strlen(json), report, &error), WIRE_INVALID);
    if (strncmp(error.text, field, strlen(field)) != 0)
        fail_msg("%s: does not begin with %s", error.text, field);
    free(report);
}

#define LIST(report) "{\"reports\":[" report "]}"
#define KIND(kind)   "{\"kind\":\"" kind "\",\"attempt_id\":1,"
#define COMMON       KIND("result") "\"token\":\"a\",\"sequence\":1,\"step\":1,\"flops\":1"
#define ENVIRONMENT                                                                                                                        \
    "\"environment\":{\"host\":\"\",\"cpu\":\"\",\"version\":\"\",\"backend\":\"\",\"data_digest\":\"\",\"pid\":1,\"threads\":1,\"memory_" \
    "bytes\":0}"

static void test_errors_name_fields(void **state) {
    (void)state;
    expect_invalid("", "body:");
    expect_invalid("[]", "body:");
    expect_invalid("{", "body:");
    expect_invalid("{\"token\":\"a\",\"token\":\"a\"}", "body:");
    expect_invalid("{}", "reports: must be a list");
    expect_invalid("{\"reports\":{}}", "reports: must be a list");
    expect_invalid(LIST(""), "reports: 0 items");
    expect_invalid("{\"reports\":[{}],\"more\":1}", "body:");
    expect_invalid(LIST("5"), "reports[0].kind: missing");
    expect_invalid(LIST("{\"kind\":\"wish\"}"), "reports[0].kind: must be");
    expect_invalid(LIST("{\"kind\":\"result\"}"), "reports[0].attempt_id: missing");
    expect_invalid(LIST(KIND("heartbeat") "\"token\":5}"), "reports[0].token: must be text");
    expect_invalid(LIST(KIND("points") "\"token\":\"a\",\"sequence\":0}"), "reports[0].sequence: must be at least 1");
    expect_invalid(LIST(KIND("result") "\"token\":\"a\",\"sequence\":1.5}"), "reports[0].sequence: must be an integer");
    expect_invalid(LIST(KIND("result") "\"token\":\"a\",\"sequence\":1,\"step\":\"x\"}"), "reports[0].step: must be a number");
    expect_invalid(LIST(COMMON ",\"points\":{}}"), "reports[0].points: must be a list");
    expect_invalid(LIST(COMMON ",\"points\":[{\"step\":-1}]}"), "reports[0].points[0].step: must be at least 0");
    expect_invalid(LIST(COMMON ",\"points\":[{\"step\":1,\"examples\":1,\"flops\":1,\"seconds\":1,\"metrics\":{\"a\":true}}]}"),
                   "reports[0].points[0].metrics.a: must be a number or null");
    expect_invalid(LIST(COMMON ",\"points\":[],\"outcome\":\"great\"}"), "reports[0].outcome: must be an outcome");
    expect_invalid(LIST(COMMON ",\"points\":[],\"outcome\":\"lost\",\"state\":\"done\",\"detail\":\"\"," ENVIRONMENT "}"),
                   "reports[0].outcome:");
    expect_invalid(LIST(COMMON ",\"points\":[],\"outcome\":\"ok\",\"state\":\"pending\",\"detail\":\"\"," ENVIRONMENT "}"),
                   "reports[0].state:");
    expect_invalid(LIST(COMMON ",\"points\":[],\"outcome\":\"ok\",\"state\":\"done\",\"detail\":\"\"," ENVIRONMENT ",\"more\":1}"),
                   "reports[0].more: unknown field");
}

static void mutate(char *text, size_t *size, Rng *rng) {
    static const char interesting[] = "{}[]\",:0-9eE.\\u\xff\x00tnf";
    for (uint64_t i = 0, changes = 1 + rng_below(rng, 4); i<changes && * size> 1; i++) {
        size_t at = (size_t)rng_below(rng, *size);
        switch (rng_below(rng, 3)) {
        case 0:
            text[at] = interesting[rng_below(rng, sizeof interesting)];
            break;
        case 1:
            *size = at;
            break;
        default:
            memmove(text + at, text + at + 1, *size - at - 1);
            (*size)--;
        }
    }
}

static int decode_any(size_t which, const char *text, size_t size, Error *error) {
    static Report report;
    static LeaseAnswer leases;
    static LeaseRequest request;
    static RunRecord records[4];
    static RunDetail detail;
    size_t count;
    int64_t next;
    int result = 0;
    switch (which) {
    case 0:
        return read_all(text, size, &report, error);
    case 1:
        result = lease_answer_decode(&leases, text, size, error);
        lease_answer_deinit(&leases);
        return result;
    case 2:
        return lease_request_decode(&request, text, size, error);
    case 3:
        return run_records_decode(records, 4, &count, &next, text, size, error);
    default:
        result = run_detail_decode(&detail, text, size, error);
        if (result == 0)
            run_detail_deinit(&detail);
        return result;
    }
}

static void encode_any(size_t which, Buffer *out) {
    Report *report = example_report(REPORT_RESULT, 2);
    RunRecord records[2] = {example_run_record(1), example_run_record(2)};
    Lease lease = {.run = example_run()};
    LeaseAnswer leases = {.directory = "/tmp", .count = 1, .leases = &lease};
    LeaseRequest request = {.environment = example_environment(), .runs_max = 4};
    AttemptRecord attempt = {.id = 1};
    Point point = example_point(1);
    RunDetail detail = {records[0], example_run(), &attempt, 1, &point, 1, NULL, 0};
    switch (which) {
    case 0:
        reports_begin(out);
        reports_add(report, out);
        reports_end(out);
        break;
    case 1:
        lease_answer_encode(&leases, out);
        break;
    case 2:
        lease_request_encode(&request, out);
        break;
    case 3:
        run_records_encode(records, 2, 0, out);
        break;
    default:
        run_detail_encode(&detail, out);
    }
    free(report);
}

/* The copy is exactly as long as what is decoded, so that the address sanitizer sees a byte read too far. */
static void test_mutations(void **state) {
    (void)state;
    Rng rng;
    rng_init(&rng, 1, 0);
    for (size_t which = 0; which < 5; which++) {
        Buffer text;
        buffer_init(&text, WIRE_BODY_MAX);
        encode_any(which, &text);
        assert_false(text.failed);
        int refused = 0;
        for (int round = 0; round < 1000; round++) {
            size_t size = text.size;
            char *copy = malloc(size);
            memcpy(copy, text.data, size);
            mutate(copy, &size, &rng);
            char *exact = malloc(size);
            memcpy(exact, copy, size);
            Error error = {0};
            int result = decode_any(which, exact, size, &error);
            assert_true(result == 0 || result == WIRE_INVALID);
            assert_true(result == 0 || error.text[0] != '\0');
            refused += result != 0;
            free(copy);
            free(exact);
        }
        assert_true(refused > 100);
        buffer_deinit(&text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors_name_fields),
        cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
