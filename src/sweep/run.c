#include "schema.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *trainer_kind_text(TrainerKind kind) {
    return schema_fields[FIELD_TRAINER].choices[kind];
}

Training run_training(const Run *run) {
    return (Training){
        .examples = run->examples,
        .epochs = run->epochs,
        .batch = run->batch,
        .optimizer = optimizer_flops(run->optimizer.kind),
    };
}

int64_t run_params(const Run *run) {
    static const double most = 0x1p62; /* of widths that are tried alone, an expression has no bound */
    if (run->trainer != TRAINER_EXTERNAL)
        return arch_params_total(&run->model);
    return *run->program.params ? llround(fmin(expression_value(run->program.params, run), most)) : 0;
}

int64_t run_params_body(const Run *run) {
    return run->trainer == TRAINER_EXTERNAL ? 0 : arch_params_body(&run->model);
}

int64_t run_steps(const Run *run) {
    Training training = run_training(run);
    return *run->program.steps ? llround(expression_value(run->program.steps, run)) : arch_steps(&training);
}

void run_model(const Run *run, char out[ARCH_NAME_MAX]) {
    if (run->trainer == TRAINER_EXTERNAL)
        snprintf(out, ARCH_NAME_MAX, "%.36s_%lld-Wi_%lld", run->program.name, (long long)run->model.depth, (long long)run->model.width);
    else
        arch_name(&run->model, out);
}

Flops run_flops(const Run *run) {
    if (run->trainer == TRAINER_EXTERNAL)
        return (Flops){.exact = *run->program.flops ? expression_value(run->program.flops, run) : 0,
                       .nd6 = 6 * (double)run_params(run) * (double)run->examples * (double)run->epochs};
    Training training = run_training(run);
    return arch_training_flops(&run->model, &training);
}

size_t run_evaluation_steps(const Run *run, int64_t *steps, size_t capacity) {
    Training training = run_training(run);
    int64_t first = arch_steps_per_epoch(&training), last = run_steps(run);
    size_t points = run->evaluations < 1 ? 1 : (size_t)run->evaluations;
    if (points > capacity)
        points = capacity;
    size_t count = 0;
    for (size_t i = 0; i < points; i++) {
        double share = points > 1 ? (double)i / (double)(points - 1) : 1.0;
        int64_t step = llround((double)first * pow((double)last / (double)first, share));
        if (i == points - 1)
            step = last;
        if (count == 0 || step > steps[count - 1])
            steps[count++] = step;
    }
    return count;
}

/* ---- the canonical text ---- */

static double tensor_bytes(const Run *run, bool bf16) {
    const Training training = run_training(run);
    int64_t batch = arch_batch(&training);
    bool keeps_outputs = run->test.crops > 0 || *run->test.real.path;
    double outputs = keeps_outputs ? (double)batch * (double)run->model.classes * sizeof(double) : 0;
    return arch_parameter_bytes(&run->model, optimizer_states(run->optimizer.kind), bf16) + arch_batch_bytes(&run->model, batch, bf16) +
           outputs;
}

/* While an item is trained, the run's own model stays where it is. */
static double largest_transfer_bytes(const Run *run, bool bf16) {
    double largest = 0;
    for (size_t i = 0; i < run->transfer_count; i++) {
        Run own;
        run_transfer(run, i, &own);
        double features = run_transfer_keeps_features(run, i) ? (double)own.examples * (double)own.model.width * sizeof(float) : 0;
        largest = fmax(largest, tensor_bytes(&own, bf16) + features);
    }
    return largest;
}

double run_tensor_bytes(const Run *run) {
    if (run->trainer != TRAINER_BUILTIN || run->resources.memory > 0)
        return 0;
    double fp32 = tensor_bytes(run, false) + largest_transfer_bytes(run, false);
    double bf16 = tensor_bytes(run, true) + largest_transfer_bytes(run, true);
    return run->precision == PRECISION_FP32 ? fp32 : run->precision == PRECISION_BF16 || bf16 > fp32 ? bf16 : fp32;
}

