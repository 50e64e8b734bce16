/* Arithmetic of a run's sizes: + - * / ^ and parentheses, by recursive descent, read anew whenever a value is wanted. `^` binds tightest
 * and to the right, a sign less than it: -2^2 is -4. Lengths and nesting are bounded, so that no text takes long or deep. */
#include "schema.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NESTING_MAX = 32, NUMBER_TEXT_MAX = 32 };

typedef struct Expression {
    const char *text, *at;
    const Run *run; /* NULL: names have the value 1 */
    bool has_params;
    int nesting;
    char reason[256]; /* "": fine so far */
} Expression;

static double sum(Expression *expression);

static double fail(Expression *expression, const char *at, const char *what, const char *found) {
    if (!*expression->reason)
        snprintf(expression->reason, sizeof expression->reason, "column %zu of the expression: %s%.40s",
                 (size_t)(at - expression->text) + 1, what, found);
    return (double)NAN;
}

static char peek(Expression *expression) {
    while (*expression->at == ' ')
        expression->at++;
    return *expression->at;
}

static bool take(Expression *expression, char wanted) {
    if (peek(expression) != wanted)
        return false;
    expression->at++;
    return true;
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || c == '_';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* ---- names and numbers ---- */

static double name_value(const Run *run, size_t index) {
    const Architecture *model = &run->model;
    const int64_t values[] = {model->depth,   model->width,  model->expansion, model->inputs,
                              model->classes, run->examples, run->epochs,      run->batch};
    return (double)values[index];
}

static double name(Expression *expression) {
    static const char *const names[] = {"depth", "width", "expansion", "inputs", "classes", "examples", "epochs", "batch"};
    char word[NUMBER_TEXT_MAX];
    const char *start = expression->at;
    while (is_letter(*expression->at))
        expression->at++;
    size_t size = (size_t)(expression->at - start);
    snprintf(word, sizeof word, "%.*s", (int)(size < sizeof word ? size : sizeof word - 1), start);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(word, names[i]))
            return expression->run ? name_value(expression->run, i) : 1;
    if (!strcmp(word, "params") && expression->has_params)
        return expression->run ? (double)run_params(expression->run) : 1;
    return fail(expression, start,
                !strcmp(word, "params") ? "params is for flops, beside trainer.params"
                                        : "expected depth, width, expansion, inputs, classes, examples, epochs, batch, not ",
                !strcmp(word, "params") ? "" : word);
}

static double number(Expression *expression) {
    char word[NUMBER_TEXT_MAX];
    const char *start = expression->at, *at = start;
    while (is_digit(*at) || *at == '.')
        at++;
    if (*at == 'e' || *at == 'E') {
        at += at[1] == '-' || at[1] == '+' ? 2 : 1;
        while (is_digit(*at))
            at++;
    }
    double value;
    size_t size = (size_t)(at - start);
    expression->at = at;
    snprintf(word, sizeof word, "%.*s", (int)(size < sizeof word ? size : sizeof word - 1), start);
    return size < sizeof word && value_read_number(word, &value) ? value : fail(expression, start, "not a number: ", word);
}

/* ---- what binds tightest first ---- */

static double operand(Expression *expression) {
    char next = peek(expression);
    if (is_letter(next))
        return name(expression);
    if (is_digit(next) || next == '.')
        return number(expression);
    const char *start = expression->at;
    if (!take(expression, '('))
        return fail(expression, start, *start ? "expected a number, a name or '(', not " : "expected a number, a name or '('", start);
    double value = sum(expression);
    if (!take(expression, ')'))
        return fail(expression, expression->at, "expected ')' or an operator", "");
    return value;
}

static double power(Expression *expression) {
    if (++expression->nesting > NESTING_MAX)
        return fail(expression, expression->at, "nested too deep", "");
    double value;
    if (take(expression, '-')) {
        value = -power(expression);
    } else {
        value = operand(expression);
        if (take(expression, '^'))
            value = pow(value, power(expression));
    }
    expression->nesting--;
    return value;
}

static double product(Expression *expression) {
    double value = power(expression);
    while (!*expression->reason) {
        if (take(expression, '*'))
            value *= power(expression);
        else if (take(expression, '/'))
            value /= power(expression);
        else
            break;
    }
    return value;
}

static double sum(Expression *expression) {
    double value = product(expression);
    while (!*expression->reason) {
        if (take(expression, '+'))
            value += product(expression);
        else if (take(expression, '-'))
            value -= product(expression);
        else
            break;
    }
    return value;
}

static double evaluate(Expression *expression) {
    double value = sum(expression);
    if (!*expression->reason && peek(expression))
        value = fail(expression, expression->at, "expected an operator, not ", expression->at);
    return value;
}

int expression_check(const char *text, bool has_params, char *reason, size_t capacity) {
    Expression expression = {.text = text, .at = text, .has_params = has_params};
    evaluate(&expression);
    text_copy(reason, capacity, expression.reason);
    return *expression.reason != '\0';
}

double expression_value(const char *text, const Run *run) {
    Expression expression = {.text = text, .at = text, .run = run, .has_params = text != run->program.params && *run->program.params};
    double value = evaluate(&expression);
    return *expression.reason ? (double)NAN : value;
}
