#include "format.h"
#include "service.h"

#include <string.h>

static int daemon_start(const Cli *cli, const Arguments *arguments, Error *error) {
    char home[PATH_TEXT_MAX];
    Source *source = NULL;
    pid_t pid;
    if (cli_home(cli, home, error) < 0)
        return -1;
    StatusRecord status = {0};
    int result = service_join(home, arguments_text(arguments, "workers", NULL), false, &pid, &source, error);
    if (!result)
        result = source_status(source, &status, error);
    if (!result && !pid)
        cli_note("a daemon already serves %s%s", home,
                 status.leaves ? "; 'sweepctl run' started it, and it leaves when that has ended and nothing is left to be done" : "");
    else if (!result)
        printf("sweepd serves %s (process %d, log %s/sweepd.log)\n", home, (int)pid, home);
    source_free(source);
    return result;
}

static int daemon_stop(const Cli *cli, Error *error) {
    Source *source;
    int result = source_open(&source, cli, SOURCE_DAEMON, error);
    if (result)
        return result;
    result = service_stop(source, 0, NULL, error);
    if (!result)
        printf("sweepd of %s has stopped\n", source_home(source));
    source_free(source);
    return result;
}

static int print_status(const Buffer *answer, Error *error) {
    StatusRecord status;
    char text[FORMAT_MAX];
    if (status_record_decode(&status, answer->data ? answer->data : "", answer->size, error))
        return error_prefix(error, "the daemon's answer");
    printf("sweepd %s serves %s%s\n", status.version, status.home, status.stopping ? ", and is stopping" : "");
    printf("  process  %lld, up for %s\n", (long long)status.pid, format_duration(status.uptime_seconds, text));
    printf("  workers  %lld of at most %lld\n", (long long)status.workers_alive, (long long)status.workers_capacity);
    printf("  runs     %lld running, ", (long long)status.running);
    printf("%s pending\n", format_count(status.pending, text));
    if (*status.problem)
        printf("  problem  %s\n", status.problem);
    return 0;
}

static int daemon_status(const Cli *cli, bool json, Error *error) {
    Source *source;
    Buffer answer;
    int result = source_open(&source, cli, SOURCE_DAEMON, error);
    if (result)
        return result;
    buffer_init(&answer, WIRE_BODY_MAX);
    result = source_call(source, "/v1/status", NULL, 30, &answer, error);
    if (!result && json) {
        result = cli_print(&answer, error);
        putchar('\n');
    } else if (!result) {
        result = print_status(&answer, error);
    }
    buffer_deinit(&answer);
    source_free(source);
    return result;
}

int verb_daemon(const Cli *cli, const Arguments *arguments, Error *error) {
    if (!strcmp(arguments->positional, "start"))
        return daemon_start(cli, arguments, error);
    if (!strcmp(arguments->positional, "stop"))
        return daemon_stop(cli, error);
    return daemon_status(cli, arguments_flag(arguments, "json"), error);
}
