/* Submitting a sweep. A sweep of 100,000 runs is one transaction of a few prepared statements per run. Each submit has a number within its
 * sweep: rows of sweep_runs that still carry an older one afterwards are cells that the file no longer names. */
#include "private.h"

#include <stdio.h>

typedef struct Submission {
    Store *store;
    int64_t sweep_id, number, position;
    double now;
    Buffer spec;
    SubmitRecord *record;
} Submission;

static int submit_sweep_row(Submission *submission, const Sweep *sweep, const char *file, size_t size, Error *error) {
    Store *store = submission->store;
    char digest[SHA256_HEX_MAX];
    if (sha256_hex(file, size, digest, error) < 0)
        return -1;
    if (statement_run(
            store, error, NULL,
            "INSERT INTO sweeps (name, data, digest, state, submitted_at, submission) VALUES (?1, ?2, ?3, 'active', ?4, 1) "
            "ON CONFLICT (name) DO UPDATE SET data = ?2, digest = ?3, state = 'active', submitted_at = ?4, submission = submission + 1",
            VALUES(text(sweep_name(sweep)), text(sweep_data_name(sweep)), text(digest), real(submission->now))) < 0)
        return -1;
    if (statement_integer(store, error, &submission->sweep_id, "SELECT id FROM sweeps WHERE name = ?", VALUES(text(sweep_name(sweep)))) !=
            0 ||
        statement_integer(store, error, &submission->number, "SELECT submission FROM sweeps WHERE id = ?",
                          VALUES(integer(submission->sweep_id))) != 0)
        return -1;
    return statement_run(store, error, NULL,
                         "INSERT INTO sweep_files (sweep_id, text) VALUES (?1, ?2) ON CONFLICT (sweep_id) DO UPDATE SET text = ?2",
                         VALUES(integer(submission->sweep_id), bytes(file, size)));
}

static int submit_insert_run(Submission *submission, const Run *run, const char *key, int64_t *added, Error *error) {
    char model[ARCH_NAME_MAX];
    Flops flops = run_flops(run);
    run_model(run, model);
    return statement_run(
        submission->store, error, added,
        "INSERT INTO runs (key, spec, model, kind, depth, width, examples, seed, lr, params, params_body, steps, flops_exact, "
        "flops_gemm, flops_paper, flops_6nd, tensor_bytes, memory_bytes, gpus, flops_eval, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
        "?, ?, ?, ?, ?, ?17, coalesce((SELECT memory_bytes FROM memory_peaks WHERE tensor_bytes = ?17), ?18), ?19, ?20, 'pending') "
        "ON CONFLICT (key) DO NOTHING",
        VALUES(text(key), text(submission->spec.data), text(model),
               text(run->trainer == TRAINER_EXTERNAL ? "external" : model_kind_text(run->model.kind)), integer(run->model.depth),
               integer(run->model.width), integer(run->examples), integer((int64_t)run->seed), real(run->optimizer.lr),
               integer(run_params(run)), integer(run_params_body(run)), integer(run_steps(run)), real(flops.exact), real(flops.gemm),
               real(flops.paper), real(flops.nd6), integer((int64_t)run_tensor_bytes(run)), integer((int64_t)run_memory_bytes(run)),
               integer(run->resources.gpus), real(run_eval_flops(run))));
}

/* An external program's directory is no part of the key: whoever shares results of another's is to know. */
static int submit_compare_directory(Submission *submission, const Run *run, int64_t run_id, Error *error) {
    SubmitRecord *record = submission->record;
    sqlite3_stmt *row;
    if (run->trainer != TRAINER_EXTERNAL)
        return 0;
    if (statement_query(submission->store, error, &row,
                        "SELECT coalesce(json_extract(spec, '$.trainer.directory'), '') AS own FROM runs "
                        "WHERE id = ?1 AND state IN ('running', 'done', 'diverged') AND own <> ?2",
                        VALUES(integer(run_id), text(run->program.directory))) < 0)
        return -1;
    int result = statement_next(submission->store, row, error);
    if (result <= 0)
        return result;
    if (record->elsewhere++ == 0) {
        column_copy(row, 0, record->elsewhere_directory, sizeof record->elsewhere_directory);
        text_copy(record->directory, sizeof record->directory, run->program.directory);
    }
    statement_reset(row);
    return 0;
}

/* The run is in the store: one that was cancelled is wanted again, and what it may take is as this file says. One that has its result
 * keeps the text that it was trained by. */
static int submit_share_run(Submission *submission, const Run *run, const char *key, int64_t *run_id, Error *error) {
    if (statement_integer(submission->store, error, run_id, "SELECT id FROM runs WHERE key = ?", VALUES(text(key))) != 0 ||
        submit_compare_directory(submission, run, *run_id, error) < 0 ||
        statement_run(submission->store, error, NULL,
                      "UPDATE runs SET spec = ?2, tensor_bytes = ?3, memory_bytes = coalesce((SELECT memory_bytes FROM memory_peaks WHERE "
                      "tensor_bytes = ?3), ?4), gpus = ?5 WHERE id = ?1 AND spec <> ?2 "
                      "AND state NOT IN ('done', 'diverged')",
                      VALUES(integer(*run_id), text(submission->spec.data), integer((int64_t)run_tensor_bytes(run)),
                             integer((int64_t)run_memory_bytes(run)), integer(run->resources.gpus))) < 0)
        return -1;
    return statement_run(submission->store, error, NULL,
                         "UPDATE runs SET state = iif(state = 'cancelled', 'pending', state), cancelling = 0 "
                         "WHERE id = ? AND (state = 'cancelled' OR cancelling = 1)",
                         VALUES(integer(*run_id)));
}

