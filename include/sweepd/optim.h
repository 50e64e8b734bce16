/* optim: optimizers and learning-rate schedules. Nothing here knows of models: an optimizer sees one flat array. */
#pragma once

#include "sweepd/base.h"

typedef enum { OPTIMIZER_LION, OPTIMIZER_ADAMW, OPTIMIZER_SGD } OptimizerKind;

/* Settings that a kind does not use are 0, so that two equal settings are equal field by field. */
typedef struct OptimizerSettings {
    OptimizerKind kind;
    double lr; /* the peak rate; the schedule multiplies it */
    double weight_decay;
    double beta1, beta2; /* lion (.9, .99), adamw (.9, .999) */
    double epsilon;      /* adamw 1e-8 */
    double momentum;     /* sgd */
} OptimizerSettings;

const char *optimizer_kind_text(OptimizerKind kind); /* "lion", "adamw", "sgd" */
/* The kind's defaults, lr and weight_decay 0. */
void optimizer_settings_default(OptimizerKind kind, OptimizerSettings *out);
/* Flops that a step executes per parameter, as counted in docs/flops.md. */
int64_t optimizer_flops(OptimizerKind kind);
/* Single-precision numbers that are kept for each parameter. */
int64_t optimizer_states(OptimizerKind kind);

/* p: a parameter, g: its gradient, wd: weight_decay; states begin at 0.
 *
 * Lion (Chen et al. 2023, arXiv:2302.06675): u = sign(beta1 m + (1 - beta1) g); p <- p - lr (u + wd p); m <- beta2 m + (1 - beta2) g.
 *
 * AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101, as PyTorch has it): m <- beta1 m + (1 - beta1) g; v <- beta2 v + (1 - beta2) g^2;
 * p <- p (1 - lr wd); p <- p - lr mh / (sqrt(vh) + epsilon), mh = m / (1 - beta1^t), vh = v / (1 - beta2^t) in step t, from 1.
 *
 * SGD (as PyTorch has it): g <- g + wd p; b <- momentum b + g; p <- p - lr b. */
typedef struct Optimizer Optimizer;

/* Of so many parameters, at step 0. 0, or -1: no memory. */
int optimizer_new(Optimizer **out, const OptimizerSettings *settings, size_t parameters, Error *error);
void optimizer_free(Optimizer *optimizer);
/* copy: [parameters], the caller's, or NULL for none; from now on each step also writes there the new parameters rounded to bfloat16, in
 * the same pass. */
void optimizer_set_copy(Optimizer *optimizer, uint16_t *copy);
/* Parameters of a rate of their own: [first, first + count) move at `rate` times that of a step. */
typedef struct ParameterGroup {
    size_t first, count;
    double rate;
} ParameterGroup;

/* Groups that together are all parameters, in their order, at most OPTIMIZER_GROUPS_MAX. Without a call: one group, at rate 1. */
enum { OPTIMIZER_GROUPS_MAX = 4 };
void optimizer_set_groups(Optimizer *optimizer, const ParameterGroup *groups, size_t count);
size_t optimizer_parameter_count(const Optimizer *optimizer);
/* One step with the rate lr (settings' lr times the schedule's factor). parameters and gradients: [parameters]. */
void optimizer_step(Optimizer *optimizer, float *parameters, const float *gradients, double lr);

/* State for checkpoints: `count` arrays of [parameters] floats, owned by the optimizer, named "m", "v", "momentum", and the
 * number of steps taken, which a loader sets back. */
size_t optimizer_state_count(const Optimizer *optimizer);
const char *optimizer_state_name(const Optimizer *optimizer, size_t index);
float *optimizer_state_data(Optimizer *optimizer, size_t index);
int64_t optimizer_steps(const Optimizer *optimizer);
void optimizer_set_steps(Optimizer *optimizer, int64_t steps);

typedef enum { SCHEDULE_CONSTANT, SCHEDULE_LINEAR, SCHEDULE_COSINE, SCHEDULE_WSD } ScheduleKind;

/* factor(t) = min(1, (t + 1) / W) * decay(t / S) for step t of S, t from 0; W = max(1, warmup * S rounded half to even), or no
 * warm-up factor when warmup is 0. decay: constant 1; linear 1 - x; cosine (1 + cos(pi x)) / 2; wsd (warm-up, stable, decay)
 * 1 up to x = 1 - decay, then down linearly to 0 at x = 1. */
typedef struct ScheduleSettings {
    ScheduleKind kind;
    double warmup; /* share of the run's steps, [0, 1] */
    double decay;  /* wsd only: share of the run's steps, (0, 1]; 0 otherwise */
} ScheduleSettings;

const char *schedule_kind_text(ScheduleKind kind); /* "constant", "linear", "cosine", "wsd" */
double schedule_factor(const ScheduleSettings *settings, int64_t step, int64_t steps);
