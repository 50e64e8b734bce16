/* What is and is not a request, without a socket. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "http_head.h"
#include "sweepd/wire.h"

static int parse(HttpHead *head, const char *text) {
    Error error = {0};
    size_t size = strlen(text);
    char *exact = malloc(size);
    memcpy(exact, text, size);
    int status = http_head_parse(head, exact, size, &error);
    free(exact);
    assert_true(status == 0 || error.text[0] != '\0');
    return status;
}

static void test_good(void **state) {
    (void)state;
    HttpHead head;
    assert_int_equal(parse(&head, "GET /v1/runs?sweep=a%20b&limit=5 HTTP/1.1\r\nHost: x\r\n\r\n"), 0);
    assert_string_equal(head.method, "GET");
    assert_string_equal(head.path, "/v1/runs");
    assert_string_equal(head.query, "sweep=a%20b&limit=5");
    assert_true(head.keep_alive);
    assert_int_equal(parse(&head, "POST /v1/a%2fb HTTP/1.0\r\ncontent-length:  12 \r\nAuthorization: Bearer abc\r\n\r\n"), 0);
    assert_string_equal(head.path, "/v1/a/b");
    assert_int_equal(head.content_length, 12);
    assert_string_equal(head.bearer, "abc");
    assert_false(head.keep_alive);
    assert_int_equal(parse(&head, "GET / HTTP/1.1\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n"), 0);
    assert_true(!head.keep_alive && head.expects_continue);
}

static void test_bad(void **state) {
    (void)state;
    static const struct {
        int status;
        const char *text;
    } cases[] = {
        {400, "\r\n\r\n"},
        {400, "hello\r\n\r\n"},
        {400, "GET /\r\n\r\n"},
        {400, "GET  / HTTP/1.1\r\n\r\n"},
        {400, "GET / x HTTP/1.1\r\n\r\n"},
        {400, "GET / FTP/1.1\r\n\r\n"},
        {505, "GET / HTTP/2.0\r\n\r\n"},
        {405, "DELETE / HTTP/1.1\r\n\r\n"},
        {405, "get / HTTP/1.1\r\n\r\n"},
        {400, "GET x HTTP/1.1\r\n\r\n"},
        {400, "GET /%00 HTTP/1.1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nno colon\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\n: x\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nA B: x\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\n folded: x\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nA: \x01\r\n\r\n"},
        {411, "POST / HTTP/1.1\r\n\r\n"},
        {411, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        HttpHead head;
        int status = parse(&head, cases[i].text);
        if (status != cases[i].status)
            fail_msg("%s: %d, expected %d", cases[i].text, status, cases[i].status);
    }
}

static void test_query(void **state) {
    (void)state;
    char value[16];
    assert_true(http_query_get("a=1&sweep=x+y%21&b=", "sweep", value, sizeof value));
    assert_string_equal(value, "x y!");
    assert_true(http_query_get("a=1&sweep=x&b=", "b", value, sizeof value));
    assert_string_equal(value, "");
    assert_false(http_query_get("xa=1&a", "a", value, sizeof value));
    assert_false(http_query_get("", "a", value, sizeof value));
    assert_false(http_query_get("a=0123456789abcdef", "a", value, sizeof value));
    assert_false(http_query_get("a=%00b", "a", value, sizeof value));
}

static void test_mutations(void **state) {
    (void)state;
    static const char good[] =
        "POST /v1/a%2fb?x=y HTTP/1.1\r\nContent-Length: 12\r\nAuthorization: Bearer abc\r\nExpect: 100-continue\r\n\r\n";
    Rng rng;
    rng_init(&rng, 2, 0);
    int refused = 0;
    for (int round = 0; round < 20000; round++) {
        char text[sizeof good];
        memcpy(text, good, sizeof good);
        for (int i = 0; i < 2; i++)
            text[rng_below(&rng, sizeof good - 1)] = (char)(1 + rng_below(&rng, 255));
        HttpHead head;
        int status = parse(&head, text);
        assert_true(status == 0 || (status >= 400 && status < 600));
        refused += status != 0;
    }
    assert_in_range(refused, 1000, 19999);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
