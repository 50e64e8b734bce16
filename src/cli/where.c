#include "where.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Parser {
    const char *text, *at;
    Error *error;
} Parser;

static size_t position(const Parser *parser, const char *at) {
    return (size_t)(at - parser->text) + 1;
}

static int fail(const Parser *parser, const char *at, const char *what) {
    if (*at)
        return cli_usage(parser->error, "--where, character %zu: %s, not '%.24s'", position(parser, at), what, at);
    return cli_usage(parser->error, "--where, character %zu: %s, but the expression ends", position(parser, at), what);
}

static void skip_blanks(Parser *parser) {
    while (isspace((unsigned char)*parser->at))
        parser->at++;
}

static bool name_has(char c) {
    return isalnum((unsigned char)c) || c == '_' || c == '.';
}

static int read_name(Parser *parser, WhereTerm *term) {
    size_t length = 0;
    skip_blanks(parser);
    while (name_has(parser->at[length]) || (length > 0 && parser->at[length] == '-')) /* linear.fashion-5-9.test_error */
        length++;
    if (length == 0 || isdigit((unsigned char)*parser->at))
        return fail(parser, parser->at, "a field's name was expected");
    if (length >= sizeof term->name)
        return fail(parser, parser->at, "a name of fewer characters was expected");
    term->at = position(parser, parser->at);
    text_copy(term->name, length + 1, parser->at);
    parser->at += length;
    return 0;
}

static int read_operator(Parser *parser, WhereTerm *term) {
    static const struct {
        const char *text;
        WhereOperator operator;
    } operators[] = {{"==", WHERE_EQUAL}, {"!=", WHERE_UNEQUAL}, {"<=", WHERE_AT_MOST}, {">=", WHERE_AT_LEAST},
                     {"=", WHERE_EQUAL},  {"<", WHERE_LESS},     {">", WHERE_GREATER}};
    skip_blanks(parser);
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (!strncmp(parser->at, operators[i].text, strlen(operators[i].text))) {
            term->operator= operators[i].operator;
            parser->at += strlen(operators[i].text);
            return 0;
        }
    return fail(parser, parser->at, "one of = != < <= > >= was expected");
}

static int read_value(Parser *parser, WhereTerm *term) {
    skip_blanks(parser);
    const char *begin = parser->at;
    char quote = *begin == '"' || *begin == '\'' ? *begin : '\0';
    begin += quote != '\0';
    const char *end = begin;
    while (*end && (quote ? *end != quote : name_has(*end) || *end == '-' || *end == '+'))
        end++;
    size_t length = (size_t)(end - begin);
    if (quote && !*end)
        return fail(parser, end, "the closing quote was expected");
    if (length == 0 && !quote)
        return fail(parser, begin, "a value was expected");
    if (length >= sizeof term->text)
        return fail(parser, begin, "a value of fewer characters was expected");
    text_copy(term->text, length + 1, begin);
    parser->at = end + (quote != '\0');
    char *number_end;
    term->number = strtod(term->text, &number_end);
    if (quote || length == 0 || *number_end || !isfinite(term->number))
        term->number = NAN;
    return 0;
}

/* True when another comparison follows. */
static int read_and(Parser *parser, bool *more) {
    skip_blanks(parser);
    *more = *parser->at != '\0';
    if (*more && (strncmp(parser->at, "and", 3) != 0 || name_has(parser->at[3])))
        return fail(parser, parser->at, "'and' or the end was expected");
    parser->at += *more ? 3 : 0;
    return 0;
}

int where_parse(Where *out, const char *text, Error *error) {
    Parser parser = {.text = text, .at = text, .error = error};
    bool more = true;
    int result = 0;
    out->count = 0;
    if (strlen(text) > WHERE_TEXT_MAX)
        return cli_usage(error, "--where takes at most %d characters", WHERE_TEXT_MAX);
    while (more && !result) {
        if (out->count == WHERE_TERMS_MAX)
            return fail(&parser, parser.at, "at most 16 comparisons were expected");
        WhereTerm *term = &out->terms[out->count++];
        *term = (WhereTerm){0};
        result = read_name(&parser, term);
        result = result ? result : read_operator(&parser, term);
        result = result ? result : read_value(&parser, term);
        result = result ? result : read_and(&parser, &more);
    }
    return result;
}

static bool order_holds(WhereOperator operator, int order) {
    switch (operator) {
    case WHERE_EQUAL:
        return order == 0;
    case WHERE_UNEQUAL:
        return order != 0;
    case WHERE_LESS:
        return order < 0;
    case WHERE_AT_MOST:
        return order <= 0;
    case WHERE_GREATER:
        return order > 0;
    default:
        return order >= 0;
    }
}

static int term_holds(WhereTerm *term, WhereField field, bool *holds, Error *error) {
    *holds = false;
    if (!field.text && isnan(field.number))
        return 0;
    term->known = true;
    if (field.text) {
        if (term->operator!= WHERE_EQUAL && term->operator!= WHERE_UNEQUAL)
            return cli_usage(error, "--where, character %zu: %s is text, which knows = and != alone", term->at, term->name);
        *holds = order_holds(term->operator, strcmp(field.text, term->text));
        return 0;
    }
    if (isnan(term->number))
        return cli_usage(error, "--where, character %zu: %s is a number, and '%s' is none", term->at, term->name, term->text);
    *holds = order_holds(term->operator,(field.number > term->number) - (field.number < term->number));
    return 0;
}

/* Every comparison is made even where one has failed, so that each name and kind is checked. */
int where_holds(Where *where, WhereLookup lookup, const void *context, bool *holds, Error *error) {
    int result = 0;
    *holds = true;
    for (size_t i = 0; i < where->count && !result; i++) {
        bool one;
        result = term_holds(&where->terms[i], lookup(context, where->terms[i].name), &one, error);
        *holds = *holds && one;
    }
    return result;
}

int where_check_names(const Where *where, const char *names, Error *error) {
    for (size_t i = 0; i < where->count; i++)
        if (!where->terms[i].known)
            return cli_usage(error, "--where, character %zu: there is no field '%s'; there are %s", where->terms[i].at,
                             where->terms[i].name, names);
    return 0;
}
