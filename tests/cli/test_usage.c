/* Wrong and missing arguments, help, completion: what needs neither home nor daemon. */
#include "cli.h"
#include "harness.h"

#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void test_no_arguments(void **state) {
    (void)state;
    Said said;
    sweepctl(&said, NULL);
    assert_int_equal(said.code, CLI_USAGE);
    assert_int_equal(said.out.size, 0);
    assert_says(&said.err, "Usage: sweepctl");
    said_clear(&said);
}

static void expect_usage(const char *message, const char *first, const char *second, const char *third) {
    Said said;
    sweepctl(&said, first, second, third, NULL);
    assert_int_equal(said.code, CLI_USAGE);
    assert_int_equal(said.out.size, 0);
    assert_memory_equal(said.err.data, "sweepctl: ", 10);
    assert_says(&said.err, message);
    said_clear(&said);
}

static void test_mistakes(void **state) {
    (void)state;
    expect_usage("did you mean 'status'?", "statsu", NULL, NULL);
    expect_usage("did you mean 'validate'?", "valid", NULL, NULL);
    expect_usage("'sweepctl --help' lists them", "frobnicate", NULL, NULL);
    expect_usage("did you mean '--json'?", "status", "--jsn", NULL);
    expect_usage("did you mean '--bootstrap'?", "fit", "--boostrap=3", NULL);
    expect_usage("needs FILE", "run", NULL, NULL);
    expect_usage("needs a value", "wait", "x", "--timeout");
    expect_usage("takes no value", "status", "--json=yes", NULL);
    expect_usage("two dashes", "status", "-x", NULL);
    expect_usage("does not take the argument 'b'", "status", "a", "b");
    expect_usage("does not take the argument 'a'", "doctor", "a", NULL);
    expect_usage("is one of csv|jsonl, not 'cs'", "export", "x", "--format=cs");
    expect_usage("is one of start|stop|status", "daemon", "dance", NULL);
    expect_usage("whole number from 1 to 1024, not '0'", "run", "x", "--workers=0");
    expect_usage("whole number from 1 to 1024, not '1.5'", "run", "x", "--workers=1.5");
    expect_usage("not 'soon'", "wait", "x", "--timeout=soon");
    expect_usage("not 'nan'", "wait", "x", "--timeout=nan");
    expect_usage("SWEEP is empty", "watch", "", NULL);
    expect_usage("either a sweep or --points", "fit", NULL, NULL);
    expect_usage("either a sweep or --points", "fit", "x", "--points=y");
    expect_usage("either a sweep or --run", "cancel", NULL, NULL);
    expect_usage("either a sweep or --run", "retry", "x", "--run=3");
    expect_usage("either --flops C or --holdout", "predict", "x", NULL);
    expect_usage("number from", "predict", "x", "--flops=1e12,-3");
    expect_usage("at least two", "compare", "x", NULL);
    expect_usage("is one of envelope|isoflop", "fit", "x", "--method=vpnls,parabola");
    expect_usage("is one of error-compute|", "plot", "x", "--kind=pie");
    expect_usage("not '1'", "fit", "x", "--drop-first-share=1");
    expect_usage("needs a shell", "completion", NULL, NULL);
    expect_usage("before the verb", "--json", "status", NULL);
}

