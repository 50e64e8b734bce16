/* schema (private to sweep): one table of every key that a sweep file or a run's JSON may have. Type checks, ranges, defaults, the texts
 * that say what is allowed, the canonical form of a run and the reference in docs/sweep-file.md all come from it or are tested against it.
 */
#pragma once

#include "sweepd/sweep.h"

/* lr as a rule: value x (width / base_width)^power, at most max. */
typedef struct RateRule {
    double value;
    int64_t base_width;
    double power;
    double max;
} RateRule;

/* An IsoFLOP design as the file states it. */
typedef struct DesignSettings {
    int kind;
    double from, to; /* budgets, flops */
    int64_t points, sizes;
    SweepFlops flops;
    double coefficient, exponent; /* of the centre's law P*(C); 0: the middle of what is affordable */
    double span;
} DesignSettings;

/* What a field's offset points into. `run` comes first, so that the offset of one of its fields serves for a bare Run too. */
typedef struct Draft {
    Run run;
    RateRule rule;
    int64_t version;
    char name[SWEEP_NAME_MAX];
    int64_t data_examples, data_tests; /* tests: in the test set; 0: not known */
    int64_t data_shape[3];             /* height, width, channels; 0: not known */
    DesignSettings design;
    FitSettings fit;
    int transfer_kind; /* these of an item of eval, whose other settings are those of `run` */
    char transfer_name[SWEEP_NAME_MAX];
    double head_lr, body_lr;
} Draft;

_Static_assert(offsetof(Draft, run) == 0, "field offsets serve for Draft and Run");

typedef enum {
    TYPE_INTEGER,    /* int64_t, or uint64_t below 2^63 */
    TYPE_NUMBER,     /* double */
    TYPE_CHOICE,     /* an enum whose values index `choices` */
    TYPE_CHOICES,    /* unsigned: bit i for choices[i] */
    TYPE_SPAN,       /* double[2]: from and to, the first no larger; both 0: not given */
    TYPE_NAME,       /* char[SWEEP_NAME_MAX] */
    TYPE_METRIC,     /* the same; what the runs measure is known when their other settings are (run_metric) */
    TYPE_DIGEST,     /* char[SHA256_HEX_MAX] */
    TYPE_CELLS,      /* a list of maps of grid keys; kept as a Sweep's exclusions and includes */
    TYPE_AXES,       /* a map of train keys, each an axis */
    TYPE_TRANSFERS,  /* a list of maps, each an item of eval; kept as the run's transfers */
    TYPE_COMMAND,    /* char[PROGRAM_COMMAND_MAX] */
    TYPE_EXPRESSION, /* char[PROGRAM_EXPRESSION_MAX] */
    TYPE_DIRECTORY,  /* char[PROGRAM_DIRECTORY_MAX], absolute */
    TYPE_FILE,       /* RunFile; in a file one path, of a run the path alone */
    TYPE_PACK,       /* char[RUN_FILE_MAX], the path of packed data */
} FieldType;

