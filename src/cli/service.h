/* Starting and stopping a daemon. */
#pragma once

#include "source.h"

#include <sys/types.h>

/* Sees to it that a daemon serves the home, and opens *source on it. One that is stopping is waited for. When none serves, `sweepd` is
 * started in a session of its own, its output appended to HOME/sweepd.log; *pid is its process, or 0 when the daemon is another's, which
 * may have been started at the same moment. workers: how many ours may start, in digits; NULL: its default. leaves: ours does, when it is
 * idle, once this process has ended, in whatever way. 0, CLI_INTERRUPTED, or negative, with the end of its log in the error when it does
 * not start. */
int service_join(const char *home, const char *workers, bool leaves, pid_t *pid, Source **source, Error *error);
/* A daemon answers at the home, and is not stopping. */
bool service_serves(const char *home);

enum { SERVICE_STAYS = 200 };
/* Asks the daemon to stop and waits until it has: workers checkpoint and go. sweep: it is to stop on behalf of this sweep alone, and when
 * others are under way it stays until nothing is left to do: SERVICE_STAYS. NULL: it stops whatever is under way. pid: of a child of
 * this process, or 0. */
int service_stop(Source *source, pid_t pid, const char *sweep, Error *error);
