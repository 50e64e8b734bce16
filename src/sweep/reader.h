/* reader (private to sweep): what the parts of the sweep file's parser share. keys.c finds which keys a map has, scalars.c reads single
 * values, axis.c the grid, cells.c include and exclude, file.c puts them together. Every int result is 0, -1 or SWEEP_INVALID. */
#pragma once

#include "grid.h"
#include "tree.h"

typedef struct Reader {
    Tree tree;
    Sweep *sweep;
    const Node *nodes[FIELDS]; /* where the file gives a field, in train or in grid alike */
    int64_t available;         /* examples that a run may have */
    char available_why[256];
    bool stored;      /* what the file names is not looked at */
    const Run *known; /* then: one that tells what it was, or NULL */
} Reader;

typedef enum {
    KEYS_FILE,     /* nested keys: the path in the file is the path of the field */
    KEYS_TRAIN,    /* nested or dotted keys below train; lr is short for optimizer.lr */
    KEYS_CELL,     /* the same that can be axes, and the keys of grid: as grid and exclude have them */
    KEYS_INCLUDE,  /* the same, and spans */
    KEYS_RULE,     /* an lr rule */
    KEYS_TRANSFER, /* an item of eval: its own keys, and data, examples and those of train */
} KeySet;

/* The fields that a map gives, in its order. */
typedef struct Keys {
    const Node *nodes[FIELDS];
    FieldId order[FIELDS];
    size_t count;
} Keys;

/* Adds the map's keys to `keys`. Unknown and doubled keys are refused. */
int keys_gather(Reader *reader, KeySet set, const Node *map, Keys *keys);

/* Refuses a value: what was found, what the field allows, and `more` after it. */
int refuse_value(Reader *reader, const Field *field, const Node *node, const char *more);
int scalar_read(Reader *reader, const Field *field, const Node *node, const char *more, Value *out);
/* An lr rule; node is a map. */
int rule_read(Reader *reader, const Node *node, RateRule *out);
/* A list of two numbers, into a draft or a run. */
int span_read(Reader *reader, const Field *field, const Node *node, void *draft);
bool rule_equal(const RateRule *a, const RateRule *b);
bool text_is_printable(const char *text); /* without control characters */
/* The path of a file: made absolute, with its digest. */
int file_field_read(Reader *reader, const Field *field, const Node *node, Draft *draft);
/* The path alone, for data_read; of a stored file as it is written. */
int pack_field_read(Reader *reader, const Field *field, const Node *node, Draft *draft);
/* Reads and stores one field outside the grid, of any type but TYPE_CELLS and TYPE_TRANSFERS. */
int field_read(Reader *reader, const Field *field, const Node *node, Draft *draft);
/* More than the data have: refused at the node. */
int examples_check(Reader *reader, const Node *node, int64_t examples);

/* Which data `map` names, whose fields are in `nodes` and, so far, in the draft. known: of a stored file, a run that tells what they
 * were, and what lies there now is not taken for them; or NULL. */
int data_read(Reader *reader, const Node *const nodes[FIELDS], const Node *map, const Run *known, Draft *draft);
/* Images are cropped out of themselves with so many pixels around them: refused where these are more than height and width
 * together. shape: 0: not known. */
int padding_check(Reader *reader, const Node *node, int64_t padding, const int64_t shape[3]);
/* The items of eval, into the draft that all runs share; after data. */
int transfers_read(Reader *reader, const Node *list);

int axis_read(Reader *reader, const Field *field, const Node *node, bool tuned);
int exclude_read(Reader *reader, const Node *node);
int include_read(Reader *reader, const Node *node);
/* Adds the design's axis; before exclusions are read. */
int design_read_axis(Reader *reader);
/* Chooses models and examples; after exclusions are read. */
int design_make(Reader *reader);
