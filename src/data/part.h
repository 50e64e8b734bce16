/* part (private): what is there of a download, and beside it, in PATH.part.from, what it is a part of. */
#pragma once

#include "dataset.h"

enum { VALIDATOR_MAX = 512 };

typedef struct PartOrigin {
    char url[PATH_TEXT_MAX];
    char validator[VALIDATOR_MAX]; /* the server's ETag or Last-Modified, as it stands; "": it sent none */
    int64_t total;                 /* bytes of the whole; -1: not known */
} PartOrigin;

typedef struct Part {
    char path[PATH_TEXT_MAX], origin_path[PATH_TEXT_MAX];
    int descriptor; /* locked; -1: not open */
    int64_t size;
    PartOrigin origin;
    bool has_origin;
} Part;

/* Opens and locks PATH.part: of two that fetch the same file, the second is told. 0, DATA_REFUSED, -1; part_close in any case. */
int part_open(Part *part, const char *path, Error *error);
/* An empty part goes. */
void part_close(Part *part);
/* Empties the part for a file from there. */
int part_begin(Part *part, const PartOrigin *origin, Error *error);
/* The next download begins anew; until then the bytes stay. */
void part_disown(Part *part);
void part_remove(Part *part);
/* The part becomes PATH. */
int part_publish(Part *part, const char *path, Error *error);
