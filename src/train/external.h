/* external (private to train): a program of the user's own behind the seam. external_call.c says how it is started,
 * external_lines.c reads what it says, external.c runs it. */
#pragma once

#include "builtin.h"
#include "process.h"

enum {
    EXTERNAL_LINE_MAX = 1 << 16, /* bytes, with its end */
    EXTERNAL_LINES_MAX = 100000, /* of an attempt */
    EXTERNAL_POINTS_MAX = 10000, /* of an attempt */
    EXTERNAL_LOG_MAX = 16 << 20, /* bytes of stderr that an attempt may add to the log */
    EXTERNAL_TAIL_MAX = 160,     /* bytes of its last line, for the message when the program fails */
    EXTERNAL_EXIT_REFUSED = 78,  /* EX_CONFIG of sysexits.h: it cannot train the run on this machine */
};

typedef struct External {
    Trainer base;
    char data_path[PATH_TEXT_MAX]; /* "": no data */
    GpuSet gpus;
    double params, run_flops;                       /* of the whole run, as the sweep file or the program says; 0: not known yet */
    bool params_told;                               /* by the program: points carry them */
    bool ended;                                     /* well, in an earlier attempt or in this one */
    double seconds_before;                          /* of earlier attempts */
    double begun;                                   /* monotonic; of this one */
    int64_t resumed;                                /* the step of the last point of earlier attempts; points up to there are passed over */
    int64_t last_step;                              /* of the last point that this attempt gave; -1: none */
    double last_flops, last_examples, last_seconds; /* and what it said; they do not fall */
    int64_t lines, points;                          /* of this attempt */
} External;

int external_new(Trainer **out, const Run *run, const TrainerOptions *options, Error *error);

enum { LINE_NOTHING = 1, LINE_POINT = 2 };
/* Takes one line of the program's output, without its end. LINE_POINT: *out is to be given on; LINE_NOTHING; -1 with an error that names
 * the line. */
int external_line(External *external, const char *line, size_t size, Point *out, Error *error);

/* What the program is started with. */
typedef struct ExternalCall {
    char **arguments;   /* [.., NULL]; owned, and so are its texts */
    char **environment; /* [.., NULL]; owned */
    void *settings;     /* the texts of the environment that are not this process's own; owned */
} ExternalCall;

/* directory: the run's, absolute. 0, TRAIN_REFUSED, -1; to be cleared in any case. */
int external_call_init(ExternalCall *out, const External *external, const char *directory, Error *error);
void external_call_deinit(ExternalCall *call);