double run_memory_bytes(const Run *run) {
    return run->resources.memory > 0 ? run->resources.memory : run_tensor_bytes(run) + RUN_MEMORY_MORE;
}

/* The fields of a run's JSON in the order of their paths, which is the order of keys at every level. */
static const FieldId canonical_order[] = {
    FIELD_DATA_DIGEST,  FIELD_DATA_NAME,    FIELD_DATA_PACK,
    FIELD_SUBSET_SEED,  FIELD_VALIDATION,   FIELD_EXAMPLES,
    FIELD_CLASSES,      FIELD_DEPTH,        FIELD_DROPOUT,
    FIELD_EXPANSION,    FIELD_FORM,         FIELD_INPUTS,
    FIELD_KIND,         FIELD_MODEL_NAME,   FIELD_WIDTH,
    FIELD_CPUS,         FIELD_GPUS,         FIELD_MEMORY,
    FIELD_SEED,         FIELD_TEST_PADDING, FIELD_TEST_RATIO,
    FIELD_TEST_SCALE,   FIELD_CROPS,        FIELD_TEST_FLIP,
    FIELD_MEAN,         FIELD_REAL_DIGEST,  FIELD_REAL,
    FIELD_PADDING,      FIELD_CROP_RATIO,   FIELD_CROP_SCALE,
    FIELD_FLIP,         FIELD_MIXUP,        FIELD_BATCH,
    FIELD_EPOCHS,       FIELD_EVALUATIONS,  FIELD_INIT_DIGEST,
    FIELD_INIT,         FIELD_INIT_HEAD,    FIELD_LABEL_SMOOTHING,
    FIELD_BETA1,        FIELD_BETA2,        FIELD_EPSILON,
    FIELD_LR,           FIELD_MOMENTUM,     FIELD_OPTIMIZER,
    FIELD_WEIGHT_DECAY, FIELD_PRECISION,    FIELD_DECAY,
    FIELD_SCHEDULE,     FIELD_WARMUP,       FIELD_COMMAND,
    FIELD_DIRECTORY,    FIELD_FLOPS,        FIELD_TRAINER,
    FIELD_LAW_A,        FIELD_LAW_B,        FIELD_LAW_E,
    FIELD_LAW_ALPHA,    FIELD_LAW_BETA,     FIELD_NOISE,
    FIELD_PARAMS,       FIELD_STEPS,        FIELD_TIME_LIMIT,
    FIELD_BEST_LR,      FIELD_CURVATURE,    FIELD_PROGRAM_VERSION,
    FIELD_VERSION,
};

/* Length of the groups that two paths share: "train.optimizer.lr", "train.schedule.name": "train.". */
static size_t shared_groups(const char *a, const char *b) {
    size_t shared = 0;
    for (size_t i = 0; a[i] && a[i] == b[i]; i++)
        if (a[i] == '.')
            shared = i + 1;
    return shared;
}

/* Closes the objects that `previous` was in and `path` is not, and opens those of `path`, its key included. */
static void append_key(const char *previous, const char *path, Buffer *out) {
    size_t shared = shared_groups(previous, path);
    for (const char *at = previous + shared; (at = strchr(at, '.')); at++)
        buffer_append_text(out, "}");
    buffer_append_text(out, *previous ? "," : "{");
    const char *at = path + shared;
    for (const char *dot; (dot = strchr(at, '.')); at = dot + 1) {
        buffer_append_text(out, "\"");
        buffer_append(out, at, (size_t)(dot - at));
        buffer_append_text(out, "\":{");
    }
    buffer_append_text(out, "\"");
    buffer_append_text(out, at);
    buffer_append_text(out, "\":");
}

