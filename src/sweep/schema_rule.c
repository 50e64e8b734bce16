#include "schema.h"

#include <stdio.h>
#include <string.h>

static void append_range(const Field *field, Buffer *out) {
    const char *low = field->low_open ? "above " : field->high_open ? "of at least " : "from ";
    const char *high = field->high_open ? " and below " : field->low_open ? " and at most " : " to ";
    buffer_printf(out, "a number %s", low);
    buffer_append_double(out, field->low);
    buffer_append_text(out, high);
    buffer_append_double(out, field->high);
}

static void append_choices(const Field *field, Buffer *out) {
    if (field->choices[1] && field->type != TYPE_CHOICES)
        buffer_append_text(out, "one of ");
    if (field->type == TYPE_CHOICES)
        buffer_append_text(out, "a list of one or more of ");
    for (size_t i = 0; field->choices[i]; i++)
        buffer_printf(out, "%s%s", i ? ", " : "", field->choices[i]);
}

void schema_expected(const Field *field, Buffer *out) {
    switch (field->type) {
    case TYPE_INTEGER:
        if (field->least == field->most)
            buffer_printf(out, "%lld", (long long)field->least);
        else
            buffer_printf(out, "an integer from %lld to %lld", (long long)field->least, (long long)field->most);
        break;
    case TYPE_NUMBER:
        append_range(field, out);
        break;
    case TYPE_SPAN:
        buffer_append_text(out, "a list of two numbers, from and to, each from ");
        buffer_append_double(out, field->low);
        buffer_append_text(out, " to ");
        buffer_append_double(out, field->high);
        break;
    case TYPE_CHOICE:
    case TYPE_CHOICES:
        append_choices(field, out);
        break;
    case TYPE_NAME:
        buffer_printf(out, "a name of at most %d letters, digits, '-', '_' and '.', the first a letter or digit", SWEEP_NAME_MAX - 1);
        break;
    case TYPE_METRIC:
        buffer_append_text(out, "a metric that the runs measure");
        break;
    case TYPE_DIGEST:
        buffer_printf(out, "%d lower-case hexadecimal digits", SHA256_HEX_MAX - 1);
        break;
    case TYPE_CELLS:
        buffer_append_text(out, "a list of cells, each a map of grid keys");
        break;
    case TYPE_AXES:
        buffer_append_text(out, "a map of train keys, each with its values");
        break;
    case TYPE_TRANSFERS:
        buffer_printf(out, "a list of 1 to %d maps", RUN_TRANSFERS_MAX);
        break;
    case TYPE_COMMAND:
        buffer_printf(out, "a list of 1 to %d texts, %d bytes together", PROGRAM_ARGUMENTS_MAX, PROGRAM_COMMAND_MAX - 1);
        break;
    case TYPE_EXPRESSION:
        buffer_printf(out, "arithmetic in at most %d characters", PROGRAM_EXPRESSION_MAX - 1);
        break;
    case TYPE_DIRECTORY:
        buffer_printf(out, "an absolute path of at most %d bytes", PROGRAM_DIRECTORY_MAX - 1);
        break;
    case TYPE_PACK:
        buffer_printf(out, "the path of a packed file, at most %d bytes", RUN_FILE_MAX - 1);
        break;
    case TYPE_FILE:
        buffer_printf(out, "the path of a file, at most %d bytes", RUN_FILE_MAX - 1);
        break;
    }
}

size_t schema_text_capacity(const Field *field) {
    static const size_t capacities[] = {[TYPE_NAME] = SWEEP_NAME_MAX,
                                        [TYPE_METRIC] = SWEEP_NAME_MAX,
                                        [TYPE_DIGEST] = SHA256_HEX_MAX,
                                        [TYPE_COMMAND] = PROGRAM_COMMAND_MAX,
                                        [TYPE_EXPRESSION] = PROGRAM_EXPRESSION_MAX,
                                        [TYPE_DIRECTORY] = PROGRAM_DIRECTORY_MAX,
                                        [TYPE_FILE] = RUN_FILE_MAX,
                                        [TYPE_PACK] = RUN_FILE_MAX};
    return capacities[field->type];
}

bool schema_applies(const Field *field, const Run *run) {
    if (!field->chosen)
        return true;
    return field->chosen >> value_load(&schema_fields[field->chooser], run).choice & 1U;
}

