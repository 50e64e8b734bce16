/* Starting and stopping a daemon. */
#pragma once

#include "source.h"

#include <sys/types.h>

/* Starts `sweepd` on the home in a session of its own, its output appended to HOME/sweepd.log, and returns once its socket answers.
 * workers: how many it may start, in digits; NULL: its default. 0 with *source open on it; or negative with the end of its log in the
 * error. */
int service_start(const char *home, const char *workers, pid_t *pid, Source **source, Error *error);
/* Asks it to stop and waits until it has: workers checkpoint and go. pid: of a child of this process, or 0. */
int service_stop(Source *source, pid_t pid, Error *error);
