/* --where: what is read, what holds, and where a mistake is said to be. */
#include "where.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

static WhereField lookup(const void *context, const char *name) {
    (void)context;
    if (!strcmp(name, "depth"))
        return (WhereField){6, NULL};
    if (!strcmp(name, "lr"))
        return (WhereField){1e-3, NULL};
    if (!strcmp(name, "optimizer"))
        return (WhereField){NAN, "lion"};
    return (WhereField){NAN, NULL};
}

static void test_holds(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool holds;
    } cases[] = {{"depth = 6", true},
                 {"depth == 6", true},
                 {"depth=6 and lr=0.001", true},
                 {"depth != 6", false},
                 {"depth < 6", false},
                 {"depth <= 6", true},
                 {"depth > 5.5 and depth >= 6", true},
                 {"depth > 6", false},
                 {"  lr<1e-2 and depth=7", false},
                 {"optimizer = lion", true},
                 {"optimizer = \"lion\" and lr >= 1e-3", true},
                 {"optimizer != 'lion'", false},
                 {"missing != 3", false},
                 {"depth = 7 and missing = 3", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Where where;
        Error error = {0};
        bool holds = false;
        if (where_parse(&where, cases[i].text, &error) || where_holds(&where, lookup, NULL, &holds, &error))
            fail_msg("%s: %s", cases[i].text, error.text);
        if (holds != cases[i].holds)
            fail_msg("%s: %d", cases[i].text, holds);
    }
}

static void expect_mistake(const char *text, const char *says) {
    Where where;
    Error error = {0};
    bool holds = false;
    int result = where_parse(&where, text, &error);
    result = result ? result : where_holds(&where, lookup, NULL, &holds, &error);
    result = result ? result : where_check_names(&where, "depth, lr, optimizer", &error);
    assert_int_equal(result, CLI_USAGE);
    if (!strstr(error.text, says))
        fail_msg("%s: %s", text, error.text);
}

static void test_mistakes(void **state) {
    (void)state;
    char many[1024] = "depth = 6", length[WHERE_TEXT_MAX + 2];
    for (int i = 0; i < WHERE_TERMS_MAX; i++)
        strcat(many, " and depth = 6");
    memset(length, 'a', sizeof length - 1);
    length[sizeof length - 1] = '\0';
    expect_mistake("", "character 1: a field's name was expected, but the expression ends");
    expect_mistake("6 = depth", "character 1: a field's name");
    expect_mistake("depth", "character 6: one of = !=");
    expect_mistake("depth ~ 6", "character 7: one of = !=");
    expect_mistake("depth =", "character 8: a value was expected");
    expect_mistake("depth = 6 or lr = 1", "character 11: 'and' or the end");
    expect_mistake("depth = 6 and", "character 14: a field's name");
    expect_mistake("optimizer = 'lion", "character 18: the closing quote");
    expect_mistake("depth = six", "character 1: depth is a number, and 'six' is none");
    expect_mistake("depth = 6 and optimizer < lion", "character 15: optimizer is text");
    expect_mistake("depth = 6 and color = red", "character 15: there is no field 'color'; there are depth, lr, optimizer");
    expect_mistake(many, "at most 16 comparisons");
    expect_mistake(length, "at most 1024 characters");
    length[100] = '\0';
    expect_mistake(length, "a name of fewer characters");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_holds), cmocka_unit_test(test_mistakes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
