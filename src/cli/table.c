#include "table.h"

#include <libsmartcols.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

enum { TABLE_COLUMNS_MAX = 96, CELL_MAX = 512, GAP = 2 };

typedef struct Cell {
    char *text;
    const char *color; /* static */
} Cell;

typedef struct Column {
    char title[64];
    unsigned style;
    int rank;
    size_t width; /* of its widest cell */
    bool dropped;
} Column;

struct Table {
    const Cli *cli;
    Column columns[TABLE_COLUMNS_MAX];
    size_t column_count;
    Cell *cells;
    size_t cell_count, cell_capacity;
    bool failed;
};

static size_t text_width(const char *text) {
    size_t width = 0;
    wchar_t wide;
    mbstate_t state = {0};
    for (size_t used; *text && (used = mbrtowc(&wide, text, MB_CUR_MAX, &state)) > 0; text += used) {
        if (used > MB_CUR_MAX)
            return strlen(text) + width;
        width += (size_t)(wcwidth(wide) > 0 ? wcwidth(wide) : 0);
    }
    return width;
}

/* What the locale cannot show becomes \xff. smartcols would do so, too, and to the backslash of one that stands in the text already. */
static void copy_printable(char out[CELL_MAX], const char *text) {
    enum { ESCAPE = 4 };
    mbstate_t state = {0};
    size_t at = 0, size;
    for (; *text; text += size) {
        wchar_t wide;
        size = mbrtowc(&wide, text, MB_CUR_MAX, &state);
        bool valid = size <= MB_CUR_MAX, shown = valid && iswprint((wint_t)wide);
        state = (mbstate_t){0};
        size = valid ? size : 1;
        if (at + (shown ? size : size * ESCAPE) >= CELL_MAX)
            break;
        if (shown)
            memcpy(out + at, text, size);
        for (size_t i = 0; i < size && !shown; i++)
            snprintf(out + at + i * ESCAPE, ESCAPE + 1, "\\x%02x", (unsigned)(unsigned char)text[i]);
        at += shown ? size : size * ESCAPE;
    }
    out[at] = '\0';
}

int table_new(Table **out, const Cli *cli, Error *error) {
    *out = calloc(1, sizeof **out);
    if (!*out)
        return error_set(error, "out of memory");
    (*out)->cli = cli;
    return 0;
}

void table_free(Table *table) {
    if (!table)
        return;
    for (size_t i = 0; i < table->cell_count; i++)
        free(table->cells[i].text);
    free(table->cells);
    free(table);
}

void table_column(Table *table, const char *title, unsigned style, int rank) {
    if (table->column_count == TABLE_COLUMNS_MAX) {
        table->failed = true;
        return;
    }
    Column *column = &table->columns[table->column_count++];
    text_copy(column->title, sizeof column->title, title);
    column->style = style;
    column->rank = rank;
    column->width = text_width(title);
}

static bool cells_grow(Table *table) {
    size_t capacity = table->cell_capacity ? 2 * table->cell_capacity : 256;
    Cell *cells = reallocarray(table->cells, capacity, sizeof *cells);
    if (!cells)
        return false;
    table->cells = cells;
    table->cell_capacity = capacity;
    return true;
}

void table_cell(Table *table, const char *format, ...) {
    char raw[CELL_MAX], text[CELL_MAX];
    va_list values;
    va_start(values, format);
    vsnprintf(raw, sizeof raw, format, values);
    va_end(values);
    copy_printable(text, raw);
    if (table->failed || table->column_count == 0 || (table->cell_count == table->cell_capacity && !cells_grow(table))) {
        table->failed = true;
        return;
    }
    Column *column = &table->columns[table->cell_count % table->column_count];
    size_t width = text_width(text);
    if (width > column->width)
        column->width = width;
    Cell *cell = &table->cells[table->cell_count];
    cell->color = NULL;
    cell->text = strdup(text);
    if (cell->text)
        table->cell_count++;
    else
        table->failed = true;
}

void table_color(Table *table, const char *color) {
    if (table->cell_count)
        table->cells[table->cell_count - 1].color = color;
}

/* With the column that may be cut counted as short as its title allows. */
static size_t table_width(const Table *table) {
    size_t width = 0;
    for (size_t i = 0; i < table->column_count; i++) {
        const Column *column = &table->columns[i];
        size_t shortest = strlen(column->title) > 8 ? strlen(column->title) : 8;
        if (!column->dropped)
            width += GAP + (column->style & TABLE_CUT && column->width > shortest ? shortest : column->width);
    }
    return width ? width - GAP : 0;
}