typedef enum {
    FIELD_VERSION,
    FIELD_NAME,
    FIELD_DATA_NAME,
    FIELD_DATA_DIGEST,
    FIELD_DATA_PACK,
    FIELD_VALIDATION,
    FIELD_SUBSET_SEED,
    FIELD_INPUTS,
    FIELD_CLASSES,
    FIELD_DATA_EXAMPLES,
    FIELD_KIND,
    FIELD_MODEL_NAME,
    FIELD_EXPANSION,
    FIELD_FORM,
    FIELD_DROPOUT,
    FIELD_DEPTH,
    FIELD_WIDTH,
    FIELD_EXAMPLES,
    FIELD_SEED,
    FIELD_EPOCHS,
    FIELD_BATCH,
    FIELD_OPTIMIZER,
    FIELD_LR,
    FIELD_WEIGHT_DECAY,
    FIELD_BETA1,
    FIELD_BETA2,
    FIELD_EPSILON,
    FIELD_MOMENTUM,
    FIELD_SCHEDULE,
    FIELD_WARMUP,
    FIELD_DECAY,
    FIELD_LABEL_SMOOTHING,
    FIELD_EVALUATIONS,
    FIELD_PRECISION,
    FIELD_PADDING,
    FIELD_CROP_RATIO,
    FIELD_CROP_SCALE,
    FIELD_FLIP,
    FIELD_MIXUP,
    FIELD_INIT,
    FIELD_INIT_DIGEST,
    FIELD_INIT_HEAD,
    FIELD_CROPS,
    FIELD_TEST_PADDING,
    FIELD_TEST_RATIO,
    FIELD_TEST_SCALE,
    FIELD_TEST_FLIP,
    FIELD_MEAN,
    FIELD_REAL,
    FIELD_REAL_DIGEST,
    FIELD_TRAINER,
    FIELD_LAW_E,
    FIELD_LAW_A,
    FIELD_LAW_ALPHA,
    FIELD_LAW_B,
    FIELD_LAW_BETA,
    FIELD_NOISE,
    FIELD_BEST_LR,
    FIELD_CURVATURE,
    FIELD_COMMAND,
    FIELD_PROGRAM_VERSION,
    FIELD_PARAMS,
    FIELD_FLOPS,
    FIELD_STEPS,
    FIELD_DIRECTORY,
    FIELD_TIME_LIMIT,
    FIELD_CPUS,
    FIELD_MEMORY,
    FIELD_GPUS,
    FIELD_DESIGN,
    FIELD_BUDGETS_FROM,
    FIELD_BUDGETS_TO,
    FIELD_BUDGETS_POINTS,
    FIELD_SIZES,
    FIELD_DESIGN_FLOPS,
    FIELD_CENTRE_COEFFICIENT,
    FIELD_CENTRE_EXPONENT,
    FIELD_SPAN,
    FIELD_TRANSFERS,
    FIELD_TRANSFER_KIND, /* its keys are those below eval, and others (transfer_has) */
    FIELD_TRANSFER_NAME,
    FIELD_HEAD_LR,
    FIELD_BODY_LR,
    FIELD_TUNE,
    FIELD_INCLUDE,
    FIELD_EXCLUDE,
    FIELD_FIT_METRIC,
    FIELD_FIT_SELECT,
    FIELD_FIT_METHODS,
    FIELD_FIT_LOSS,
    FIELD_FIT_FLOPS,
    FIELD_FIT_PARAMS,
    FIELD_FIT_DROP_FIRST,
    FIELD_FIT_BOOTSTRAP,
    FIELD_RULE_VALUE, /* from here on: the keys of an lr rule */
    FIELD_RULE_BASE_WIDTH,
    FIELD_RULE_POWER,
    FIELD_RULE_MAX,
    FIELDS,
} FieldId;

typedef struct Field {
    const char *file; /* its path in a sweep file; NULL: not there */
    const char *run;  /* its path in a run's JSON; NULL: not there */
    FieldType type;
    size_t offset;       /* into Draft */
    int64_t least, most; /* TYPE_INTEGER */
    double low, high;    /* TYPE_NUMBER */
    bool low_open, high_open;
    const char *const *choices; /* ends with NULL */
    const char *standard;       /* the default as text; NULL: none, or one that depends on the optimizer or the schedule */
    bool required;
    const char *within; /* required only in a file that has this section; NULL: in every file */
    bool optional;      /* 0 or "" stands for "not given", and is left out of a run's text */
    bool limit;         /* decides no result: no part of a run's key */
    bool axis;          /* may be in grid, include and exclude */
    FieldId chooser;    /* with `chosen`: the field exists only for these of the chooser's values (a bit each); 0: always */
    unsigned chosen;
    const char *meaning;
} Field;

extern const Field schema_fields[FIELDS];