/* What stands beside the chooser: the next part of each path below its group, once. */
void schema_absence(const Field *field, const Run *run, Buffer *out) {
    const Field *chooser = &schema_fields[field->chooser];
    size_t group = (size_t)(strrchr(chooser->file, '.') + 1 - chooser->file);
    if (strncmp(field->file, chooser->file, group) != 0) {
        buffer_printf(out, "%s has no %s", chooser->choices[value_load(chooser, run).choice], field->file);
        return;
    }
    const char *separator = "", *last = "";
    buffer_printf(out, "%s has no %.*s; expected one of ", chooser->choices[value_load(chooser, run).choice],
                  (int)strcspn(field->file + group, "."), field->file + group);
    for (size_t i = 0; i < FIELD_RULE_VALUE; i++) {
        const Field *other = &schema_fields[i];
        if (!other->file || !schema_applies(other, run) || strncmp(other->file, chooser->file, group) != 0)
            continue;
        const char *name = other->file + group;
        size_t length = strcspn(name, ".");
        if (strcspn(last, ".") != length || strncmp(last, name, length) != 0)
            buffer_printf(out, "%s%.*s", separator, (int)length, name);
        separator = ", ";
        last = name;
    }
}

static void fill_ratio(Augmentation *augmentation) {
    if (augmentation->scale[0] > 0 && !(augmentation->ratio[0] > 0)) {
        augmentation->ratio[0] = 3.0 / 4;
        augmentation->ratio[1] = 4.0 / 3;
    }
}

void schema_fill_kinds(Run *run, const bool given[FIELDS]) {
    fill_ratio(&run->augmentation);
    fill_ratio(&run->test.augmentation);
    static const FieldId by_optimizer[] = {FIELD_BETA1, FIELD_BETA2, FIELD_EPSILON, FIELD_MOMENTUM};
    Run standard = {0};
    optimizer_settings_default(run->optimizer.kind, &standard.optimizer);
    for (size_t i = 0; i < sizeof by_optimizer / sizeof *by_optimizer; i++) {
        const Field *field = &schema_fields[by_optimizer[i]];
        if (!given[by_optimizer[i]] || !schema_applies(field, run))
            value_store(field, value_load(field, &standard), run);
    }
    const Field *decay = &schema_fields[FIELD_DECAY];
    Value value = {0};
    if (!schema_applies(decay, run))
        run->schedule.decay = 0;
    else if (!given[FIELD_DECAY] && value_read(decay, decay->standard, &value))
        run->schedule.decay = value.number;
}

void schema_fill(Draft *draft, const bool given[FIELDS]) {
    for (size_t i = 0; i < FIELD_RULE_VALUE; i++) {
        const Field *field = &schema_fields[i];
        bool scalar = field->type == TYPE_INTEGER || field->type == TYPE_NUMBER || field->type == TYPE_CHOICE;
        if (given[i] || !field->standard || !scalar)
            continue;
        Value value;
        if (!value_read(field, field->standard, &value) || !schema_applies(field, &draft->run))
            memset(&value, 0, sizeof value);
        value_store(field, value, draft);
    }
    if (!given[FIELD_FIT_METRIC])
        text_copy(draft->fit.metric, sizeof draft->fit.metric, schema_fields[FIELD_FIT_METRIC].standard);
    if (!given[FIELD_FIT_SELECT]) {
        const char *dot = strrchr(draft->fit.metric, '.'), *last = dot ? dot + 1 : draft->fit.metric, *kind = strchr(last, '_');
        snprintf(draft->fit.select, sizeof draft->fit.select, "%.*svalidation%s", (int)(last - draft->fit.metric), draft->fit.metric,
                 kind ? kind : "_error");
    }
    if (!given[FIELD_FIT_METHODS])
        draft->fit.methods = SWEEP_FIT_PARAMETRIC | SWEEP_FIT_ISOFLOP;
}

/* Edits (a letter more, less, or other; two swapped) between two short words. */
enum { WORD_MAX = 48 };

