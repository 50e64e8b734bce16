/* process (private to train): a program under our eyes, with its output and its end. Its children are ended with it. */
#pragma once

#include "sweepd/base.h"

#include <sys/types.h>

typedef struct Process {
    pid_t pid;           /* and its process group; 0: ended and waited for */
    pid_t guard;         /* that stands over it (guard.h) */
    int reports;         /* the guard's, to be read */
    int lifeline;        /* while it is open, the program may live */
    int output, errors;  /* descriptors that do not block; -1: closed */
    int status;          /* of wait, once ended */
    double memory_bytes; /* the most that one of its processes held, once ended */
} Process;

extern const Process process_none; /* was never started */

enum { PROCESS_MISSING = 1 }; /* the program cannot be started: it is not there, or no program; see the error */

/* arguments[0] is looked for along PATH. Ends, with all that it has started, when this process does. 0, PROCESS_MISSING, -1. */
int process_start(Process *out, char *const *arguments, char *const *environment, const char *directory, Error *error);
/* Until there is something to read, or the time is over. */
void process_wait(const Process *process, double seconds);
/* What there is, at most `capacity` bytes; 0: nothing now, or nothing any more (then *descriptor is -1). */
size_t process_read(int *descriptor, char *out, size_t capacity);
bool process_ended(Process *process);
void process_signal(const Process *process, int number);
/* Ends whoever is left and closes. */
void process_deinit(Process *process);
/* "exit code 3", "signal 9 (Killed)". */
void process_describe(const Process *process, char *out, size_t capacity);
