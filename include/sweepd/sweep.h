/* sweep: the sweep file (YAML) -> a checked tree -> the list of runs; the canonical form and key of a run.
 * docs/sweep-file.md and man/sweepfile.5 describe the file. */
#pragma once

#include "sweepd/arch.h"
#include "sweepd/base.h"
#include "sweepd/data.h"
#include "sweepd/optim.h"

enum {
    SWEEP_NAME_MAX = 64,      /* letters, digits, '-', '_', '.'; starts with a letter or digit */
    SWEEP_FILE_MAX = 1 << 20, /* bytes */
    SWEEP_CELLS_MAX = 10000000,
    RUN_SPEC_MAX = 8192,          /* bytes of canonical text */
    RUN_KEY_MAX = SHA256_HEX_MAX, /* the key as 64 hexadecimal digits */
};

typedef enum { PRECISION_FP32, PRECISION_BF16, PRECISION_AUTO } Precision; /* auto: bf16 where the processor has it, else fp32 */
typedef enum { TRAINER_BUILTIN, TRAINER_SIMULATED, TRAINER_EXTERNAL } TrainerKind;

const char *trainer_kind_text(TrainerKind kind); /* "builtin", ... */

/* What a simulated run comes to, with nothing trained: every metric is
 *   (E + A P^-alpha + B N^-beta) exp(noise z) exp(curvature ln(lr / best_lr)^2),
 * P the model's parameters, N the examples, z a standard normal number that the run's key decides. docs/sweep-file.md tells the rest. */
typedef struct Simulation {
    double E, A, alpha, B, beta;
    double noise;
    double best_lr, curvature; /* both 0: the rate does not matter */
} Simulation;

enum { PROGRAM_COMMAND_MAX = 1024, PROGRAM_ARGUMENTS_MAX = 64, PROGRAM_EXPRESSION_MAX = 256, PROGRAM_DIRECTORY_MAX = 512 };

/* A program of the user's own that trains the run; docs/external-trainers.md is its contract. Texts may be "". */
typedef struct Program {
    char name[SWEEP_NAME_MAX];           /* of the model */
    char command[PROGRAM_COMMAND_MAX];   /* a JSON array of strings, with placeholders (command_expand) */
    char version[SWEEP_NAME_MAX];        /* the user's word for "this program gives other numbers now" */
    char params[PROGRAM_EXPRESSION_MAX]; /* arithmetic of the run's sizes (run_params, run_flops, run_steps) */
    char flops[PROGRAM_EXPRESSION_MAX];
    char steps[PROGRAM_EXPRESSION_MAX];
    char directory[PROGRAM_DIRECTORY_MAX]; /* absolute, to work in; "": the run's */
    double time_limit;                     /* seconds that an attempt may take; 0: any */
} Program;

/* What a run takes of a machine; 0: the scheduler's choice. */
typedef struct Resources {
    int64_t cpus;
    double memory; /* bytes */
    int64_t gpus;  /* devices; 0: none */
} Resources;

enum { RUN_FILE_MAX = 512 };

/* A file whose bytes decide the result. Where it lies is no part of the run's key. Both "": none. */
typedef struct RunFile {
    char path[RUN_FILE_MAX]; /* absolute */
    char digest[SHA256_HEX_MAX];
} RunFile;

typedef enum { MEAN_LOGITS, MEAN_SOFTMAX } OutputMean;
typedef enum { HEAD_FILE, HEAD_FRESH } InitHead;

/* What is measured on the test set at the end of a run, beside what is measured at every point. */
typedef struct TestSettings {
    int64_t crops;             /* of each image, over which the outputs are averaged; 0: none */
    Augmentation augmentation; /* that makes them; no MixUp */
    OutputMean mean;
    RunFile real; /* labels: several for an image */
} TestSettings;

/* ---- transfer: what the trained model comes to on other data ---- */

enum { RUN_TRANSFERS_MAX = 4, TRANSFER_NAME_MAX = 32 };

typedef enum {
    TRANSFER_LINEAR,   /* the body is frozen, a new head is trained on what it makes of the examples */
    TRANSFER_FINETUNE, /* a new head, and the body at a rate of its own */
} TransferKind;

/* An item of `eval`. Its seed, precision and subset seed are the run's. */
typedef struct Transfer {
    TransferKind kind;
    char name[TRANSFER_NAME_MAX]; /* its metrics are KIND.NAME.test_error and so on */
    char data_name[SWEEP_NAME_MAX];
    char data_digest[SHA256_HEX_MAX]; /* empty: sizes for planning only */
    char data_pack[RUN_FILE_MAX];     /* as the run's */
    int64_t classes;                  /* an example has the inputs of the run's */
    int64_t validation, examples;
    int64_t epochs, batch;
    OptimizerSettings optimizer; /* lr: of the head */
    double body_lr;              /* 0: the body is frozen */
    ScheduleSettings schedule;
    double label_smoothing;
    Augmentation augmentation;
    TestSettings test;
} Transfer;