/* A large sweep is mostly numbers to write: printf is most of the time that a hundred thousand keys take. */
static void append_integer(int64_t value, Buffer *out) {
    char text[24];
    char *at = text + sizeof text;
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        *--at = '-';
    buffer_append(out, at, (size_t)(text + sizeof text - at));
}

static void append_number(double value, Buffer *out) {
    if (value >= 0 && value < 1e6 && value == floor(value))
        append_integer((int64_t)value, out);
    else
        buffer_append_double(out, value);
}

static void append_value(const Field *field, const Run *run, Buffer *out) {
    Value value;
    switch (field->type) {
    case TYPE_INTEGER:
        append_integer(value_load(field, run).integer, out);
        break;
    case TYPE_NUMBER:
        append_number(value_load(field, run).number, out);
        break;
    case TYPE_SPAN:
        buffer_append_text(out, "[");
        append_number(value_span(field, run)[0], out);
        buffer_append_text(out, ",");
        append_number(value_span(field, run)[1], out);
        buffer_append_text(out, "]");
        break;
    case TYPE_CHOICE:
        value = value_load(field, run);
        buffer_append_json(out, field->choices[value.choice]);
        break;
    case TYPE_COMMAND:
        buffer_append_text(out, (const char *)run + field->offset);
        break;
    default:
        buffer_append_json(out, (const char *)run + field->offset);
        break;
    }
}

static bool is_unset(const Field *field, const Run *run) {
    if (schema_text_capacity(field) > 0)
        return ((const char *)run)[field->offset] == '\0';
    return field->type == TYPE_INTEGER ? value_load(field, run).integer == 0 : value_load(field, run).number == 0;
}

/* ---- settings by name ---- */

static const char *last_part(const char *path, size_t size) {
    const char *at = path + size;
    while (at > path && at[-1] != '.')
        at--;
    return at;
}

/* The path's last part, or where that says no more than "name", its group; a digest is one of its group. */
static void name_setting(const char *path, char out[SETTING_NAME_MAX]) {
    size_t size = strlen(path);
    const char *last = last_part(path, size);
    if (last > path && (!strcmp(last, "name") || !strcmp(last, "kind") || !strcmp(last, "file"))) {
        size = (size_t)(last - path) - 1;
        last = last_part(path, size);
    } else if (last > path && !strcmp(last, "digest")) {
        last = last_part(path, (size_t)(last - path) - 1);
    }
    bool test = !strncmp(path, "test.", strlen("test."));
    snprintf(out, SETTING_NAME_MAX, "%s%.*s", test ? "test." : "", (int)(path + size - last), last);
}

static bool has_setting(const Field *field, const Run *run) {
    bool may_lack = field->optional || schema_text_capacity(field) > 0;
    return schema_applies(field, run) && field != &schema_fields[FIELD_VERSION] && (field->standard || !may_lack || !is_unset(field, run));
}

bool run_setting(const Run *run, size_t index, char name[SETTING_NAME_MAX], Buffer *value) {
    Draft draft;
    size_t seen = 0;
    for (size_t i = 0; i < sizeof canonical_order / sizeof *canonical_order; i++) {
        const Field *field = &schema_fields[canonical_order[i]];
        if (!has_setting(field, run) || seen++ != index)
            continue;
        name_setting(field->run, name);
        append_value(field, run, value);
        return true;
    }
    for (size_t i = 0; i < run->transfer_count; i++) {
        const Field *field;
        transfer_give(&run->transfers[i], &draft);
        for (size_t j = 0; (field = transfer_field(j)); j++) {
            if (!has_setting(field, &draft.run) || seen++ != index)
                continue;
            char own[SETTING_NAME_MAX];
            name_setting(transfer_path(field), own);
            snprintf(name, SETTING_NAME_MAX, "%s.%s.%.40s", transfer_kind_text(run->transfers[i].kind), run->transfers[i].name, own);
            append_value(field, &draft.run, value);
            return true;
        }
    }
    return false;
}