static int submit_run(Submission *submission, const Run *run, Error *error) {
    Store *store = submission->store;
    char key[RUN_KEY_MAX];
    int64_t added = 0, run_id = 0;
    if (run_identify(run, &submission->spec, key, error) < 0 || submit_insert_run(submission, run, key, &added, error) < 0)
        return -1;
    if (added > 0)
        run_id = sqlite3_last_insert_rowid(store->db);
    else if (submit_share_run(submission, run, key, &run_id, error) < 0)
        return -1;
    submission->position++;
    submission->record->runs++;
    submission->record->added += added > 0;
    submission->record->shared += added == 0;
    return statement_run(
        store, error, NULL,
        "INSERT INTO sweep_runs (sweep_id, run_id, position, submission, state, flops_exact, memory_bytes, gpus) "
        "SELECT ?1, id, ?3, ?4, state, flops_exact, memory_bytes, gpus FROM runs WHERE id = ?2 "
        "ON CONFLICT (sweep_id, run_id) DO UPDATE SET position = ?3, submission = ?4",
        VALUES(integer(submission->sweep_id), integer(run_id), integer(submission->position), integer(submission->number)));
}

/* Runs that are under way are left to the queue, which drops those that no sweep has any more. */
static int submit_remove_left(Submission *submission, Error *error) {
    Store *store = submission->store;
    if (statement_run(store, error, NULL,
                      "UPDATE runs SET state = 'cancelled', ended_at = ?3 WHERE state = 'pending' "
                      "AND id IN (SELECT run_id FROM sweep_runs WHERE sweep_id = ?1 AND submission <> ?2) "
                      "AND NOT EXISTS (SELECT 1 FROM sweep_runs o JOIN sweeps s ON s.id = o.sweep_id "
                      "WHERE o.run_id = runs.id AND o.sweep_id <> ?1 AND s.state <> 'cancelled')",
                      VALUES(integer(submission->sweep_id), integer(submission->number), real(submission->now))) < 0)
        return -1;
    return statement_run(store, error, &submission->record->removed, "DELETE FROM sweep_runs WHERE sweep_id = ?1 AND submission <> ?2",
                         VALUES(integer(submission->sweep_id), integer(submission->number)));
}

/* From the runs themselves: the one moment at which that is cheap beside the rest. */
static int submit_count(Submission *submission, Error *error) {
    return statement_run(
        submission->store, error, NULL,
        "UPDATE sweeps SET (runs, pending, running, done, diverged, failed, cancelled, planned_flops, done_flops) = "
        "(SELECT count(*), coalesce(sum(r.state = 'pending'), 0), coalesce(sum(r.state = 'running'), 0), coalesce(sum(r.state = 'done'), "
        "0), "
        "coalesce(sum(r.state = 'diverged'), 0), coalesce(sum(r.state = 'failed'), 0), coalesce(sum(r.state = 'cancelled'), 0), "
        "total(r.due_flops), total(r.done_flops) "
        "FROM sweep_runs s JOIN runs r ON r.id = s.run_id WHERE s.sweep_id = ?1) WHERE id = ?1",
        VALUES(integer(submission->sweep_id)));
}

static int submit_all(Submission *submission, const Sweep *sweep, const char *file, size_t size, Error *error) {
    if (submit_sweep_row(submission, sweep, file, size, error) < 0)
        return -1;
    SweepCursor cursor;
    Run run;
    sweep_cursor_init(&cursor, sweep);
    while (sweep_cursor_next(&cursor, &run))
        if (submit_run(submission, &run, error) < 0)
            return -1;
    if (submit_remove_left(submission, error) < 0 || submit_count(submission, error) < 0)
        return -1;
    char detail[128];
    snprintf(detail, sizeof detail, "%lld runs: %lld new, %lld shared, %lld removed", (long long)submission->record->runs,
             (long long)submission->record->added, (long long)submission->record->shared, (long long)submission->record->removed);
    submission->record->sweep_id = submission->sweep_id;
    return store_event_add(submission->store, submission->now, "submitted", submission->sweep_id, 0, 0, detail, error);
}

int store_sweep_submit(Store *store, const Sweep *sweep, const char *file, size_t size, double now, SubmitRecord *out, Error *error) {
    *out = (SubmitRecord){0};
    text_copy(out->name, sizeof out->name, sweep_name(sweep));
    if (sweep_check_data(sweep, out->name, error))
        return -1;
    Submission submission = {.store = store, .now = now, .record = out};
    if (store_transaction_begin(store, error) < 0)
        return -1;
    buffer_init(&submission.spec, RUN_SPEC_MAX);
    int result = submit_all(&submission, sweep, file, size, error);
    buffer_deinit(&submission.spec);
    result = store_transaction_end(store, result, error);
    sqlite3_db_release_memory(store->db);
    return result;
}
