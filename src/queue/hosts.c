/* The hosts that workers ask from, and which run fits where.
 *
 * A run that does not fit is passed over for smaller ones that do: the machine stays full, and most of the time the run fits soon, for it
 * waits only for those that were under way before it. Small runs could go past for ever, though. So the first run that is passed over is
 * remembered, and when smaller ones have gone past it for `patience_seconds`, nothing more is leased on a host that could hold it until so
 * many have ended that it fits. */
#include "private.h"

#include <stdio.h>
#include <string.h>

const QueueHost *host_note(Queue *queue, const char *name, const RoomHost *room) {
    bool own = !strcmp(name, queue->settings.host);
    for (size_t i = 0; i < queue->host_count; i++)
        if (!strcmp(queue->hosts[i].name, name)) {
            if (!own)
                queue->hosts[i].room = (RoomHost){room->cores, room_of_machine(room->memory_bytes)};
            return &queue->hosts[i];
        }
    if (queue->host_count == QUEUE_HOSTS_MAX) {
        queue->host_count--;
        memmove(queue->hosts + 1, queue->hosts + 2, (QUEUE_HOSTS_MAX - 2) * sizeof *queue->hosts);
    }
    QueueHost *host = &queue->hosts[queue->host_count++];
    *host = (QueueHost){.room = own ? queue->settings.room : (RoomHost){room->cores, room_of_machine(room->memory_bytes)}};
    text_copy(host->name, sizeof host->name, name);
    return host;
}

int host_read(Queue *queue, const QueueHost *host, HostRoom *out, Error *error) {
    out->host = host;
    if (store_host_workers(queue->store, host->name, out->workers, QUEUE_WORKERS_MAX, &out->count, error) < 0)
        return -1;
    out->free_cores = room_free_cores(&host->room, out->workers, out->count);
    out->free_bytes = host->room.memory_bytes > 0 ? room_free_bytes(&host->room, out->workers, out->count) : STORE_ANY_BYTES;
    return 0;
}

int host_next(Queue *queue, int64_t sweep_id, double most_bytes, PendingRun *out, Error *error) {
    for (;;) {
        int result = store_next_pending(queue->store, sweep_id, most_bytes, out, error);
        if (result != 0 || !out->readable || out->memory_bytes > 0)
            return result;
        if (store_run_set_memory(queue->store, out->run_id, run_tensor_bytes(&out->run), run_memory_bytes(&out->run), error) < 0)
            return -1;
    }
}

/* ---- whose turn it is ---- */

/* Whether it is pending still, and in a sweep that is not paused. */
static int run_still_waits(Queue *queue, int64_t run_id, bool *waits, double *needed, Error *error) {
    RunRecord run;
    bool wanted, paused;
    int result = store_run_get(queue->store, run_id, &run, error);
    *waits = false;
    if (result != 0)
        return result < 0 ? -1 : 0;
    if (store_run_wanted(queue->store, run_id, &wanted, &paused, error) < 0)
        return -1;
    *waits = run.state == RUN_PENDING && wanted && !paused;
    *needed = run.memory_bytes;
    return 0;
}

/* `run_id` does not fit now. 0: smaller ones may go past; QUEUE_EMPTY: no longer. */
static int host_pass(Queue *queue, const HostRoom *room, int64_t run_id, double now, Error *error) {
    bool waits = false;
    double needed = 0;
    if (queue->passed_run && run_still_waits(queue, queue->passed_run, &waits, &needed, error) < 0)
        return -1;
    if (!waits) {
        queue->passed_run = run_id;
        queue->passed_since = now;
        return 0;
    }
    bool could_fit = needed <= room->host->room.memory_bytes, patient = now - queue->passed_since < queue->settings.patience_seconds;
    return patient || !could_fit || needed <= room->free_bytes ? 0 : QUEUE_EMPTY;
}

int host_turn(Queue *queue, const HostRoom *room, double now, double *most_bytes, int64_t *sweep_id, int64_t *pending, Error *error) {
    PendingRun first;
    double all = room->host->room.memory_bytes > 0 ? room->host->room.memory_bytes : STORE_ANY_BYTES;
    *most_bytes = room->free_bytes;
    int result = store_next_sweep(queue->store, all, sweep_id, pending, error);
    if (result == 0 && room->free_bytes < all) {
        result = host_next(queue, *sweep_id, all, &first, error);
        if (result == 0 && first.memory_bytes > room->free_bytes) {
            result = host_pass(queue, room, first.run_id, now, error);
            result = result ? result : store_next_sweep(queue->store, room->free_bytes, sweep_id, pending, error);
        }
    }
    return result == STORE_NONE ? QUEUE_EMPTY : result;
}

/* ---- threads ---- */

int host_threads(Queue *queue, const HostRoom *room, const PendingRun *run, int64_t *threads, Error *error) {
    int64_t others = 0;
    *threads = room_threads(&run->run, room->free_cores, 0);
    if (*threads <= 1)
        return 0;
    /* It is pending itself still. */
    double left = room->free_bytes - run->memory_bytes;
    if (store_fitting_count(queue->store, left, room->free_cores + 1, &others, error) < 0)
        return -1;
    others -= run->memory_bytes <= left;
    *threads = room_threads(&run->run, room->free_cores, others > 0 ? others : 0);
    return 0;
}

/* ---- why runs wait ---- */

static void describe_on(const HostRoom *room, bool own, double needed, char out[RECORD_TEXT_MAX]) {
    room_describe(&room->host->room, room->workers, room->count, needed, own ? "this machine" : room->host->name, out);
}

int queue_waiting(Queue *queue, double needed, char out[RECORD_TEXT_MAX], Error *error) {
    static HostRoom room;
    RoomVerdict best = ROOM_NEVER;
    double best_bytes = -1;
    *out = '\0';
    for (size_t i = 0; i < queue->host_count; i++) {
        const QueueHost *host = &queue->hosts[i];
        if (host_read(queue, host, &room, error) < 0)
            return -1;
        RoomVerdict verdict = room_check(&host->room, room.workers, room.count, needed);
        if (verdict == ROOM_FITS) {
            *out = '\0';
            return 0;
        }
        /* The host where it will fit, else the largest. */
        if (verdict < best || (verdict == best && host->room.memory_bytes > best_bytes)) {
            best = verdict;
            best_bytes = host->room.memory_bytes;
            describe_on(&room, !strcmp(host->name, queue->settings.host), needed, out);
        }
    }
    return 0;
}

/* The most that any host has; STORE_ANY_BYTES where one does not say, or none has asked. */
static double largest_room(const Queue *queue) {
    double most = 0;
    for (size_t i = 0; i < queue->host_count; i++) {
        double has = queue->hosts[i].room.memory_bytes;
        most = has <= 0 ? STORE_ANY_BYTES : has > most ? has : most;
    }
    return most > 0 ? most : STORE_ANY_BYTES;
}

int queue_sweep_waiting(Queue *queue, int64_t sweep_id, char out[RECORD_TEXT_MAX], int64_t *oversized, Error *error) {
    int64_t run_id;
    double needed;
    char reason[RECORD_TEXT_MAX];
    *out = '\0';
    *oversized = 0;
    int result = store_largest_pending(queue->store, sweep_id, &run_id, &needed, error);
    if (result != 0)
        return result < 0 ? -1 : 0;
    if (queue_waiting(queue, needed, reason, error) < 0)
        return -1;
    if (*reason)
        snprintf(out, RECORD_TEXT_MAX, "run %lld %.220s", (long long)run_id, reason);
    return *reason ? store_larger_count(queue->store, sweep_id, largest_room(queue), oversized, error) : 0;
}
