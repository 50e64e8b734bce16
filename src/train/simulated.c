/* The simulated trainer. A run costs nothing: no data, no model, no checkpoint; what it comes to is a formula of its settings and of one
 * random number. It goes the whole way of a run nevertheless, so that a sweep with a known answer tests everything from file to fit, and a
 * sweep that no machine could train can be submitted, watched and fitted.
 *
 * The number is drawn from the run's key, so that a run has one loss wherever and whenever it is simulated, and two runs that differ in
 * anything have independent noise. There is one number a run: its curve is shifted as a whole. */
#include "simulated.h"

#include "builtin.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Simulated {
    Trainer base;
    double params, batch, step_flops;
    double factor; /* of noise and tuning, on the law's loss */
} Simulated;

static int simulated_step(Trainer *trainer, int64_t limit, Error *error) {
    (void)error;
    trainer->step += count_at_most(limit, trainer->steps - trainer->step);
    trainer->flops = (double)trainer->step * ((Simulated *)trainer)->step_flops;
    return 0;
}

/* At an earlier step the share of the run that is done stands for a study of so many examples; at the last it is the law itself. */
static double simulated_loss(const Simulated *simulated) {
    const Trainer *trainer = &simulated->base;
    const Simulation *law = &trainer->run.simulation;
    double done = trainer->step == trainer->steps ? 1 : (double)trainer->step / (double)trainer->steps;
    double examples = (double)trainer->run.examples * done;
    double loss = law->E + law->A * pow(simulated->params, -law->alpha) + law->B * pow(examples, -law->beta);
    return loss * simulated->factor;
}

static int simulated_evaluate(Trainer *trainer, Point *out, Error *error) {
    (void)error;
    static const char *const names[] = {"train_loss", "train_error", "validation_loss", "validation_error", "test_loss", "test_error"};
    const Simulated *simulated = (Simulated *)trainer;
    double loss = simulated_loss(simulated);
    *out = (Point){.step = trainer->step, .examples = (double)trainer->step * simulated->batch, .flops = trainer->flops};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        point_set_metric(out, names[i], isfinite(loss) ? loss : (double)NAN);
    return 0;
}

/* A run that is stopped begins anew, which is sooner done than read from a file. */
static int simulated_save(Trainer *trainer, const char *path, Error *error) {
    (void)trainer;
    (void)path;
    (void)error;
    return 0;
}

static int simulated_load(Trainer *trainer, const char *path, Error *error) {
    (void)trainer;
    return train_refuse(error, "%s: a simulated run has no checkpoint", path);
}

static void simulated_free(Trainer *trainer) {
    free(trainer);
}

static const TrainerInterface simulated_interface = {
    .name = "simulated",
    .step = simulated_step,
    .evaluate = simulated_evaluate,
    .save = simulated_save,
    .load = simulated_load,
    .free = simulated_free,
};

/* The first 64 bits of the key. */
static int key_number(const Run *run, uint64_t *out, Error *error) {
    char key[RUN_KEY_MAX];
    if (run_key(run, key, error))
        return -1;
    key[16] = '\0';
    *out = strtoull(key, NULL, 16);
    return 0;
}

static int factor_find(const Run *run, double *out, Error *error) {
    const Simulation *law = &run->simulation;
    uint64_t seed;
    Rng rng;
    if (key_number(run, &seed, error))
        return -1;
    rng_init(&rng, seed, 0);
    double off = law->curvature > 0 ? log(run->optimizer.lr / law->best_lr) : 0;
    *out = exp(law->noise * rng_normal(&rng) + law->curvature * off * off);
    return 0;
}

int simulated_new(Trainer **out, const Run *run, const TrainerOptions *options, Error *error) {
    *out = NULL;
    Training training = run_training(run);
    double factor;
    if (options->init_weights)
        return train_refuse(error, "%s: a simulated run has no weights", options->init_weights);
    if (arch_steps(&training) < 1)
        return train_refuse(error, "the run has no steps: epochs, batch and examples are at least 1");
    if (factor_find(run, &factor, error))
        return -1;
    Simulated *simulated = calloc(1, sizeof *simulated);
    if (!simulated)
        return error_set_memory(error, "no memory for a trainer");
    int64_t batch = arch_batch(&training);
    *simulated = (Simulated){
        .base = {.interface = &simulated_interface, .run = *run, .steps = arch_steps(&training)},
        .params = (double)arch_params_total(&run->model),
        .batch = (double)batch,
        .step_flops = (double)arch_step_flops(&run->model, batch, training.optimizer),
        .factor = factor,
    };
    simulated->base.environment.threads = options->threads;
    text_copy(simulated->base.environment.backend, sizeof simulated->base.environment.backend, simulated_interface.name);
    *out = &simulated->base;
    return 0;
}