const char *transfer_kind_text(TransferKind kind); /* "linear", "finetune" */
/* "linear.cifar100.test_error"; shorter than SWEEP_NAME_MAX as long as `metric` has at most 21 characters. */
void transfer_metric(const Transfer *transfer, const char *metric, char out[SWEEP_NAME_MAX]);

/* Everything that decides a run's result; and, no part of its key, where its files lie and what it may take to come to it:
 * program.directory, program.time_limit and resources. */
typedef struct Run {
    Architecture model; /* inputs and classes come from the data */
    char data_name[SWEEP_NAME_MAX];
    char data_digest[SHA256_HEX_MAX]; /* SHA-256 of the data set, see sweep_dataset_find; empty: sizes for planning only */
    char data_pack[RUN_FILE_MAX];     /* absolute path of the packed file, whose header has that name and digest; "": it is the home's */
    int64_t validation;               /* examples set apart before any subset is drawn; the same for every seed */
    uint64_t subset_seed;             /* which examples: class-proportional, nested. The file's data.subset_seed, else the run's seed */
    int64_t examples;                 /* N, distinct training examples */
    uint64_t seed;                    /* initial weights and the order of examples */
    int64_t epochs, batch;
    int64_t evaluations;         /* points along the run, log-spaced in steps from the end of the first epoch to the end of the last;
                                    the last is always at the end */
    OptimizerSettings optimizer; /* lr resolved to a number */
    ScheduleSettings schedule;
    double label_smoothing;
    Augmentation augmentation;
    RunFile init;       /* weights to start from, safetensors */
    InitHead init_head; /* fresh: the head is not taken from them */
    TestSettings test;
    Precision precision;
    TrainerKind trainer;
    Simulation simulation; /* TRAINER_SIMULATED only; 0 otherwise */
    Program program;       /* TRAINER_EXTERNAL only */
    size_t transfer_count; /* TRAINER_BUILTIN only */
    Transfer transfers[RUN_TRANSFERS_MAX];
    Resources resources;
} Run;

/* Of an external run these are what its program's expressions say, 0 where there is none: not known before the program has told. */
int64_t run_params(const Run *run);
int64_t run_params_body(const Run *run); /* without input layer and head; 0 for an external run */
int64_t run_steps(const Run *run);       /* of an external run without the expression: as the built-in trainer counts */
/* "B_2-Wi_16"; "resnet18_2-Wi_16" */
void run_model(const Run *run, char out[ARCH_NAME_MAX]);

Training run_training(const Run *run);
Flops run_flops(const Run *run); /* of an external run: exact and nd6 */
/* The run as which an item is trained: the model with another head, on the item's data. It has no transfers and one point, at its end. */
void run_transfer(const Run *run, size_t index, Run *out);
/* What it takes, never a part of run_flops. Of a frozen body, paper and 6nd count the forward pass alone: a third. */
Flops run_transfer_flops(const Run *run, size_t index);
double run_eval_flops(const Run *run); /* exact, of all items */
/* A frozen body that sees the same images in every epoch looks at each once: what it makes of them, [examples, width], is kept. Up to
 * TRANSFER_FEATURES_MAX bytes of single-precision numbers; a larger set is looked at in every epoch. */
enum { TRANSFER_FEATURES_MAX = 1 << 30 };
bool run_transfer_keeps_features(const Run *run, size_t index);

/* Bytes of memory that its tensors take: parameters, gradients, optimizer, the activations of one batch, and those of its largest transfer.
 * 0: it trains nothing. */
double run_tensor_bytes(const Run *run);
/* What it may take at most, as far as can be said before one like it was measured: beside its tensors a worker takes up to RUN_MEMORY_MORE.
 */
enum { RUN_MEMORY_MORE = 64 << 20 };
double run_memory_bytes(const Run *run);
/* Where the points are: fills steps[] (ascending, distinct, last = arch_steps) and returns how many, at most capacity. */
size_t run_evaluation_steps(const Run *run, int64_t *steps, size_t capacity);

/* The canonical text: one line of JSON, keys sorted, numbers in their shortest form. A setting that a later version adds is left
 * out while it has its default, so that keys stay. The SHA-256 of what decides the result is the run's key. */
int run_format(const Run *run, Buffer *out, Error *error);
int run_key(const Run *run, char key[RUN_KEY_MAX], Error *error);
/* Both; text: initialised, replaced. */
int run_identify(const Run *run, Buffer *text, char key[RUN_KEY_MAX], Error *error);
/* Reads a run's JSON, in any order and spacing, with the sweep file's checks (unknown key, type, range). Returns 0, -1, or
 * SWEEP_INVALID with the error naming path:line:column or the field. */
