#include "schema.h"

#include <string.h>

#define AT(member) offsetof(Draft, member)

static const char *const model_kinds[] = {"bmlp", "smlp", NULL};
static const char *const smlp_forms[] = {"text", "code", NULL};
static const char *const optimizer_kinds[] = {"lion", "adamw", "sgd", NULL};
static const char *const schedule_kinds[] = {"constant", "linear", "cosine", "wsd", NULL};
static const char *const precisions[] = {"fp32", "bf16", "auto", NULL};
static const char *const truths[] = {"false", "true", NULL};
static const char *const means[] = {"logits", "softmax", NULL};
static const char *const heads[] = {"file", "fresh", NULL};
static const char *const trainers[] = {"builtin", "simulated", "external", NULL};
static const char *const fit_methods[] = {SWEEP_FIT_NAMES, NULL};
static const char *const fit_losses[] = {"huber", "mse", "asymmetric", NULL};
static const char *const flop_counts[] = {"exact", "paper", "6nd", NULL};
static const char *const designs[] = {"isoflop", NULL};
static const char *const transfer_kinds[] = {"linear", "finetune", NULL};
static const char *const param_counts[] = {"total", "body", NULL};

enum {
    ON_BMLP = 1 << MODEL_BMLP,
    ON_SMLP = 1 << MODEL_SMLP,
    ON_LION = 1 << OPTIMIZER_LION,
    ON_ADAMW = 1 << OPTIMIZER_ADAMW,
    ON_SGD = 1 << OPTIMIZER_SGD,
    ON_WSD = 1 << SCHEDULE_WSD,
    ON_BUILTIN = 1 << TRAINER_BUILTIN,
    ON_SIMULATED = 1 << TRAINER_SIMULATED,
    ON_EXTERNAL = 1 << TRAINER_EXTERNAL,
};

