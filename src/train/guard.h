/* guard (private to train): a process between the worker and its program, that ends the program with all that it started when the program
 * ends, or the worker does. */
#pragma once

#include <sys/types.h>

enum { GUARD_SECONDS = 5 }; /* for which it goes on ending what the program left */

/* What the guard says, in this order, on its pipe. */
typedef struct GuardReport {
    pid_t pid;           /* of the program, and its process group */
    int status;          /* of wait, once it has ended */
    double memory_bytes; /* the most that one of its processes held */
    pid_t left;          /* one that it started and that is still there after GUARD_SECONDS; -1: which is not known; 0: none is */
} GuardReport;

/* To the program and its process group, which it may have left. */
void guard_signal(pid_t program, int number);

/* In a child that was forked for it: starts the program by calling run(context), which does not return, in a child of its own, writes a
 * report with its pid to `reports` and, when the program has ended, another. `lifeline` is the reading end of a pipe whose other end the
 * worker holds, and nobody else. Calls async-signal-safe functions alone. */
void guard_run(int lifeline, int reports, void (*run)(const void *context), const void *context) __attribute__((noreturn));