/* NULL when no field has the path. */
const Field *schema_find_file(const char *path);
const Field *schema_find_run(const char *path);
bool schema_has_group_file(const char *path); /* some field lies below the path */
bool schema_has_group_run(const char *path);

/* "an integer from 1 to 1000". */
void schema_expected(const Field *field, Buffer *out);
/* The field is a text, with room for so many bytes; 0: it is none. */
size_t schema_text_capacity(const Field *field);
/* Whether the field exists for the run's model, optimizer and schedule. */
bool schema_applies(const Field *field, const Run *run);
/* "lion has no momentum; expected one of name, lr, ...": for a field that does not apply. */
void schema_absence(const Field *field, const Run *run, Buffer *out);

/* A scalar, not yet stored. */
typedef union Value {
    int64_t integer;
    double number;
    int choice;
} Value;

/* Reads a scalar's text as the field's type, TYPE_INTEGER, TYPE_NUMBER or TYPE_CHOICE, within its range; false when it is none. */
bool value_read(const Field *field, const char *text, Value *out);
bool value_in_range(const Field *field, Value value);
bool value_equal(const Field *field, Value a, Value b);
void value_store(const Field *field, Value value, void *draft);
Value value_load(const Field *field, const void *draft);
/* TYPE_SPAN. */
const double *value_span(const Field *field, const void *draft);
bool value_store_span(const Field *field, double low, double high, void *draft); /* false: out of range */
bool value_is_name(const char *text);                                            /* see SWEEP_NAME_MAX */
bool value_is_digest(const char *text);                                          /* 64 lower-case hexadecimal digits */
/* Text as a number, whatever its range: decimal, with an optional fraction and exponent. */
bool value_read_integer(const char *text, int64_t *out);
bool value_read_number(const char *text, double *out);
/* Twelve digits: what pow leaves beyond them differs between machines, and a run's key should not. */
double value_round(double value);

/* Whether the text is arithmetic, and its names are known; `params` only where has_params. 0, or 1 with the reason. */
int expression_check(const char *text, bool has_params, char *reason, size_t capacity);
/* NaN where it has no value. */
double expression_value(const char *text, const Run *run);
/* Whether the arguments' placeholders are known. */
int command_check(const char *argument, char *reason, size_t capacity);
/* That every expression of an external run has a value that can be. 0, or 1 with the reason. */
int program_check(const Run *run, char *reason, size_t capacity);

/* Fills the fields that `given` [FIELDS] lacks and that have a default in the table; not those of an lr rule, which is read whole. */
void schema_fill(Draft *draft, const bool given[FIELDS]);
/* Fills the defaults that depend on the optimizer and the schedule, and makes 0 what they lack. */
void schema_fill_kinds(Run *run, const bool given[FIELDS]);

/* Of `count` candidates the nearest to a mistyped word, or NULL when none is near. */
const char *schema_nearest(const char *word, const char *const *candidates, size_t count);

/* What a run may not be although each of its fields is in range: 0, or 1 with the reason. */
int schema_check_run(const Run *run, char *reason, size_t capacity);
/* The same, for what a sweep file may not ask for although a run that was kept may have it. */
int schema_check_schedule(const Run *run, char *reason, size_t capacity);

/* ---- the items of eval: transfer.c ---- */

/* Whether the field may be in an item of a sweep file. */
bool transfer_has(const Field *field);
/* The fields of an item's JSON, in the order of their paths; NULL past the last. */
const Field *transfer_field(size_t index);
/* Its path there. */
const char *transfer_path(const Field *field);
/* The item as a draft has it. */
void transfer_take(Transfer *out, const Draft *draft);
/* What an item says, with nothing of the run it belongs to. */
void transfer_give(const Transfer *transfer, Draft *out);
/* Fills the defaults of an item whose given fields are read; before that, data and optimizer. */
void transfer_fill(Draft *draft, bool given[FIELDS]);
