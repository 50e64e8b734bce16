/* Links. A folder is read through them; in a tar or zip each is another name for a file that may come before it or after, so names are
 * looked up when all are known, and packing uses a file's bytes for all its names. What leads nowhere is refused: it may have been a class.
 */
#include "plan.h"

#include <stdlib.h>

enum { LINKS_MAX = 40 }; /* from one to the next, as the system has it */

typedef struct Names {
    PlanFile **items; /* by name */
    size_t count;
} Names;

static int file_compare(const void *a, const void *b) {
    return strcmp((*(PlanFile *const *)a)->name, (*(PlanFile *const *)b)->name);
}

/* *twice: there is another of that name. */
static PlanFile *name_find(const Names *names, const char *name, bool *twice) {
    PlanFile key = {.name = (char *)(uintptr_t)name}, *wanted = &key;
    PlanFile **found = bsearch(&wanted, names->items, names->count, sizeof wanted, file_compare);
    PlanFile **end = names->items + names->count;
    *twice = found && ((found > names->items && !file_compare(found - 1, found)) || (found + 1 < end && !file_compare(found, found + 1)));
    return found ? *found : NULL;
}

/* Names that begin with a dot are no data under any format: an editor's locks, for one, lead nowhere. */
static int nowhere(const Plan *plan, const Names *names, const PlanFile *link, Error *error) {
    size_t size = strlen(link->link);
    bool is_folder = !strcmp(link->link, ".");
    for (size_t i = 0; i < names->count && !is_folder; i++)
        is_folder = !strncmp(names->items[i]->name, link->link, size) && names->items[i]->name[size] == '/';
    if (is_folder)
        return data_refuse(error, "%s: %s: a link to a folder; put the folder itself there", plan->source, link->name);
    if (*plan_base_name(link->name) == '.')
        return 0;
    return data_refuse(error, "%s: %s: a link to %s, which is not there", plan->source, link->name, link->link);
}

static int link_resolve(Plan *plan, const Names *names, PlanFile *link, Error *error) {
    PlanFile *file = link;
    bool twice = false;
    for (int i = 0; file && file->link && i < LINKS_MAX && !twice; i++)
        file = name_find(names, file->link, &twice);
    if (twice)
        return data_refuse(error, "%s: %s: a link to %s, which is there twice", plan->source, link->name, file->name);
    if (!file || file->link)
        return nowhere(plan, names, link, error);
    link->size = file->size;
    link->other_name = file->other_name;
    file->other_name = link;
    if (!plan_is_note(link->name))
        return 0;
    return data_refuse(error, "%s: %s: a link to %s; put the file itself there", plan->source, link->name, file->name);
}

const PlanFile *plan_file_wanted(const PlanFile *file) {
    while (file && file->role == ROLE_NONE)
        file = file->other_name;
    return file;
}

int plan_links(Plan *plan, Error *error) {
    Names names = {.count = 0};
    size_t links = 0;
    for (size_t i = 0; i < plan->file_count; i++)
        links += plan->files[i].link && !plan_leaves(plan->files[i].name);
    if (!links)
        return 0;
    names.items = malloc(plan->file_count * sizeof *names.items);
    if (!names.items)
        return error_set_memory(error, "%s: no memory for the names of %zu files", plan->source, plan->file_count);
    for (size_t i = 0; i < plan->file_count; i++)
        if (!plan_leaves(plan->files[i].name))
            names.items[names.count++] = &plan->files[i];
    qsort(names.items, names.count, sizeof *names.items, file_compare);
    int result = 0;
    for (size_t i = 0; i < plan->file_count && !result; i++)
        if (plan->files[i].link && !plan_leaves(plan->files[i].name))
            result = link_resolve(plan, &names, &plan->files[i], error);
    free(names.items);
    return result;
}
