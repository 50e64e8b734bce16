/* --where: which runs, or rows of a table, are wanted: comparisons joined by `and`, such as
 *
 *     depth = 1 and lr >= 1e-3 and optimizer = lion and state != cancelled
 *
 * A comparison is NAME OPERATOR VALUE; the operators are = != < <= > >= (== is =). A value is a number, a word, or text in quotes. Where
 * the field is a number the value must be one; text knows = and != alone. What lacks the field does not match, whatever the operator. */
#pragma once

#include "cli.h"

enum { WHERE_TEXT_MAX = 1024, WHERE_TERMS_MAX = 16, WHERE_NAME_MAX = 48, WHERE_VALUE_MAX = 64 };

typedef enum { WHERE_EQUAL, WHERE_UNEQUAL, WHERE_LESS, WHERE_AT_MOST, WHERE_GREATER, WHERE_AT_LEAST } WhereOperator;

typedef struct WhereTerm {
    char name[WHERE_NAME_MAX];
    WhereOperator operator;
    char text[WHERE_VALUE_MAX];
    double number; /* NaN: the value is no number */
    size_t at;     /* where it begins, from 1 */
    bool known;    /* something that was looked at had the field */
} WhereTerm;

typedef struct Where {
    WhereTerm terms[WHERE_TERMS_MAX];
    size_t count; /* 0: everything is wanted */
} Where;

/* What something has under a name. text is NULL for a number; both NULL and NaN: it has no such field. */
typedef struct WhereField {
    double number;
    const char *text;
} WhereField;

typedef WhereField (*WhereLookup)(const void *context, const char *name);

/* 0, or CLI_USAGE with the position of the mistake. */
int where_parse(Where *out, const char *text, Error *error);
/* 0, or CLI_USAGE: a field and a value of different kinds, or an operator that text does not know. */
int where_holds(Where *where, WhereLookup lookup, const void *context, bool *holds, Error *error);
/* After everything was looked at. CLI_USAGE: a name that nothing had, which is a mistyped one. names: the ones that there are, for the
 * message. */
int where_check_names(const Where *where, const char *names, Error *error);
