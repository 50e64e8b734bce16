/* The reference must not lag behind the table: each key has its row in docs/sweep-file.md and its item in man/sweepfile.5, with what is
 * allowed and the default as the program has them. */
#include "fixture.h"

#include "../../src/sweep/schema.h"

/* The line that starts with `start`, without its newline; to be freed. */
static char *find_line(const Buffer *text, const char *start) {
    for (const char *line = text->data; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (strncmp(line, start, strlen(start)) == 0)
            return strndup(line, strcspn(line, "\n"));
    return NULL;
}

static void check_has(const char *what, const char *text, const char *part) {
    if (!text || !strstr(text, part))
        fail_msg("%s: expected \"%s\" in: %s", what, part, text ? text : "(nothing)");
}

/* The names of data sets come from another table. */
static void expected_text(const Field *field, Buffer *out) {
    buffer_init(out, 1024);
    if (field == &schema_fields[FIELD_DATA_NAME])
        for (size_t i = 0; sweep_dataset_at(i); i++)
            buffer_printf(out, "%s%s", i ? ", " : "", sweep_dataset_at(i)->name);
    else
        schema_expected(field, out);
}

static void every_key_has_its_row_in_the_docs(void **state) {
    (void)state;
    Buffer docs;
    project_read("docs/sweep-file.md", &docs);
    for (size_t i = 0; i < FIELDS; i++) {
        const Field *field = &schema_fields[i];
        if (!field->file)
            continue;
        char start[128], standard[128];
        Buffer expected;
        snprintf(start, sizeof start, "| `%s` |", field->file);
        snprintf(standard, sizeof standard, "| %s |", field->standard ? field->standard : field->required ? "required" : "");
        char *line = find_line(&docs, start);
        expected_text(field, &expected);
        check_has(field->file, line, expected.data);
        if (field->standard || field->required)
            check_has(field->file, line, standard);
        buffer_deinit(&expected);
        free(line);
    }
    buffer_deinit(&docs);
}

static void every_key_has_its_item_in_the_manual(void **state) {
    (void)state;
    Buffer manual;
    project_read("man/sweepfile.5", &manual);
    for (size_t i = 0; i < FIELDS; i++) {
        const Field *field = &schema_fields[i];
        if (!field->file)
            continue;
        char start[128];
        Buffer expected;
        snprintf(start, sizeof start, "\n.It Cm %s\n", field->file);
        char *at = strstr(manual.data, start);
        if (!at) {
            fail_msg("%s has no item in man/sweepfile.5", field->file);
            return;
        }
        char *next = strstr(at + 1, "\n.It ");
        char *item = strndup(at, next ? (size_t)(next - at) : strlen(at));
        for (char *c = item; *c; c++)
            if (*c == '\n')
                *c = ' ';
        expected_text(field, &expected);
        check_has(field->file, item, expected.data + 1); /* the first letter may be a capital */
        if (field->standard)
            check_has(field->file, item, field->standard);
        buffer_deinit(&expected);
        free(item);
    }
    buffer_deinit(&manual);
}

/* The example that both show is the file that users run. */
static void the_example_is_the_quickstart(void **state) {
    (void)state;
    Buffer docs, quickstart;
    project_read("docs/sweep-file.md", &docs);
    project_read("sweeps/quickstart.yaml", &quickstart);
    for (char *line = strtok(quickstart.data, "\n"); line; line = strtok(NULL, "\n"))
        if (*line != '#')
            check_has("quickstart.yaml", docs.data, line);
    buffer_deinit(&docs);
    buffer_deinit(&quickstart);
}

static void the_manuals_example_is_a_sweep(void **state) {
    (void)state;
    Buffer manual;
    project_read("man/sweepfile.5", &manual);
    char *start = strstr(manual.data, ".Sh EXAMPLES\n.Bd -literal -offset indent\n");
    assert_non_null(start);
    start = strstr(start, "version: 1");
    assert_non_null(start);
    char *end = strstr(start, ".Ed\n");
    assert_non_null(end);
    *end = '\0';
    Sweep *sweep = sweep_good(start);
    assert_int_equal(sweep_run_count(sweep), 80 - 2 * 8 + 1);
    sweep_free(sweep);
    buffer_deinit(&manual);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_has_its_row_in_the_docs),
        cmocka_unit_test(every_key_has_its_item_in_the_manual),
        cmocka_unit_test(the_example_is_the_quickstart),
        cmocka_unit_test(the_manuals_example_is_a_sweep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
