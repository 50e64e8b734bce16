#include "sweepd/optim.h"
#include "update.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STATE_MAX = 2 };

typedef struct OptimizerInfo {
    const char *name;
    int64_t flops; /* per parameter; src/optim/update.c and docs/flops.md */
    size_t states;
    const char *state_names[STATE_MAX];
    OptimizerSettings defaults;
} OptimizerInfo;

static const OptimizerInfo infos[] = {
    [OPTIMIZER_LION] = {"lion", 7, 1, {"m"}, {.kind = OPTIMIZER_LION, .beta1 = 0.9, .beta2 = 0.99}},
    [OPTIMIZER_ADAMW] = {"adamw", 14, 2, {"m", "v"}, {.kind = OPTIMIZER_ADAMW, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8}},
    [OPTIMIZER_SGD] = {"sgd", 6, 1, {"momentum"}, {.kind = OPTIMIZER_SGD, .momentum = 0.9}},
};

struct Optimizer {
    OptimizerSettings settings;
    const OptimizerInfo *info;
    const UpdateTable *update;
    size_t parameters;
    int64_t steps;
    float *states[STATE_MAX];
    uint16_t *copy;
    ParameterGroup groups[OPTIMIZER_GROUPS_MAX];
    size_t group_count;
};

const char *optimizer_kind_text(OptimizerKind kind) {
    return infos[kind].name;
}

void optimizer_settings_default(OptimizerKind kind, OptimizerSettings *out) {
    *out = infos[kind].defaults;
}

int64_t optimizer_flops(OptimizerKind kind) {
    return infos[kind].flops;
}

int64_t optimizer_states(OptimizerKind kind) {
    return (int64_t)infos[kind].states;
}

static const UpdateTable *fastest_table(void) {
    size_t index = 0;
    while (update_table(index + 1) != NULL) {
        index++;
    }
    return update_table(index);
}

int optimizer_new(Optimizer **out, const OptimizerSettings *settings, size_t parameters, Error *error) {
    *out = NULL;
    if (parameters > SIZE_MAX / sizeof(float)) {
        return error_set_memory(error, "an optimizer for %zu parameters does not fit in memory", parameters);
    }
    Optimizer *optimizer = calloc(1, sizeof *optimizer);
    if (optimizer == NULL) {
        return error_set_memory(error, "out of memory for an optimizer");
    }
    optimizer->settings = *settings;
    optimizer->info = &infos[settings->kind];
    optimizer->update = fastest_table();
    optimizer->parameters = parameters;
    optimizer->groups[0] = (ParameterGroup){.count = parameters, .rate = 1};
    optimizer->group_count = 1;
    for (size_t i = 0; i < optimizer->info->states; i++) {
        optimizer->states[i] = pages_new(parameters * sizeof(float));
        if (optimizer->states[i] == NULL) {
            optimizer_free(optimizer);
            return error_set_memory(error, "out of memory for the %s optimizer's state of %zu parameters", infos[settings->kind].name,
                                    parameters);
        }
    }
    *out = optimizer;
    return 0;
}

void optimizer_free(Optimizer *optimizer) {
    if (optimizer == NULL) {
        return;
    }
    for (size_t i = 0; i < STATE_MAX; i++) {
        free(optimizer->states[i]);
    }
    free(optimizer);
}

static UpdateScalars step_scalars(const Optimizer *optimizer, double lr) {
    const OptimizerSettings *s = &optimizer->settings;
    double steps = (double)optimizer->steps;
    UpdateScalars scalars = {
        .lr = (float)lr,
        .weight_decay = (float)s->weight_decay,
        .beta1 = (float)s->beta1,
        .one_minus_beta1 = (float)(1 - s->beta1),
        .beta2 = (float)s->beta2,
        .one_minus_beta2 = (float)(1 - s->beta2),
        .momentum = (float)s->momentum,
        .decay = (float)(1 - lr * s->weight_decay),
    };
    if (s->kind == OPTIMIZER_ADAMW) {
        scalars.step_size = (float)(lr / (1 - pow(s->beta1, steps)));
        scalars.denominator = (float)(1 / sqrt(1 - pow(s->beta2, steps)));
        scalars.epsilon = (float)s->epsilon;
    }
    return scalars;
}

void optimizer_set_copy(Optimizer *optimizer, uint16_t *copy) {
    optimizer->copy = copy;
}

void optimizer_set_groups(Optimizer *optimizer, const ParameterGroup *groups, size_t count) {
    assert(count >= 1 && count <= OPTIMIZER_GROUPS_MAX);
    memcpy(optimizer->groups, groups, count * sizeof *groups);
    optimizer->group_count = count;
}

size_t optimizer_parameter_count(const Optimizer *optimizer) {
    return optimizer->parameters;
}

static void group_step(const Optimizer *optimizer, const ParameterGroup *group, float *parameters, const float *gradients, double lr) {
    const UpdateTable *update = optimizer->update;
    UpdateScalars scalars = step_scalars(optimizer, lr * group->rate);
    float *state = optimizer->states[0] + group->first;
    uint16_t *copy = optimizer->copy ? optimizer->copy + group->first : NULL;
    parameters += group->first;
    gradients += group->first;
    switch (optimizer->settings.kind) {
    case OPTIMIZER_LION:
        update->lion(&scalars, group->count, parameters, gradients, state, copy);
        break;
    case OPTIMIZER_ADAMW:
        update->adamw(&scalars, group->count, parameters, gradients, state, optimizer->states[1] + group->first, copy);
        break;
    case OPTIMIZER_SGD:
        update->sgd(&scalars, group->count, parameters, gradients, state, copy);
        break;
    }
}

void optimizer_step(Optimizer *optimizer, float *parameters, const float *gradients, double lr) {
    optimizer->steps++;
    for (size_t i = 0; i < optimizer->group_count; i++)
        group_step(optimizer, &optimizer->groups[i], parameters, gradients, lr);
}

size_t optimizer_state_count(const Optimizer *optimizer) {
    return optimizer->info->states;
}

const char *optimizer_state_name(const Optimizer *optimizer, size_t index) {
    return optimizer->info->state_names[index];
}

float *optimizer_state_data(Optimizer *optimizer, size_t index) {
    return optimizer->states[index];
}

int64_t optimizer_steps(const Optimizer *optimizer) {
    return optimizer->steps;
}

void optimizer_set_steps(Optimizer *optimizer, int64_t steps) {
    optimizer->steps = steps;
}