bool run_append_setting(const Run *run, const char *name, Buffer *out) {
    for (size_t i = 0; i < sizeof canonical_order / sizeof *canonical_order; i++) {
        const Field *field = &schema_fields[canonical_order[i]];
        char own[SETTING_NAME_MAX];
        bool settable = field->type == TYPE_INTEGER || field->type == TYPE_NUMBER || field->type == TYPE_CHOICE;
        if (!settable || field->limit || field == &schema_fields[FIELD_VERSION] || !schema_applies(field, run))
            continue;
        name_setting(field->run, own);
        if (strcmp(own, name) != 0)
            continue;
        Buffer text;
        buffer_init(&text, SWEEP_NAME_MAX);
        append_value(field, run, &text);
        size_t quotes = field->type == TYPE_CHOICE; /* a choice is a word without anything to escape */
        buffer_append(out, text.data + quotes, text.size - 2 * quotes);
        buffer_deinit(&text);
        return true;
    }
    return false;
}

/* ---- the canonical text, from the table ---- */

/* As format_fields. */
static bool append_transfers(const Run *run, bool limits, Buffer *out) {
    Draft draft;
    bool limited = false;
    for (size_t i = 0; i < run->transfer_count; i++) {
        const char *previous = "";
        buffer_append_text(out, i ? "," : "[");
        transfer_give(&run->transfers[i], &draft);
        for (size_t j = 0; transfer_field(j); j++) {
            const Field *field = transfer_field(j);
            bool unset = (field->optional || field == &schema_fields[FIELD_BODY_LR]) && is_unset(field, &draft.run);
            if (unset || !schema_applies(field, &draft.run))
                continue;
            limited = limited || field->limit;
            if (field->limit && !limits)
                continue;
            append_key(previous, transfer_path(field), out);
            append_value(field, &draft.run, out);
            previous = transfer_path(field);
        }
        for (const char *at = previous; (at = strchr(at, '.')); at++)
            buffer_append_text(out, "}");
        buffer_append_text(out, "}");
    }
    buffer_append_text(out, "]");
    return limited;
}

/* Whether there were limits, which `limits` wants written. */
static bool format_fields(const Run *run, bool limits, Buffer *out) {
    const char *previous = "";
    bool limited = false;
    for (size_t i = 0; i < sizeof canonical_order / sizeof *canonical_order; i++) {
        const Field *field = &schema_fields[canonical_order[i]];
        if (!schema_applies(field, run) || (field->optional && is_unset(field, run)))
            continue;
        limited = limited || field->limit;
        if (field->limit && !limits)
            continue;
        append_key(previous, field->run, out);
        if (canonical_order[i] == FIELD_VERSION)
            buffer_append_text(out, "1"); /* of this text, and no part of a Run */
        else
            append_value(field, run, out);
        previous = field->run;
        if (canonical_order[i] == FIELD_VALIDATION && run->transfer_count > 0) {
            append_key(previous, "eval", out);
            limited = append_transfers(run, limits, out) || limited;
            previous = "eval";
        }
    }
    buffer_append_text(out, "}");
    return limited;
}

int run_format(const Run *run, Buffer *out, Error *error) {
    format_fields(run, true, out);
    return buffer_check(out, error, "a run's canonical text");
}

int run_key(const Run *run, char key[RUN_KEY_MAX], Error *error) {
    Buffer text;
    buffer_init(&text, RUN_SPEC_MAX);
    format_fields(run, false, &text);
    int result = buffer_check(&text, error, "a run's canonical text");
    if (result == 0)
        result = sha256_hex(text.data, text.size, key, error);
    buffer_deinit(&text);
    return result;
}

int run_identify(const Run *run, Buffer *text, char key[RUN_KEY_MAX], Error *error) {
    buffer_clear(text);
    bool limited = format_fields(run, true, text);
    if (buffer_check(text, error, "a run's canonical text") < 0)
        return -1;
    return limited ? run_key(run, key, error) : sha256_hex(text->data, text->size, key, error);
}
