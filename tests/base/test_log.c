#include "sweepd/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* Standard error may be a socket, as under a service manager, which no name opens a second time. */
static void test_log_goes_to_its_file_and_back(void **state) {
    (void)state;
    char path[] = "/tmp/sweepd-log-XXXXXX", received[256] = {0};
    int file = mkstemp(path), pair[2], saved = dup(STDERR_FILENO);
    assert_true(file >= 0 && saved >= 0);
    close(file);
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
    assert_true(dup2(pair[0], STDERR_FILENO) >= 0);
    int opened = log_open(path, NULL);
    log_write(LOG_INFO, "%s", "to the file");
    log_close();
    log_write(LOG_WARNING, "%s", "back again");
    log_close();
    ssize_t size = recv(pair[1], received, sizeof received - 1, MSG_DONTWAIT);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    assert_int_equal(opened, 0);
    assert_true(size > 0);
    assert_non_null(strstr(received, " warning back again\n"));
    Buffer text;
    buffer_init(&text, 1000);
    assert_int_equal(file_read(path, 1000, &text, NULL), 0);
    assert_non_null(strstr(text.data, " info to the file\n"));
    assert_null(strstr(text.data, "back again"));
    buffer_deinit(&text);
    unlink(path);
    close(saved);
    close(pair[0]);
    close(pair[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_log_goes_to_its_file_and_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
