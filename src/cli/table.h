/* Tables, over libsmartcols. A table fits the width that the Cli states: columns of the highest rank go first, then the one
 * column that may be cut is cut. With no limit (a pipe) it is plain text with everything in it. */
#pragma once

#include "cli.h"

typedef struct Table Table;

typedef enum {
    TABLE_LEFT = 0,
    TABLE_RIGHT = 1 << 0,
    TABLE_CUT = 1 << 1, /* may be shortened to fit */
} TableStyle;

int table_new(Table **out, const Cli *cli, Error *error);
void table_free(Table *table);
/* rank 0 always stays; of the others the highest goes first when the table is too wide. title: copied. */
void table_column(Table *table, const char *title, unsigned style, int rank);
/* The next cell, row by row. Failures are kept and reported by table_print. */
void table_cell(Table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Colour of the cell added last: an escape name of libsmartcols ("green", "red", "brown", "bold"). */
void table_color(Table *table, const char *color);
/* To stdout. */
int table_print(Table *table, Error *error);
/* The same with nothing left out: columns that do not fit go on in tables below, each of which begins with the first `repeated` columns. */
int table_print_parts(Table *table, size_t repeated, Error *error);