int run_parse(Run *out, const char *text, size_t size, const char *path, Error *error);

/* ---- settings by name: the columns of tables, what --where compares, and placeholders ---- */

enum { SETTING_NAME_MAX = 96 };

/* What decides the run's result, its limits and where its files lie, in turn, with the defaults that the canonical text leaves out; false
 * past the last. The name is the last part of the key's path ("lr", "padding"), or what the key names ("optimizer"); below `test` and in
 * an item of `eval` it says so: "test.padding", "linear.cifar100.epochs". No two are alike. value: JSON, appended. */
bool run_setting(const Run *run, size_t index, char name[SETTING_NAME_MAX], Buffer *value);

/* ---- an external program's arguments: "{width}" stands for the run's width, "{{" and "}}" for braces ---- */

/* Appends what a name stands for; false: it stands for nothing. */
typedef bool (*CommandValue)(void *context, const char *name, Buffer *out);
/* 0, or 1 with the reason. */
int command_expand(const char *argument, CommandValue value, void *context, Buffer *out, char *reason, size_t capacity);
/* The setting of that name (run_setting) as plain text: the run's own that are a number or a word. */
bool run_append_setting(const Run *run, const char *name, Buffer *out);

/* Data sets that the program knows by name. The digest is the SHA-256 over train images, train labels, test images and test
 * labels (the uncompressed IDX payloads without their headers, in that order). */
typedef struct Dataset {
    const char *name;
    const char *title; /* for figures: "Fashion-MNIST" */
    int64_t height, width, channels;
    int64_t inputs, classes, examples, test_examples;
    const char *digest;
} Dataset;

const Dataset *sweep_dataset_find(const char *name); /* NULL when unknown */
const Dataset *sweep_dataset_at(size_t index);       /* in turn, from 0; NULL past the last */

/* ---- the file ---- */

enum { SWEEP_INVALID = 1 }; /* the input is wrong; the error names file:line:column, the key's path, what was found, what is allowed */

/* The methods of fit.methods, in the order of their bits; the lists of losses, FLOP conventions and counts of parameters are those of the
 * enums. They are in the order in which the layer fit has them, too. */
#define SWEEP_FIT_NAMES "envelope", "isoflop", "parametric", "vpnls", "power"
enum {
    SWEEP_FIT_ENVELOPE = 1 << 0,
    SWEEP_FIT_ISOFLOP = 1 << 1,
    SWEEP_FIT_PARAMETRIC = 1 << 2,
    SWEEP_FIT_VPNLS = 1 << 3,
    SWEEP_FIT_POWER = 1 << 4,
};
typedef enum { SWEEP_LOSS_HUBER, SWEEP_LOSS_MSE, SWEEP_LOSS_ASYMMETRIC } SweepLoss;
typedef enum { SWEEP_FLOPS_EXACT, SWEEP_FLOPS_PAPER, SWEEP_FLOPS_6ND } SweepFlops;
typedef enum { SWEEP_PARAMS_TOTAL, SWEEP_PARAMS_BODY } SweepParams;

typedef struct FitSettings {
    char metric[SWEEP_NAME_MAX]; /* default "test_error" */
    char select[SWEEP_NAME_MAX]; /* chooses among tuned settings; default: the validation metric of the kind of `metric` */
    unsigned methods;            /* SWEEP_FIT bits, default parametric and isoflop */
    SweepLoss loss;              /* default huber */
    SweepFlops flops;            /* what C is, default exact */
    SweepParams params;          /* what P is, default total */
    double drop_first_share;     /* of the runs, those of least compute; [0, 1), default 0 */
    int64_t bootstrap;           /* resamples, default 1000; 0: none */
} FitSettings;

typedef struct Sweep Sweep;

/* path is for messages, and for the paths in the file, which begin where it lies. Returns 0, -1, or SWEEP_INVALID. */
int sweep_parse(Sweep **out, const char *text, size_t size, const char *path, Error *error);
/* A file that was submitted as `name`: it may lie elsewhere by now, and what it names too. What that was then is taken from a run of it;
 * NULL: not known, and its runs have other keys. */
int sweep_parse_stored(Sweep **out, const char *text, size_t size, const char *name, const Run *known, Error *error);
void sweep_free(Sweep *sweep);
const char *sweep_name(const Sweep *sweep);
const char *sweep_data_name(const Sweep *sweep); /* "" when sizes stand in its place */
const FitSettings *sweep_fit_settings(const Sweep *sweep);
size_t sweep_transfer_count(const Sweep *sweep);
const Transfer *sweep_transfer(const Sweep *sweep, size_t index);
/* Data are missing: the file names such as are not in this home, or states sizes where its trainer needs data. It can be planned, not run.
 */
