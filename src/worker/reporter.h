/* reporter (private): what its thread and its messages share. */
#pragma once

#include "worker.h"

static const double REPORTER_POINT_SECONDS = 0.5;  /* points wait this long for company */
static const double REPORTER_RESULT_SECONDS = 0.2; /* so do results */

typedef enum { ENTRY_WAITING, ENTRY_TRAINING, ENTRY_ENDED, ENTRY_OVER } EntryStage;

typedef struct Entry {
    const Lease *lease;
    EntryStage stage;
    ReporterState state;
    Directive directive;
    double step, flops;
    PointList points;    /* that are not acknowledged */
    size_t acknowledged; /* points before them */
    int64_t sequence;
    Outcome outcome; /* of one that has ended; as the next three */
    RunState run_state;
    Environment environment;
    char detail[RECORD_TEXT_MAX];
} Entry;

/* What the message under way says of one entry. */
typedef struct Said {
    Entry *entry;
    ReportKind kind;
    size_t points;
} Said;

struct Reporter {
    HttpClient *client;
    double heartbeat_seconds;
    pthread_t thread;
    int descriptor; /* eventfd, written when one of the states changes */

    pthread_mutex_t lock; /* guards all that follows up to the reporter's own */
    pthread_cond_t wake;
    Entry *entries;
    size_t count, next;  /* entries from `next` on have not been begun */
    Entry *current;      /* the last one begun; NULL before */
    ReporterState state; /* of all of them: REPORTER_RUNNING; DELIVERED when each is over; REJECTED, ABANDONED */
    bool stop;           /* the daemon wants its workers to leave */
    bool handed_back;
    bool leaving;                   /* reporter_free was called */
    double results_due, points_due; /* INFINITY: there are none */
    double next_due;                /* of heartbeats, or of the unanswered message */
    double waiting_due;             /* when those that wait are handed back */

    /* the reporter thread's own */
    Report *report;
    ReportAnswers *answers;
    Buffer body, answer;
    bool unanswered; /* body is to be sent again */
    Said *said;
    size_t said_count;
    int repeated; /* failures of the same kind are logged once */
    Backoff backoff;
};

/* Both with the lock held. */
void reporter_end(Reporter *reporter, ReporterState state);
void reporter_entry_over(Reporter *reporter, Entry *entry, ReporterState state);
/* One message, with the lock released while the network has it; the lock is held before and after. */
void reporter_exchange(Reporter *reporter);