static size_t word_distance(const char *a, const char *b) {
    size_t m = strlen(a), n = strlen(b);
    size_t rows[3][WORD_MAX + 1];
    if (m > WORD_MAX || n > WORD_MAX)
        return WORD_MAX;
    for (size_t j = 0; j <= n; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= m; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *higher = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
            best = above[j] + 1 < best ? above[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && higher[j - 2] + 1 < best)
                best = higher[j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[m % 3][n];
}

const char *schema_nearest(const char *word, const char *const *candidates, size_t count) {
    const char *nearest = NULL;
    size_t best = strlen(word) / 3 + 2;
    for (size_t i = 0; i < count; i++) {
        size_t distance = word_distance(word, candidates[i]);
        if (distance < best && distance < strlen(candidates[i])) {
            best = distance;
            nearest = candidates[i];
        }
    }
    return nearest;
}

static int check_crop(const Augmentation *augmentation, const char *key, char *reason, size_t capacity) {
    bool scaled = augmentation->scale[0] > 0, both = augmentation->padding && scaled;
    if (!both && (scaled || !(augmentation->ratio[0] > 0)))
        return 0;
    snprintf(reason, capacity, both ? "%s has padding and scale; expected one of them" : "%s has ratio, but no scale; expected both", key);
    return 1;
}

static int check_file(const RunFile *file, const char *key, char *reason, size_t capacity) {
    if ((*file->path == '\0') == (*file->digest == '\0'))
        return 0;
    snprintf(reason, capacity, "%s has a file or a digest alone; expected both, or neither", key);
    return 1;
}

static int check_test(const Run *run, char *reason, size_t capacity) {
    const TestSettings *test = &run->test;
    bool varied = augment_is_on(&test->augmentation);
    if (check_crop(&test->augmentation, "test.crop", reason, capacity) != 0)
        return 1;
    if (test->crops > 0 && !varied)
        snprintf(reason, capacity, "test.crops is %lld, but there is neither crop nor flip: each would be the image itself",
                 (long long)test->crops);
    else if (test->crops == 0 && (varied || test->mean != MEAN_LOGITS))
        snprintf(reason, capacity, "test has %s, but no crops; expected how many", varied ? "crop or flip" : "mean");
    else
        return 0;
    return 1;
}

int schema_check_run(const Run *run, char *reason, size_t capacity) {
    if (check_crop(&run->augmentation, "train.augment.crop", reason, capacity) != 0 || check_test(run, reason, capacity) != 0 ||
        check_file(&run->test.real, "test.real", reason, capacity) != 0 || check_file(&run->init, "train.init", reason, capacity) != 0)
        return 1;
    if (run->init_head == HEAD_FRESH && !*run->init.path) {
        snprintf(reason, capacity, "train.init_head is fresh, but there is no train.init, and every head is; expected both");
        return 1;
    }
    /* A step's FLOPs are counted in 64 bits; 32 is well above what a multiply-add costs in a step with everything counted. */
    double step = 32.0 * (double)run->batch * ((double)arch_params_total(&run->model) + (double)run->model.inputs);
    if (step > 9.0e18 && run->trainer != TRAINER_EXTERNAL) {
        snprintf(reason, capacity, "a step of %lld examples through %lld parameters is more FLOPs than can be counted",
                 (long long)run->batch, (long long)arch_params_total(&run->model));
        return 1;
    }
    if ((run->simulation.best_lr > 0) != (run->simulation.curvature > 0)) {
        snprintf(reason, capacity, "trainer.tuning.lr has best or curvature alone; expected both, or neither");
        return 1;
    }
    if (program_check(run, reason, capacity) != 0)
        return 1;
    for (size_t i = 0; i < run->transfer_count; i++) {
        Run own;
        run_transfer(run, i, &own);
        if (schema_check_run(&own, reason, capacity) != 0)
            return 1;
    }
    const Dataset *data = *run->data_pack ? NULL : sweep_dataset_find(run->data_name);
    if (data && run->examples > data->examples - run->validation) {
        snprintf(reason, capacity, "%lld examples are more than %s's %lld less %lld for validation", (long long)run->examples, data->name,
                 (long long)data->examples, (long long)run->validation);
        return 1;
    }
    return 0;
}

int schema_check_schedule(const Run *run, char *reason, size_t capacity) {
    double both = run->schedule.warmup + run->schedule.decay;
    if (run->schedule.kind != SCHEDULE_WSD || both <= 1)
        return 0;
    snprintf(reason, capacity, "a warm-up of %g and a decay of %g of the run overlap; expected at most 1 together", run->schedule.warmup,
             run->schedule.decay);
    return 1;
}