bool sweep_is_plan_only(const Sweep *sweep);
/* Which, and what makes them; nothing when none are. */
void sweep_append_missing(const Sweep *sweep, Buffer *out);
/* The same as a refusal: 0, or SWEEP_INVALID with the error naming the path. */
int sweep_check_data(const Sweep *sweep, const char *path, Error *error);
/* What the file names beside its data: the labels of test.real must be of the test set's images and classes, the tensors of train.init
 * those of every run's model. Reads the labels, and of the weights the header. 0, SWEEP_INVALID with the error naming path, key and file,
 * or -1. */
int sweep_check_files(const Sweep *sweep, const char *path, Error *error);
/* Tensors whose names begin so may stand beside weights to start from: a checkpoint's. */
#define WEIGHTS_IGNORED "optimizer."
bool sweep_is_simulated(const Sweep *sweep);
bool sweep_is_external(const Sweep *sweep);

/* Distinct runs, after include and exclude. Cheap: found once, while parsing. */
int64_t sweep_run_count(const Sweep *sweep);

/* Runs in the file's order, the last axis fastest, each run once. Runs are made as they are asked for, so that a large grid takes no
 * memory. A cursor is a value; it needs no clearing. */
typedef struct SweepCursor {
    const Sweep *sweep;
    int64_t cell;
    size_t include;
} SweepCursor;

void sweep_cursor_init(SweepCursor *cursor, const Sweep *sweep);
/* true with *out filled; false after the last run. */
bool sweep_cursor_next(SweepCursor *cursor, Run *out);

/* ---- tuning: the keys of `tune`, of which every cell tries every value ----
 *
 * The runs of a cell differ in tuned keys and seed alone; a fit takes of each cell one setting, the one that does best by
 * FitSettings.select. */
enum { SWEEP_TUNED_MAX = 8 };

typedef struct TunedValue {
    char name[SWEEP_NAME_MAX]; /* of the key, as it stands below train; "lr" is short for "optimizer.lr" */
    char text[SWEEP_NAME_MAX]; /* the run's value: "0.003", "cosine"; of a rule, the rule */
    size_t index, count;       /* where it stands among the key's values: [0, count), ascending when `ordered` */
    bool ordered;         /* numbers: the first and the last are the edges of what was tried; words are not, nor are rules of other bases */
    bool lowest, highest; /* the key allows no number below, or above */
} TunedValue;

size_t sweep_tuned_count(const Sweep *sweep); /* of keys; 0: nothing is tuned */
/* Of a run of the sweep; key in [0, sweep_tuned_count). */
void sweep_tuned_value(const Sweep *sweep, const Run *run, size_t key, TunedValue *out);
/* A number for the run's combination of tuned values, the same in every cell; 0 when nothing is tuned. */
int64_t sweep_tuned_setting(const Sweep *sweep, const Run *run);
/* Sets the tuned keys to one value for all: what is left tells cells apart (and seeds). */
void sweep_untune(const Sweep *sweep, Run *run);

/* ---- designs: examples chosen so that models of many sizes share each of several budgets of compute ---- */

enum { DESIGN_SIZES_MIN = 3, DESIGN_MODELS_MAX = 4096 };

typedef enum {
    DESIGN_TAKEN,
    DESIGN_OTHERS,     /* affordable, but others stand nearer to the places that are to be filled */
    DESIGN_FAR,        /* affordable, but beyond the span around the centre */
    DESIGN_TOO_FEW,    /* the budget pays for fewer examples than a batch */
    DESIGN_TOO_MANY,   /* the budget pays for more examples than the data have */
    DESIGN_OFF_BUDGET, /* no whole number of steps comes within 0.5 % of the budget */
    DESIGN_DOUBLE,     /* a model before it has the same number of parameters within 1 % */
    DESIGN_EXCLUDED,   /* the file excludes the model */
    DESIGN_LONELY,     /* it would be taken, but the budget has fewer than 3 sizes */
    DESIGN_VERDICTS,
} DesignVerdict;

/* A model at a budget. */
typedef struct DesignCell {
    int64_t depth, width, params;
    int64_t examples, batch; /* 0 where the budget is out of reach */
    double flops;            /* that the run comes to, in the design's count */
    DesignVerdict verdict;
} DesignCell;

typedef struct DesignBudget {
    double flops;
    double centre; /* parameters; NaN when no model is affordable */
    size_t taken;
    DesignCell *cells; /* [model_count], by parameters */
} DesignBudget;

typedef struct Design {
    SweepFlops count; /* what budgets are counted in */
    size_t budget_count, model_count;
    DesignBudget *budgets;
} Design;

const Design *sweep_design(const Sweep *sweep);         /* NULL when the file has none */
const char *design_verdict_code(DesignVerdict verdict); /* for programs: "taken", "far", ... (docs/sweep-file.md) */
const char *design_verdict_text(DesignVerdict verdict); /* for people: "beyond the span around the centre" */