/* A column of rank 1 and above with nothing in it says nothing. */
static void drop_empty(Table *table) {
    bool filled[TABLE_COLUMNS_MAX] = {0};
    for (size_t i = 0; i < table->cell_count; i++)
        filled[i % table->column_count] |= *table->cells[i].text != '\0';
    for (size_t i = 0; i < table->column_count; i++)
        table->columns[i].dropped = !filled[i] && table->columns[i].rank > 0 && table->cell_count > 0;
}

static bool is_too_wide(const Table *table) {
    return table->cli->width && table_width(table) > (size_t)table->cli->width;
}

static void table_fit(Table *table) {
    drop_empty(table);
    while (is_too_wide(table)) {
        Column *last = NULL;
        for (size_t i = 0; i < table->column_count; i++) {
            Column *column = &table->columns[i];
            if (!column->dropped && column->rank > 0 && (!last || column->rank >= last->rank))
                last = column;
        }
        if (!last)
            return;
        last->dropped = true;
    }
}

static bool lines_fill(const Table *table, struct libscols_table *out) {
    for (size_t first = 0; first + table->column_count <= table->cell_count; first += table->column_count) {
        struct libscols_line *line = scols_table_new_line(out, NULL);
        size_t at = 0;
        for (size_t i = 0; line && i < table->column_count; i++) {
            const Cell *cell = &table->cells[first + i];
            if (table->columns[i].dropped)
                continue;
            if (scols_line_set_data(line, at, cell->text))
                return false;
            if (cell->color && table->cli->color && scols_cell_set_color(scols_line_get_cell(line, at), cell->color))
                return false;
            at++;
        }
        if (!line)
            return false;
    }
    return true;
}

static bool columns_fill(const Table *table, struct libscols_table *out) {
    for (size_t i = 0; i < table->column_count; i++) {
        const Column *column = &table->columns[i];
        if (column->dropped)
            continue;
        int flags = (column->style & TABLE_RIGHT ? SCOLS_FL_RIGHT : 0) | (column->style & TABLE_CUT ? SCOLS_FL_TRUNC : 0);
        struct libscols_column *made = scols_table_new_column(out, column->title, 1, flags);
        if (!made)
            return false;
        if (table->cli->color)
            scols_cell_set_color(scols_column_get_header(made), "bold");
    }
    return true;
}

static int print_columns(const Table *table, Error *error) {
    struct libscols_table *out = scols_new_table();
    bool limited = table->cli->width > 0;
    bool right = !table->failed && out && columns_fill(table, out) && lines_fill(table, out);
    if (right) {
        scols_table_enable_noencoding(out, 1);
        scols_table_enable_colors(out, table->cli->color);
        scols_table_set_column_separator(out, "  ");
        scols_table_set_termforce(out, limited ? SCOLS_TERMFORCE_ALWAYS : SCOLS_TERMFORCE_NEVER);
        if (limited)
            scols_table_set_termwidth(out, (size_t)table->cli->width);
        right = scols_print_table(out) == 0;
    }
    scols_unref_table(out);
    return right ? 0 : error_set(error, "cannot lay out a table");
}

int table_print(Table *table, Error *error) {
    table_fit(table);
    return print_columns(table, error);
}

/* Takes up what fits of the columns that wait, at least one; whether others go on waiting. */
static bool take_part(Table *table, size_t repeated, bool waiting[TABLE_COLUMNS_MAX]) {
    size_t taken = 0;
    for (size_t i = repeated; i < table->column_count; i++)
        table->columns[i].dropped = true;
    for (size_t i = repeated; i < table->column_count; i++) {
        if (!waiting[i])
            continue;
        table->columns[i].dropped = false;
        if (taken > 0 && is_too_wide(table)) {
            table->columns[i].dropped = true;
            return true;
        }
        waiting[i] = false;
        taken++;
    }
    return false;
}

int table_print_parts(Table *table, size_t repeated, Error *error) {
    bool waiting[TABLE_COLUMNS_MAX];
    drop_empty(table);
    for (size_t i = 0; i < table->column_count; i++)
        waiting[i] = !table->columns[i].dropped;
    for (;;) {
        bool more = take_part(table, repeated, waiting);
        int result = print_columns(table, error);
        if (result || !more)
            return result;
        putchar('\n');
    }
}
