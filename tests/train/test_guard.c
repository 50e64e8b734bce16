/* A program's child that does not go when it is killed: a debugger, which is this test, holds it. */
#include "fixture.h"

#include "process.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of the child, which the program says. */
static pid_t read_pid(Process *process) {
    char text[64];
    size_t size = 0;
    while (size == 0 || text[size - 1] != '\n') {
        process_wait(process, 1);
        size += process_read(&process->output, text + size, sizeof text - 1 - size);
        assert_true(process->output >= 0);
    }
    text[size] = '\0';
    return (pid_t)strtol(text, NULL, 10);
}

static void test_what_is_left_is_told(void **state) {
    (void)state;
    char *const arguments[] = {"/bin/sh", "-c", "sleep 1000 & echo $!; read -r line <&1", NULL};
    char *const environment[] = {NULL};
    char path[PATH_TEXT_MAX], expected[96];
    Process process;
    Error error = {0};
    Buffer log;
    text_copy(path, sizeof path, scratch_path("log"));
    assert_int_equal(log_open(path, &error), 0);
    if (process_start(&process, arguments, environment, scratch_root, &error))
        fail_msg("%s", error.text);
    pid_t child = read_pid(&process);
    bool held = ptrace(PTRACE_SEIZE, child, NULL, NULL) == 0;
    process_signal(&process, SIGKILL);
    while (!process_ended(&process))
        usleep(10000);
    if (held)
        assert_int_equal(waitpid(child, NULL, __WALL), child); /* what was left now goes */
    process_deinit(&process);
    log_close();
    if (!held) /* a container that allows no debuggers */
        skip();
    buffer_init(&log, 1 << 16);
    assert_int_equal(file_read(path, 1 << 16, &log, &error), 0);
    snprintf(expected, sizeof expected, "process %d, which the program started, could not be ended within 5 s", (int)child);
    if (!log.data || !strstr(log.data, expected))
        fail_msg("\"%s\" is not in \"%s\"", expected, log.data ? log.data : "");
    buffer_deinit(&log);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_is_left_is_told)};
    return cmocka_run_group_tests(tests, fixture_setup, scratch_teardown);
}