/* Anything that takes a value may stand before or after the positional, as two words or one; "--" ends options. */
static void test_orders(void **state) {
    (void)state;
    static char *const lines[][7] = {
        {"sweepctl", "--home", "h", "wait", "x", "--timeout", "2"},
        {"sweepctl", "wait", "--timeout", "2", "x", "--home", "h"},
        {"sweepctl", "wait", "--timeout=2", "--home=h", "x", NULL},
        {"sweepctl", "--home=h", "wait", "--timeout=2", "--", "x"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        Arguments arguments;
        Error error;
        int count = 0;
        while (count < 7 && lines[i][count])
            count++;
        assert_int_equal(arguments_parse(&arguments, count, (char **)(uintptr_t)lines[i], &error), 0);
        assert_string_equal(arguments.command->name, "wait");
        assert_string_equal(arguments.positional, "x");
        assert_string_equal(arguments_text(&arguments, "home", NULL), "h");
        assert_true(arguments_number(&arguments, "timeout", 9) == 2);
        assert_false(arguments_flag(&arguments, "help"));
    }
}

static void test_help(void **state) {
    (void)state;
    Said said;
    sweepctl_expect(&said, CLI_OK, "--help");
    for (const Command *command = cli_commands; command->name; command++)
        assert_says(&said.out, command->summary);
    assert_says(&said.out, "130 interrupted.\n");
    said_clear(&said);
    for (const Command *command = cli_commands; command->name; command++) {
        sweepctl_expect(&said, CLI_OK, command->name, "--help");
        assert_int_equal(said.err.size, 0);
        assert_says(&said.out, command->summary);
        for (const Option *option = command->options; option && option->name; option++) {
            char text[64];
            snprintf(text, sizeof text, "  --%s", option->name);
            assert_says(&said.out, text);
        }
        for (const char *line = said.out.data; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
            assert_in_range(strcspn(line, "\n"), 0, 80);
        said_clear(&said);
    }
}

/* What it refuses, too. */
static void test_help_of_retry(void **state) {
    (void)state;
    Said said;
    sweepctl_expect(&said, CLI_OK, "retry", "--help");
    assert_says(&said.out, "A sweep\nthat was cancelled as a whole is refused: submitting its file again");
    said_clear(&said);
}

static void test_version(void **state) {
    (void)state;
    Said said;
    sweepctl_expect(&said, CLI_OK, "--version");
    assert_says(&said.out, version_text());
    said_clear(&said);
}

static void test_completion(void **state) {
    (void)state;
    static const char *const shells[] = {"bash", "zsh", "fish"};
    for (size_t i = 0; i < 3; i++) {
        Said said;
        sweepctl_expect(&said, CLI_OK, "completion", shells[i]);
        for (const Command *command = cli_commands; command->name; command++) {
            assert_says(&said.out, command->name);
            for (const Option *option = command->options; option && option->name; option++)
                assert_says(&said.out, option->name);
        }
        said_clear(&said);
    }
    Said said;
    sweepctl_expect(&said, CLI_OK, "completion", "--sweeps");
    assert_int_equal(said.out.size, 0);
    said_clear(&said);
}

static int bash(char *script) {
    static char name[] = "bash", option[] = "-c";
    char *arguments[] = {name, option, script, NULL};
    pid_t pid;
    int status = 0;
    assert_int_equal(posix_spawnp(&pid, "bash", NULL, NULL, arguments, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The script is right bash, and completes verbs, options and choices. */
static void test_bash(void **state) {
    (void)state;
    Said said;
    sweepctl_expect(&said, CLI_OK, "completion", "bash");
    Buffer script;
    buffer_init(&script, 1 << 20);
    buffer_append(&script, said.out.data, said.out.size);
    buffer_append_text(&script,
                       "\ntry() { COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _sweepctl; echo \"${COMPREPLY[*]}\"; }\n"
                       "set -e\n"
                       "[[ $(try sweepctl va) == validate ]]\n"
                       "[[ $(try sweepctl export x --for) == --format ]]\n"
                       "[[ $(try sweepctl export x --format '') == 'csv jsonl' ]]\n"
                       "[[ $(try sweepctl --home h daemon st) == 'start stop status' ]]\n"
                       "[[ $(try sweepctl completion z) == zsh ]]\n"
                       "[[ $(try sweepctl fit x --loss a) == asymmetric ]]\n"
                       "[[ $(try sweepctl predict --holdo) == --holdout ]]\n"
                       "[[ $(try sweepctl plot x --kind cont) == contours ]]\n");
    assert_int_equal(buffer_check(&script, NULL, "script"), 0);
    assert_int_equal(bash(script.data), 0);
    buffer_deinit(&script);
    said_clear(&said);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_arguments), cmocka_unit_test(test_mistakes),      cmocka_unit_test(test_orders),
        cmocka_unit_test(test_help),         cmocka_unit_test(test_help_of_retry), cmocka_unit_test(test_version),
        cmocka_unit_test(test_completion),   cmocka_unit_test(test_bash),
    };
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    harness_clean();
    return result;
}