const Field schema_fields[FIELDS] = {
    [FIELD_VERSION] = {"version", "version", TYPE_INTEGER, AT(version), .least = 1, .most = 1, .required = true,
                       .meaning = "version of this file form"},
    [FIELD_NAME] = {"name", NULL, TYPE_NAME, AT(name), .required = true, .meaning = "name of the sweep"},

    [FIELD_DATA_NAME] = {"data.name", "data.name", TYPE_NAME, AT(run.data_name), .meaning = "data set to train on"},
    [FIELD_DATA_DIGEST] = {NULL, "data.digest", TYPE_DIGEST, AT(run.data_digest), .required = true, .meaning = "SHA-256 of the data set"},
    [FIELD_DATA_PACK] = {"data.pack", "data.pack", TYPE_PACK, AT(run.data_pack), .optional = true, .limit = true,
                         .meaning = "packed file to train on, in place of a name"},
    [FIELD_VALIDATION] = {"data.validation", "data.validation", TYPE_INTEGER, AT(run.validation), .least = 0, .most = 1000000000000,
                          .standard = "0", .meaning = "examples set apart for validation, the same for every run"},
    [FIELD_SUBSET_SEED] = {"data.subset_seed", "data.subset_seed", TYPE_INTEGER, AT(run.subset_seed), .least = 0, .most = INT64_MAX,
                           .meaning = "seed that picks the subset of examples; without it, the run's seed"},
    [FIELD_INPUTS] = {"data.inputs", "model.inputs", TYPE_INTEGER, AT(run.model.inputs), .least = 1, .most = 100000000,
                      .meaning = "values that an example has"},
    [FIELD_CLASSES] = {"data.classes", "model.classes", TYPE_INTEGER, AT(run.model.classes), .least = 2, .most = 65535,
                       .meaning = "classes"},
    [FIELD_DATA_EXAMPLES] = {"data.examples", NULL, TYPE_INTEGER, AT(data_examples), .least = 1, .most = 1000000000000,
                             .meaning = "training examples that there are"},

    [FIELD_KIND] = {"model.kind", "model.kind", TYPE_CHOICE, AT(run.model.kind), .choices = model_kinds, .required = true,
                    .chooser = FIELD_TRAINER, .chosen = ON_BUILTIN | ON_SIMULATED, .meaning = "the model"},
    [FIELD_MODEL_NAME] = {"model.name", "model.name", TYPE_NAME, AT(run.program.name), .required = true, .chooser = FIELD_TRAINER,
                          .chosen = ON_EXTERNAL, .meaning = "what the program trains, for tables and figures"},
    [FIELD_EXPANSION] = {"model.expansion", "model.expansion", TYPE_INTEGER, AT(run.model.expansion), .least = 1, .most = 1024,
                         .standard = "4", .chooser = FIELD_KIND, .chosen = ON_BMLP, .meaning = "hidden width of a block over its width"},
    [FIELD_FORM] = {"model.form", "model.form", TYPE_CHOICE, AT(run.model.form), .choices = smlp_forms, .standard = "text",
                    .chooser = FIELD_KIND, .chosen = ON_SMLP, .meaning = "block as the paper's text or its authors' code has it"},
    [FIELD_DROPOUT] = {"model.dropout", "model.dropout", TYPE_NUMBER, AT(run.model.dropout), .low = 0, .high = 1, .high_open = true,
                       .standard = "0", .optional = true, .chooser = FIELD_TRAINER, .chosen = ON_BUILTIN | ON_SIMULATED,
                       .meaning = "share of what a block's last layer reads that training drops"},

    [FIELD_DEPTH] = {"grid.depth", "model.depth", TYPE_INTEGER, AT(run.model.depth), .least = 1, .most = 1000, .required = true,
                     .axis = true, .meaning = "blocks"},
    [FIELD_WIDTH] = {"grid.width", "model.width", TYPE_INTEGER, AT(run.model.width), .least = 1, .most = 65536, .required = true,
                     .axis = true, .meaning = "width of a block"},
    [FIELD_EXAMPLES] = {"grid.examples", "examples", TYPE_INTEGER, AT(run.examples), .least = 1, .most = 1000000000000, .required = true,
                        .axis = true, .meaning = "distinct training examples"},
    [FIELD_SEED] = {"grid.seed", "seed", TYPE_INTEGER, AT(run.seed), .least = 0, .most = INT64_MAX, .standard = "0", .axis = true,
                    .meaning = "seed of the initial weights and of the order of examples"},

    [FIELD_EPOCHS] = {"train.epochs", "train.epochs", TYPE_INTEGER, AT(run.epochs), .least = 1, .most = 1000000, .required = true,
                      .axis = true, .meaning = "passes over the examples"},
    [FIELD_BATCH] = {"train.batch", "train.batch", TYPE_INTEGER, AT(run.batch), .least = 1, .most = 1000000, .required = true, .axis = true,
                     .meaning = "examples in a step"},
    [FIELD_OPTIMIZER] = {"train.optimizer.name", "train.optimizer.name", TYPE_CHOICE, AT(run.optimizer.kind), .choices = optimizer_kinds,
                         .required = true, .axis = true, .meaning = "the optimizer"},
    [FIELD_LR] = {"train.optimizer.lr", "train.optimizer.lr", TYPE_NUMBER, AT(run.optimizer.lr), .low = 0, .high = 1000, .low_open = true,
                  .required = true, .axis = true, .meaning = "peak learning rate"},
    [FIELD_WEIGHT_DECAY] = {"train.optimizer.weight_decay", "train.optimizer.weight_decay", TYPE_NUMBER, AT(run.optimizer.weight_decay),
                            .low = 0, .high = 1000, .standard = "0", .axis = true,
                            .meaning = "weight decay, multiplied by the learning rate"},
    [FIELD_BETA1] = {"train.optimizer.beta1", "train.optimizer.beta1", TYPE_NUMBER, AT(run.optimizer.beta1), .low = 0, .high = 1,
                     .high_open = true, .axis = true, .chooser = FIELD_OPTIMIZER, .chosen = ON_LION | ON_ADAMW,
                     .meaning = "decay of the first moment"},
    [FIELD_BETA2] = {"train.optimizer.beta2", "train.optimizer.beta2", TYPE_NUMBER, AT(run.optimizer.beta2), .low = 0, .high = 1,
                     .high_open = true, .axis = true, .chooser = FIELD_OPTIMIZER, .chosen = ON_LION | ON_ADAMW,
                     .meaning = "decay of the momentum (lion) or of the second moment (adamw)"},
    [FIELD_EPSILON] = {"train.optimizer.epsilon", "train.optimizer.epsilon", TYPE_NUMBER, AT(run.optimizer.epsilon), .low = 0, .high = 1,
                       .low_open = true, .axis = true, .chooser = FIELD_OPTIMIZER, .chosen = ON_ADAMW,
                       .meaning = "added to the root of the second moment"},
    [FIELD_MOMENTUM] = {"train.optimizer.momentum", "train.optimizer.momentum", TYPE_NUMBER, AT(run.optimizer.momentum), .low = 0,
                        .high = 1, .high_open = true, .axis = true, .chooser = FIELD_OPTIMIZER, .chosen = ON_SGD, .meaning = "momentum"},
    [FIELD_SCHEDULE] = {"train.schedule.name", "train.schedule.name", TYPE_CHOICE, AT(run.schedule.kind), .choices = schedule_kinds,
                        .standard = "constant", .axis = true, .meaning = "how the learning rate goes along the run"},
    [FIELD_WARMUP] = {"train.schedule.warmup", "train.schedule.warmup", TYPE_NUMBER, AT(run.schedule.warmup), .low = 0, .high = 1,
                      .standard = "0", .axis = true, .meaning = "share of the run's steps in which the rate rises"},
    [FIELD_DECAY] = {"train.schedule.decay", "train.schedule.decay", TYPE_NUMBER, AT(run.schedule.decay), .low = 0, .high = 1,
                     .low_open = true, .standard = "0.2", .axis = true, .chooser = FIELD_SCHEDULE, .chosen = ON_WSD,
                     .meaning = "share of the run's steps in which the rate falls"},
    [FIELD_LABEL_SMOOTHING] = {"train.label_smoothing", "train.label_smoothing", TYPE_NUMBER, AT(run.label_smoothing), .low = 0, .high = 1,
                               .high_open = true, .standard = "0", .axis = true, .meaning = "share of the target spread over all classes"},
    [FIELD_EVALUATIONS] = {"train.evaluations", "train.evaluations", TYPE_INTEGER, AT(run.evaluations), .least = 1, .most = 1000,
                           .standard = "5", .axis = true, .meaning = "points measured along the run"},
    [FIELD_PRECISION] = {"train.precision", "train.precision", TYPE_CHOICE, AT(run.precision), .choices = precisions, .standard = "fp32",
                         .axis = true, .meaning = "arithmetic of the matrix products"},
    [FIELD_PADDING] = {"train.augment.crop.padding", "train.augment.crop.padding", TYPE_INTEGER, AT(run.augmentation.padding), .least = 0,
                       .most = 1024, .standard = "0", .axis = true, .optional = true,
                       .meaning = "black pixels around the image of which a crop is taken"},
    [FIELD_CROP_RATIO] = {"train.augment.crop.ratio", "train.augment.crop.ratio", TYPE_SPAN, AT(run.augmentation.ratio), .low = 0.01,
                          .high = 100, .optional = true, .meaning = "width over height of a resized crop, from and to"},
    [FIELD_CROP_SCALE] = {"train.augment.crop.scale", "train.augment.crop.scale", TYPE_SPAN, AT(run.augmentation.scale), .low = 1e-6,
                          .high = 1, .optional = true, .meaning = "share of the image that a resized crop takes, from and to"},
    [FIELD_FLIP] = {"train.augment.flip", "train.augment.flip", TYPE_CHOICE, AT(run.augmentation.flip), .choices = truths,
                    .standard = "false", .axis = true, .optional = true, .meaning = "mirror every other image"},
    [FIELD_MIXUP] = {"train.augment.mixup", "train.augment.mixup", TYPE_NUMBER, AT(run.augmentation.mixup), .low = 0, .high = 100,
                     .standard = "0", .axis = true, .optional = true, .meaning = "MixUp's alpha"},
    [FIELD_INIT] = {"train.init", "train.init.file", TYPE_FILE, AT(run.init.path), .optional = true, .limit = true,
                    .chooser = FIELD_TRAINER, .chosen = ON_BUILTIN, .meaning = "weights to start from"},
    [FIELD_INIT_DIGEST] = {NULL, "train.init.digest", TYPE_DIGEST, AT(run.init.digest), .optional = true, .chooser = FIELD_TRAINER,
                           .chosen = ON_BUILTIN, .meaning = "SHA-256 of the weights"},
    [FIELD_INIT_HEAD] = {"train.init_head", "train.init_head", TYPE_CHOICE, AT(run.init_head), .choices = heads, .standard = "file",
                         .axis = true, .optional = true, .chooser = FIELD_TRAINER, .chosen = ON_BUILTIN,
                         .meaning = "whose head the model starts with"},
    [FIELD_CROPS] = {"test.crops", "test.crops", TYPE_INTEGER, AT(run.test.crops), .least = 0, .most = 10000, .standard = "0",
                     .optional = true, .chooser = FIELD_TRAINER, .chosen = ON_BUILTIN,
                     .meaning = "random crops of each test image whose outputs are averaged"},
    [FIELD_TEST_PADDING] = {"test.crop.padding", "test.crop.padding", TYPE_INTEGER, AT(run.test.augmentation.padding), .least = 0,
                            .most = 1024, .standard = "0", .optional = true, .chooser = FIELD_TRAINER, .chosen = ON_BUILTIN,
                            .meaning = "black pixels around the image of which a crop is taken"},
    [FIELD_TEST_RATIO] = {"test.crop.ratio", "test.crop.ratio", TYPE_SPAN, AT(run.test.augmentation.ratio), .low = 0.01, .high = 100,
                          .optional = true, .chooser = FIELD_TRAINER, .chosen = ON_BUILTIN,
                          .meaning = "width over height of a resized crop, from and to"},
    [FIELD_TEST_SCALE] = {"test.crop.scale", "test.crop.scale", TYPE_SPAN, AT(run.test.augmentation.scale), .low = 1e-6, .high = 1,
                          .optional = true, .chooser = FIELD_TRAINER, .chosen = ON_BUILTIN,
                          .meaning = "share of the image that a resized crop takes, from and to"},
    [FIELD_TEST_FLIP] = {"test.flip", "test.flip", TYPE_CHOICE, AT(run.test.augmentation.flip), .choices = truths, .standard = "false",
                         .optional = true, .chooser = FIELD_TRAINER, .chosen = ON_BUILTIN, .meaning = "mirror every other crop"},
    [FIELD_MEAN] = {"test.mean", "test.mean", TYPE_CHOICE, AT(run.test.mean), .choices = means, .standard = "logits", .optional = true,
                    .chooser = FIELD_TRAINER, .chosen = ON_BUILTIN, .meaning = "which outputs are averaged over the crops"},
    [FIELD_REAL] = {"test.real", "test.real.file", TYPE_FILE, AT(run.test.real.path), .optional = true, .limit = true,
                    .chooser = FIELD_TRAINER, .chosen = ON_BUILTIN, .meaning = "labels file of the test images, several for each"},
    [FIELD_REAL_DIGEST] = {NULL, "test.real.digest", TYPE_DIGEST, AT(run.test.real.digest), .optional = true, .chooser = FIELD_TRAINER,
                           .chosen = ON_BUILTIN, .meaning = "SHA-256 of the labels file"},
    [FIELD_TRAINER] = {"trainer.kind", "trainer.kind", TYPE_CHOICE, AT(run.trainer), .choices = trainers, .standard = "builtin",
                       .meaning = "what trains the run"},
    [FIELD_LAW_E] = {"trainer.law.E", "trainer.law.E", TYPE_NUMBER, AT(run.simulation.E), .low = 0, .high = 1e6, .required = true,
                     .chooser = FIELD_TRAINER, .chosen = ON_SIMULATED, .meaning = "loss of an endless model on endless data"},
    [FIELD_LAW_A] = {"trainer.law.A", "trainer.law.A", TYPE_NUMBER, AT(run.simulation.A), .low = 0, .high = 1e30, .required = true,
                     .chooser = FIELD_TRAINER, .chosen = ON_SIMULATED, .meaning = "what a finite model adds, times parameters^-alpha"},
    [FIELD_LAW_ALPHA] = {"trainer.law.alpha", "trainer.law.alpha", TYPE_NUMBER, AT(run.simulation.alpha), .low = 0, .high = 10,
                         .required = true, .chooser = FIELD_TRAINER, .chosen = ON_SIMULATED, .meaning = "exponent of the parameters"},
    [FIELD_LAW_B] = {"trainer.law.B", "trainer.law.B", TYPE_NUMBER, AT(run.simulation.B), .low = 0, .high = 1e30, .required = true,
                     .chooser = FIELD_TRAINER, .chosen = ON_SIMULATED, .meaning = "what finite data add, times examples^-beta"},
    [FIELD_LAW_BETA] = {"trainer.law.beta", "trainer.law.beta", TYPE_NUMBER, AT(run.simulation.beta), .low = 0, .high = 10,
                        .required = true, .chooser = FIELD_TRAINER, .chosen = ON_SIMULATED, .meaning = "exponent of the examples"},
    [FIELD_NOISE] = {"trainer.noise", "trainer.noise", TYPE_NUMBER, AT(run.simulation.noise), .low = 0, .high = 10, .standard = "0",
                     .chooser = FIELD_TRAINER, .chosen = ON_SIMULATED, .meaning = "standard deviation of the loss's logarithm"},
    [FIELD_BEST_LR] = {"trainer.tuning.lr.best", "trainer.tuning.lr.best", TYPE_NUMBER, AT(run.simulation.best_lr), .low = 0, .high = 1000,
                       .low_open = true, .optional = true, .chooser = FIELD_TRAINER, .chosen = ON_SIMULATED,
                       .meaning = "rate at which the loss is the law's"},
    [FIELD_CURVATURE] = {"trainer.tuning.lr.curvature", "trainer.tuning.lr.curvature", TYPE_NUMBER, AT(run.simulation.curvature), .low = 0,
                         .high = 1000, .low_open = true, .optional = true, .chooser = FIELD_TRAINER, .chosen = ON_SIMULATED,
                         .meaning = "the loss is multiplied by exp(curvature ln(lr / best)^2)"},

    [FIELD_COMMAND] = {"trainer.command", "trainer.command", TYPE_COMMAND, AT(run.program.command), .required = true,
                       .chooser = FIELD_TRAINER, .chosen = ON_EXTERNAL, .meaning = "program and arguments"},
    [FIELD_PROGRAM_VERSION] = {"trainer.version", "trainer.version", TYPE_NAME, AT(run.program.version), .optional = true,
                               .chooser = FIELD_TRAINER, .chosen = ON_EXTERNAL,
                               .meaning = "of the program: another version's runs are other runs"},
    [FIELD_PARAMS] = {"trainer.params", "trainer.params", TYPE_EXPRESSION, AT(run.program.params), .optional = true,
                      .chooser = FIELD_TRAINER, .chosen = ON_EXTERNAL, .meaning = "parameters of the model"},
    [FIELD_FLOPS] = {"trainer.flops", "trainer.flops", TYPE_EXPRESSION, AT(run.program.flops), .optional = true, .chooser = FIELD_TRAINER,
                     .chosen = ON_EXTERNAL, .meaning = "FLOPs of the whole training"},
    [FIELD_STEPS] = {"trainer.steps", "trainer.steps", TYPE_EXPRESSION, AT(run.program.steps), .optional = true, .chooser = FIELD_TRAINER,
                     .chosen = ON_EXTERNAL, .meaning = "step of the last point"},
    [FIELD_DIRECTORY] = {"trainer.directory", "trainer.directory", TYPE_DIRECTORY, AT(run.program.directory), .optional = true,
                         .limit = true, .chooser = FIELD_TRAINER, .chosen = ON_EXTERNAL, .meaning = "where the program is started"},
    [FIELD_TIME_LIMIT] = {"trainer.time_limit", "trainer.time_limit", TYPE_NUMBER, AT(run.program.time_limit), .low = 0, .high = 1e9,
                          .low_open = true, .optional = true, .limit = true, .chooser = FIELD_TRAINER, .chosen = ON_EXTERNAL,
                          .meaning = "seconds that an attempt may take"},
    [FIELD_CPUS] = {"resources.cpus", "resources.cpus", TYPE_INTEGER, AT(run.resources.cpus), .least = 1, .most = 1024, .optional = true,
                    .limit = true, .meaning = "cores that a run is given"},
    [FIELD_MEMORY] = {"resources.memory", "resources.memory", TYPE_NUMBER, AT(run.resources.memory), .low = 0, .high = 1e15,
                      .low_open = true, .optional = true, .limit = true, .meaning = "bytes of memory that a run is given room for"},
    [FIELD_GPUS] = {"resources.gpus", "resources.gpus", TYPE_INTEGER, AT(run.resources.gpus), .least = 0, .most = GPUS_MAX,
                    .optional = true, .limit = true, .chooser = FIELD_TRAINER, .chosen = ON_EXTERNAL,
                    .meaning = "GPUs that a run is given"},

    [FIELD_DESIGN] = {"design.kind", NULL, TYPE_CHOICE, AT(design.kind), .choices = designs, .required = true, .within = "design",
                      .meaning = "how examples are chosen in place of grid.examples"},
    [FIELD_BUDGETS_FROM] = {"design.budgets.from", NULL, TYPE_NUMBER, AT(design.from), .low = 1, .high = 1e30, .required = true,
                            .within = "design", .meaning = "lowest budget, flops"},
    [FIELD_BUDGETS_TO] = {"design.budgets.to", NULL, TYPE_NUMBER, AT(design.to), .low = 1, .high = 1e30, .required = true,
                          .within = "design", .meaning = "highest budget, flops"},
    [FIELD_BUDGETS_POINTS] = {"design.budgets.points", NULL, TYPE_INTEGER, AT(design.points), .least = 2, .most = 100, .required = true,
                              .within = "design", .meaning = "budgets, log-spaced"},
    [FIELD_SIZES] = {"design.sizes", NULL, TYPE_INTEGER, AT(design.sizes), .least = DESIGN_SIZES_MIN, .most = 100, .required = true,
                     .within = "design", .meaning = "models at each budget"},
    [FIELD_DESIGN_FLOPS] = {"design.flops", NULL, TYPE_CHOICE, AT(design.flops), .choices = flop_counts, .standard = "exact",
                            .meaning = "how budgets are counted"},
    [FIELD_CENTRE_COEFFICIENT] = {"design.centre.coefficient", NULL, TYPE_NUMBER, AT(design.coefficient), .low = 0, .high = 1e30,
                                  .low_open = true, .meaning = "of the law P*(C) = coefficient C^exponent on which sizes are centred"},
    [FIELD_CENTRE_EXPONENT] = {"design.centre.exponent", NULL, TYPE_NUMBER, AT(design.exponent), .low = 0, .high = 4, .low_open = true,
                               .meaning = "of the same law"},
    [FIELD_SPAN] = {"design.span", NULL, TYPE_NUMBER, AT(design.span), .low = 1, .high = 1e6, .low_open = true, .standard = "8",
                    .meaning = "sizes lie within this factor of the centre"},
    [FIELD_TRANSFERS] = {"eval", NULL, TYPE_TRANSFERS, .meaning = "other data on which the trained model is measured"},
    [FIELD_TRANSFER_KIND] = {"eval.kind", NULL, TYPE_CHOICE, AT(transfer_kind), .choices = transfer_kinds,
                             .meaning = "a new head on the frozen body, or the whole model trained on"},
    [FIELD_TRANSFER_NAME] = {"eval.name", NULL, TYPE_NAME, AT(transfer_name), .meaning = "of its metrics: KIND.NAME.test_error"},
    [FIELD_HEAD_LR] = {"eval.head_lr", NULL, TYPE_NUMBER, AT(head_lr), .low = 0, .high = 1000, .low_open = true, .standard = "0.01",
                       .meaning = "peak learning rate of the new head"},
    [FIELD_BODY_LR] = {"eval.body_lr", NULL, TYPE_NUMBER, AT(body_lr), .low = 0, .high = 1000, .low_open = true, .standard = "0.001",
                       .meaning = "peak learning rate of the rest"},
    [FIELD_TUNE] = {"tune", NULL, TYPE_AXES, .meaning = "train keys of which every cell tries every value"},
    [FIELD_INCLUDE] = {"include", NULL, TYPE_CELLS, .meaning = "cells to add to the grid"},
    [FIELD_EXCLUDE] = {"exclude", NULL, TYPE_CELLS, .meaning = "cells to drop from the grid"},

    [FIELD_FIT_METRIC] = {"fit.metric", NULL, TYPE_METRIC, AT(fit.metric), .standard = "test_error", .meaning = "metric that is fitted"},
    [FIELD_FIT_SELECT] = {"fit.select", NULL, TYPE_METRIC, AT(fit.select), .meaning = "metric that chooses among tuned settings"},
    [FIELD_FIT_METHODS] = {"fit.methods", NULL, TYPE_CHOICES, AT(fit.methods), .choices = fit_methods, .standard = "parametric, isoflop",
                           .meaning = "fits to make"},
    [FIELD_FIT_LOSS] = {"fit.loss", NULL, TYPE_CHOICE, AT(fit.loss), .choices = fit_losses, .standard = "huber",
                        .meaning = "what the fit minimises"},
    [FIELD_FIT_FLOPS] = {"fit.flops", NULL, TYPE_CHOICE, AT(fit.flops), .choices = flop_counts, .standard = "exact",
                         .meaning = "how compute is counted"},
    [FIELD_FIT_PARAMS] = {"fit.params", NULL, TYPE_CHOICE, AT(fit.params), .choices = param_counts, .standard = "total",
                          .meaning = "which parameters are counted"},
    [FIELD_FIT_DROP_FIRST] = {"fit.drop_first_share", NULL, TYPE_NUMBER, AT(fit.drop_first_share), .low = 0, .high = 1, .high_open = true,
                              .standard = "0", .meaning = "share of the runs, those of least compute, that the fit leaves out"},
    [FIELD_FIT_BOOTSTRAP] = {"fit.bootstrap", NULL, TYPE_INTEGER, AT(fit.bootstrap), .least = 0, .most = 1000000, .standard = "1000",
                             .meaning = "resamples behind the intervals; 0 for none"},

    [FIELD_RULE_VALUE] = {"train.optimizer.lr.value", NULL, TYPE_NUMBER, AT(rule.value), .low = 1e-30, .high = 1000, .required = true,
                          .meaning = "rate at base_width"},
    [FIELD_RULE_BASE_WIDTH] = {"train.optimizer.lr.base_width", NULL, TYPE_INTEGER, AT(rule.base_width), .least = 1, .most = 65536,
                               .required = true, .meaning = "width at which the rate is `value`"},
    [FIELD_RULE_POWER] = {"train.optimizer.lr.power", NULL, TYPE_NUMBER, AT(rule.power), .low = -4, .high = 4, .required = true,
                          .meaning = "power of width / base_width"},
    [FIELD_RULE_MAX] = {"train.optimizer.lr.max", NULL, TYPE_NUMBER, AT(rule.max), .low = 1e-30, .high = 1000, .standard = "1000",
                        .meaning = "the rate is never above it"},
};

static const Field *find_path(const char *path, bool file) {
    for (size_t i = 0; i < FIELDS; i++) {
        const char *candidate = file ? schema_fields[i].file : schema_fields[i].run;
        if (candidate && strcmp(candidate, path) == 0)
            return &schema_fields[i];
    }
    return NULL;
}

static bool has_group(const char *path, bool file) {
    size_t size = strlen(path);
    for (size_t i = 0; i < FIELDS; i++) {
        const char *candidate = file ? schema_fields[i].file : schema_fields[i].run;
        if (candidate && strncmp(candidate, path, size) == 0 && candidate[size] == '.')
            return true;
    }
    return false;
}

const Field *schema_find_file(const char *path) {
    return find_path(path, true);
}

const Field *schema_find_run(const char *path) {
    return find_path(path, false);
}

bool schema_has_group_file(const char *path) {
    return has_group(path, true);
}

bool schema_has_group_run(const char *path) {
    return has_group(path, false);
}
