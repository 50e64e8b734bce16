#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Forks before anything is opened. The parent returns the exit code of the command: 0 once the child has written a byte to
 * *ready, which it does when it serves. In the child -1 is returned. */
static int detach(int *ready) {
    int ends[2];
    char byte;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return 1;
    pid_t pid = fork();
    if (pid < 0)
        return 1;
    if (pid == 0) {
        close(ends[0]);
        *ready = ends[1];
        setsid();
        return -1;
    }
    close(ends[1]);
    ssize_t got;
    do
        got = read(ends[0], &byte, 1);
    while (got < 0 && errno == EINTR);
    return got == 1 ? 0 : 1;
}

/* Until now the child has shared the terminal, so that a failure to start was seen. */
static void leave_terminal(int ready) {
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nowhere >= 0)
        for (int number = STDIN_FILENO; number <= STDERR_FILENO; number++)
            dup2(nowhere, number);
    ssize_t ignored = write(ready, "", 1);
    (void)ignored;
    close(ready);
}

static int serve(const DaemonOptions *options, int ready) {
    Error error = {0};
    Daemon *daemon = NULL;
    setenv("SWEEPD_HOME", options->home, 1); /* sweep files look for packs there */
    if (directory_make(options->home, 0700, &error) != 0 || daemon_new(&daemon, options, &error) != 0 ||
        (options->log_path[0] != '\0' && log_open(options->log_path, &error) != 0)) {
        fprintf(stderr, "sweepd: %s\n", error.text);
        daemon_free(daemon);
        return 1;
    }
    if (ready >= 0)
        leave_terminal(ready);
    int code = daemon_run(daemon);
    daemon_free(daemon);
    return code;
}

int main(int argc, char **argv) {
    DaemonOptions options;
    Error error = {0};
    int ready = -1;
    int result = options_parse(&options, argc, argv, &error);
    if (result == OPTIONS_EXIT)
        return 0;
    if (result != 0) {
        fprintf(stderr, "sweepd: %s\n", error.text);
        return result == OPTIONS_USAGE ? 2 : 1;
    }
    int code = options.detach ? detach(&ready) : -1;
    return code >= 0 ? code : serve(&options, ready);
}
