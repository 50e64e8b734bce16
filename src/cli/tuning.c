#include "tuning.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- choosing ---- */

static FitCandidate candidate_of(const StudyRun *run) {
    return (FitCandidate){.cell = (int64_t)run->cell, .setting = run->tuned, .selection = run->state == RUN_DONE ? run->selection : NAN};
}

static int choose(Study *study, Error *error) {
    FitCandidate *candidates = calloc(study->run_count + 1, sizeof *candidates);
    bool *keep = calloc(study->run_count + 1, sizeof *keep);
    int result = candidates && keep ? 0 : error_set(error, "out of memory");
    for (size_t i = 0; i < study->run_count && !result; i++)
        candidates[i] = candidate_of(&study->runs[i]);
    if (!result)
        result = fit_tune_select(candidates, study->run_count, keep, error);
    for (size_t i = 0; i < study->run_count && !result; i++) {
        StudyRun *run = &study->runs[i];
        run->outdone = run->state == RUN_DONE && !keep[i];
        run->chosen = keep[i];
        study->left_out.outdone += run->outdone;
    }
    free(candidates);
    free(keep);
    return result;
}

/* ---- counting ---- */

static int add_win(Tuning *tuning, const TunedValue *value, Error *error) {
    size_t i = 0;
    while (i < tuning->count && (strcmp(tuning->wins[i].value.name, value->name) != 0 || tuning->wins[i].value.index != value->index))
        i++;
    if (i == tuning->count) {
        TunedWin *wins = reallocarray(tuning->wins, tuning->count + 1, sizeof *wins);
        if (!wins)
            return error_set(error, "out of memory");
        tuning->wins = wins;
        tuning->wins[tuning->count++] = (TunedWin){.value = *value};
    }
    TunedWin *win = &tuning->wins[i];
    win->cells++;
    return 0;
}

static int compare_wins(const void *left, const void *right) {
    const TunedWin *a = left, *b = right;
    int order = strcmp(a->value.name, b->value.name);
    return order ? order : (a->value.index > b->value.index) - (a->value.index < b->value.index);
}

/* The file's runs in turn, beside the study's, which --where may have thinned out. */
static int count_wins(Study *study, Error *error) {
    SweepCursor cursor;
    Run run;
    size_t keys = sweep_tuned_count(study->file), at = 0;
    bool *seen = calloc(study->run_count + 1, sizeof *seen); /* cells that were counted: several seeds win together */
    int result = seen ? 0 : error_set(error, "out of memory");
    sweep_cursor_init(&cursor, study->file);
    for (size_t position = 0; at < study->run_count && !result && sweep_cursor_next(&cursor, &run); position++) {
        const StudyRun *mine = &study->runs[at];
        if (mine->position != position)
            continue;
        at++;
        if (!mine->chosen || seen[mine->cell])
            continue;
        seen[mine->cell] = true;
        study->tuning.cells++;
        for (size_t key = 0; key < keys && !result; key++) {
            TunedValue value;
            sweep_tuned_value(study->file, &run, key, &value);
            result = add_win(&study->tuning, &value, error);
        }
    }
    if (study->tuning.count)
        qsort(study->tuning.wins, study->tuning.count, sizeof *study->tuning.wins, compare_wins);
    free(seen);
    return result;
}

int tuning_select(Study *study, Error *error) {
    if (!study->file || sweep_tuned_count(study->file) == 0)
        return 0;
    int result = choose(study, error);
    return result ? result : count_wins(study, error);
}

/* ---- telling ---- */

/* Beyond what was tried there is more that the key allows. */
static bool at_edge(const TunedWin *win) {
    const TunedValue *value = &win->value;
    bool low = value->index == 0 && !value->lowest, high = value->index + 1 == value->count && !value->highest;
    return value->ordered && value->count > 1 && (low || high);
}

void tuning_warn(const Study *study, FitWarnings *out) {
    for (size_t i = 0; i < study->tuning.count; i++) {
        const TunedWin *win = &study->tuning.wins[i];
        bool lowest = win->value.index == 0;
        if (at_edge(win))
            fit_warn(out, "tuned_edge", "%s = %s, the %s that was tried, won in %lld of %lld cells: try %s ones", win->value.name,
                     win->value.text, lowest ? "lowest" : "highest", (long long)win->cells, (long long)study->tuning.cells,
                     lowest ? "lower" : "higher");
    }
}

void tuning_encode(const Study *study, Buffer *out) {
    if (study->tuning.count == 0)
        return;
    buffer_append_text(out, ",\"tuned\":{\"select\":");
    buffer_append_json(out, study->options.select);
    buffer_printf(out, ",\"cells\":%lld,\"values\":[", (long long)study->tuning.cells);
    for (size_t i = 0; i < study->tuning.count; i++) {
        const TunedWin *win = &study->tuning.wins[i];
        buffer_printf(out, "%s{\"key\":\"%s\",\"value\":", i ? "," : "", win->value.name);
        buffer_append_json(out, win->value.text);
        buffer_printf(out, ",\"won\":%lld,\"edge\":%s}", (long long)win->cells, at_edge(win) ? "true" : "false");
    }
    buffer_append_text(out, "]}");
}

void tuning_print(const Study *study, const Cli *cli) {
    const Tuning *tuning = &study->tuning;
    for (size_t first = 0, end; first < tuning->count; first = end) {
        char text[512];
        const char *name = tuning->wins[first].value.name;
        size_t used = (size_t)snprintf(text, sizeof text, "Tuned %s, by %s:", name, study->options.select);
        for (end = first; end < tuning->count && !strcmp(tuning->wins[end].value.name, name); end++)
            if (used < sizeof text)
                used += (size_t)snprintf(text + used, sizeof text - used, "%s %s won in %lld of %lld cells", end > first ? "," : "",
                                         tuning->wins[end].value.text, (long long)tuning->wins[end].cells, (long long)tuning->cells);
        cli_say(cli, "%s.", text);
    }
}
