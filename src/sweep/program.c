/* What a sweep file says of an external program: its command's placeholders, and whether its expressions come to something. */
#include "schema.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const double LARGEST = 9.0e18; /* that a 64-bit count holds */

/* What the worker knows and a run does not. */
static const char *const places[] = {"spec", "data", "run_dir", "threads", "gpus", "steps"};

static int refuse(char *reason, size_t capacity, const char *what, const char *name) {
    if (reason)
        snprintf(reason, capacity, "%s%.40s%s", what, name, *name ? "\"" : "");
    return 1;
}

static int expand_name(const char **at, CommandValue value, void *context, Buffer *out, char *reason, size_t capacity) {
    char name[SWEEP_NAME_MAX];
    size_t size = strspn(*at + 1, "abcdefghijklmnopqrstuvwxyz_0123456789");
    if ((*at)[size + 1] != '}' || size == 0 || size >= sizeof name)
        return refuse(reason, capacity, "found a brace that opens no {name}; write {{ and }} for braces", "");
    memcpy(name, *at + 1, size);
    name[size] = '\0';
    *at += size + 2;
    if (value(context, name, out))
        return 0;
    return refuse(
        reason, capacity,
        "expected spec, data, run_dir, threads, gpus, steps, depth, width, expansion, inputs, classes, examples, seed or a key of train in "
        "braces, found \"",
        name);
}

int command_expand(const char *argument, CommandValue value, void *context, Buffer *out, char *reason, size_t capacity) {
    for (const char *at = argument; *at;) {
        bool brace = *at == '{' || *at == '}';
        if (brace && at[1] != *at) {
            int result = *at == '{' ? expand_name(&at, value, context, out, reason, capacity)
                                    : refuse(reason, capacity, "found a brace that closes no {name}; write {{ and }} for braces", "");
            if (result)
                return result;
            continue;
        }
        buffer_append(out, at, 1);
        at += brace ? 2 : 1;
    }
    return 0;
}

/* A run of any trainer has the settings; which of them apply to its optimizer and schedule is not known while the file is read, and a
 * setting that does not apply is told when the run begins. */
static bool is_known(void *context, const char *name, Buffer *out) {
    (void)context;
    Run run = {.trainer = TRAINER_EXTERNAL, .optimizer.kind = OPTIMIZER_ADAMW, .schedule.kind = SCHEDULE_WSD};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (!strcmp(name, places[i]))
            return true;
    if (run_append_setting(&run, name, out))
        return true;
    run.optimizer.kind = OPTIMIZER_SGD;
    return run_append_setting(&run, name, out);
}

int command_check(const char *argument, char *reason, size_t capacity) {
    Buffer ignored;
    buffer_init(&ignored, 16 * PROGRAM_COMMAND_MAX);
    int result = command_expand(argument, is_known, NULL, &ignored, reason, capacity);
    buffer_deinit(&ignored);
    return result;
}

int program_check(const Run *run, char *reason, size_t capacity) {
    const struct {
        const char *key, *text;
        double least;
    } expressions[] = {{"params", run->program.params, 1}, {"flops", run->program.flops, 1}, {"steps", run->program.steps, 1}};
    if (run->trainer != TRAINER_EXTERNAL)
        return 0;
    for (size_t i = 0; i < sizeof expressions / sizeof *expressions; i++) {
        const char *text = expressions[i].text;
        double value = *text ? expression_value(text, run) : 1;
        double most = i == 1 ? 1e300 : LARGEST; /* FLOPs are counted in doubles */
        if (value >= expressions[i].least && value <= most)
            continue;
        snprintf(reason, capacity, "%s comes to %g at depth %" PRId64 ", width %" PRId64 ", %" PRId64 " examples; expected 1 or more",
                 expressions[i].key, value, run->model.depth, run->model.width, run->examples);
        return 1;
    }
    return 0;
}
