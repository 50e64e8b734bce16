/* Workers of an earlier daemon that was cut off. They hold leases, which is how they are found. While they live they count as this
 * machine's; before one is sent a signal, its command line tells that it is such a worker, and not one that a person started or another
 * process that has got the number since. */

#include "daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { WORKERS_MAX = 1024, COMMAND_MAX = 4 * PATH_TEXT_MAX };

/* ---- whose process ---- */

static bool is_program(const char *argument) {
    const char *slash = strrchr(argument, '/');
    return strcmp(slash != NULL ? slash + 1 : argument, "sweep-worker") == 0;
}

/* A process that has ended and waits to be collected has no command line. */
static bool is_local_worker(int64_t pid, const char *home) {
    char path[64], command[COMMAND_MAX];
    bool program = false, of_home = false, local = false;
    snprintf(path, sizeof path, "/proc/%lld/cmdline", (long long)pid);
    FILE *file = pid > 0 ? fopen(path, "re") : NULL;
    if (file == NULL)
        return false;
    size_t size = fread(command, 1, sizeof command - 1, file);
    fclose(file);
    command[size] = '\0';
    for (const char *at = command; at < command + size; at += strlen(at) + 1) {
        program = program || is_program(at);
        of_home = of_home || strcmp(at, home) == 0;
        local = local || strncmp(at, "local-", 6) == 0;
    }
    return program && of_home && local;
}

static bool is_orphan(const Daemon *daemon, const AttemptRecord *attempt) {
    if (attempt->started_at >= daemon->started_at || strcmp(attempt->environment.host, daemon->machine.host) != 0)
        return false;
    return attempt->environment.pid > 0 && (kill((pid_t)attempt->environment.pid, 0) == 0 || errno == EPERM);
}

/* ---- while serving, while leaving ---- */

/* Writes at most `capacity` of their pids. */
static int orphans_find(Daemon *daemon, int64_t *pids, size_t capacity, size_t *count, Error *error) {
    static AttemptRecord workers[WORKERS_MAX];
    size_t found = 0;
    *count = 0;
    if (store_worker_list(daemon->store, workers, WORKERS_MAX, &found, error) != 0)
        return -1;
    for (size_t i = 0; i < found && *count < capacity; i++)
        if (is_orphan(daemon, &workers[i]))
            pids[(*count)++] = workers[i].environment.pid;
    return 0;
}

int orphans_count(Daemon *daemon, size_t *out, Error *error) {
    int64_t pids[FLEET_MAX];
    *out = 0;
    if (!daemon->fleet.orphans)
        return 0;
    if (orphans_find(daemon, pids, FLEET_MAX, out, error) != 0)
        return -1;
    daemon->fleet.orphans = *out > 0;
    return 0;
}

int orphans_stop(Daemon *daemon, Error *error) {
    Fleet *fleet = &daemon->fleet;
    if (orphans_find(daemon, fleet->leaving, FLEET_MAX, &fleet->leaving_count, error) != 0)
        return -1;
    orphans_leaving(daemon);
    for (size_t i = 0; i < fleet->leaving_count; i++)
        kill((pid_t)fleet->leaving[i], SIGTERM);
    return 0;
}

size_t orphans_leaving(Daemon *daemon) {
    Fleet *fleet = &daemon->fleet;
    size_t kept = 0;
    for (size_t i = 0; i < fleet->leaving_count; i++)
        if (is_local_worker(fleet->leaving[i], daemon->options.home))
            fleet->leaving[kept++] = fleet->leaving[i];
    fleet->leaving_count = kept;
    return kept;
}
