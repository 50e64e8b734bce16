#include "sweepd/base.h"

#include <errno.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

static void test_errors_gather_context(void **state) {
    (void)state;
    Error error;
    assert_int_equal(error_set_errno(&error, 2, "cannot open %s", "x"), -1);
    assert_int_equal(error_prefix(&error, "run %d", 7), -1);
    assert_string_equal(error.text, "run 7: cannot open x: No such file or directory");
    assert_int_equal(error_set(NULL, "ignored"), -1);
}

static void test_errors_tell_of_memory(void **state) {
    (void)state;
    Error error;
    error_set_memory(&error, "no memory for %d bytes", 7);
    error_prefix(&error, "run 1");
    assert_true(error.memory);
    assert_string_equal(error.text, "run 1: no memory for 7 bytes");
    error_set(&error, "another");
    assert_false(error.memory);
    error_set_errno(&error, ENOMEM, "cannot map x");
    assert_true(error.memory);
    error_set_errno(&error, ENOENT, "cannot open x");
    assert_false(error.memory);
}

static void test_long_errors_are_cut(void **state) {
    (void)state;
    Error error;
    char text[3000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    error_set(&error, "%s", text);
    error_prefix(&error, "context");
    assert_int_equal(strlen(error.text), ERROR_TEXT_MAX - 1);
    assert_memory_equal(error.text, "context: xxx", 12);
}

/* A name from an archive makes neither a second line nor a terminal's command out of an error, whichever way it comes into one. */
static void test_errors_are_plain(void **state) {
    (void)state;
    Error error;
    error_set(&error, "%s is there twice", "a\nb");
    assert_string_equal(error.text, "a\\x0ab is there twice");
    error_prefix(&error, "%s", "\033[2J\177");
    assert_string_equal(error.text, "\\x1b[2J\\x7f: a\\x0ab is there twice");
    error_set_memory(&error, "%s",
                     "\xc2\x9b"
                     "1m");
    assert_string_equal(error.text, "\\xc2\\x9b1m");
    error_set_errno(&error, ENOENT, "cannot open %s", "caf\xe9");
    assert_string_equal(error.text, "cannot open caf\\xe9: No such file or directory");
    error_set(&error, "%s", "café \xe2\x82\xac");
    assert_string_equal(error.text, "café \xe2\x82\xac");
}

static void test_plain_text(void **state) {
    (void)state;
    char target[8];
    assert_true(text_is_plain(""));
    assert_true(text_is_plain("\xf0\x9f\x90\x88 x"));
    assert_int_equal(text_plain_size("ab\tc"), 2);
    assert_int_equal(text_plain_size("\xc3\xa9\xc3"), 2);
    assert_int_equal(text_plain_size("\xed\xa0\x80"), 0); /* half of a UTF-16 pair */
    assert_int_equal(text_plain_size("\xc0\xaf"), 0);     /* longer than it need be */
    text_copy_plain(target, sizeof target, "abc\033d");
    assert_string_equal(target, "abc\\x1b");
    text_copy_plain(target, sizeof target, "abcd\033"); /* no half of an escape, */
    assert_string_equal(target, "abcd");
    text_copy_plain(target, sizeof target, "abcdef\xc3\xa9"); /* nor of a character */
    assert_string_equal(target, "abcdef");
}

/* The published test vectors of SHA-256 (FIPS 180-2, appendix B). */
static void test_sha256_vectors(void **state) {
    (void)state;
    char hex[SHA256_HEX_MAX];
    assert_int_equal(sha256_hex("abc", 3, hex, NULL), 0);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    Sha256 *hash = NULL;
    assert_int_equal(sha256_new(&hash, NULL), 0);
    for (int i = 0; i < 1000; i++)
        sha256_update(hash, "aaaaaaaaaa", 10);
    for (int i = 0; i < 99; i++)
        for (int j = 0; j < 1000; j++)
            sha256_update(hash, "aaaaaaaaaa", 10);
    sha256_finish(hash, hex);
    sha256_free(hash);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void test_copies_say_when_they_cut(void **state) {
    (void)state;
    char target[4];
    assert_true(text_copy(target, sizeof target, "abc"));
    assert_false(text_copy(target, sizeof target, "abcd"));
    assert_string_equal(target, "abc");
}

static void test_machine_and_time_are_read(void **state) {
    (void)state;
    Machine machine;
    machine_read(&machine);
    assert_true(machine.cores >= 1);
    assert_true(machine.memory_bytes > 1e6);
    assert_true(strlen(machine.host) > 0 && strlen(machine.cpu) > 0);
    char text[32];
    clock_text(1795458005, text);
    assert_string_equal(text, "2026-11-23T18:20:05Z");
    double before = clock_monotonic();
    assert_true(clock_monotonic() >= before);
    assert_string_equal(version_text(), "0.1.0");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors_gather_context),    cmocka_unit_test(test_errors_tell_of_memory),
        cmocka_unit_test(test_errors_are_plain),         cmocka_unit_test(test_plain_text),
        cmocka_unit_test(test_long_errors_are_cut),      cmocka_unit_test(test_sha256_vectors),
        cmocka_unit_test(test_copies_say_when_they_cut), cmocka_unit_test(test_machine_and_time_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
