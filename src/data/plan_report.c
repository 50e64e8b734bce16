/* What of a source no format takes: a person who has images in it is to know. */
#include "plan.h"

#include <ctype.h>

/* ".jpeg2000": a dot, then letters and digits. */
static bool is_plain(const char *dot) {
    while (isalnum((unsigned char)*++dot))
        ;
    return !*dot;
}

static void ending_of(const char *name, char out[PACK_ENDING_MAX]) {
    const char *dot = strrchr(plan_base_name(name), '.');
    if (plan_is_hidden(name))
        text_copy(out, PACK_ENDING_MAX, "hidden");
    else if (!dot || !is_plain(dot) || !text_copy(out, PACK_ENDING_MAX, dot))
        text_copy(out, PACK_ENDING_MAX, "others");
    for (char *at = out; *at; at++)
        *at = (char)tolower((unsigned char)*at);
}

static size_t left_find(const PackReport *report, const char *ending) {
    size_t i = 0;
    while (i < report->left_count && strcmp(report->left[i].ending, ending) != 0)
        i++;
    return i;
}

static void left_add(PackReport *report, const char *ending) {
    size_t i = left_find(report, ending);
    if (i == PACK_LEFT_MAX)
        i = left_find(report, "others");
    if (i == PACK_LEFT_MAX)
        text_copy(report->left[--i].ending, PACK_ENDING_MAX, "others");
    else if (i == report->left_count)
        text_copy(report->left[report->left_count++].ending, PACK_ENDING_MAX, ending);
    report->left[i].count++;
}

void plan_report(const Plan *plan, PackReport *report) {
    char ending[PACK_ENDING_MAX];
    for (size_t i = 0; i < plan->file_count; i++) {
        const PlanFile *file = &plan->files[i];
        if (plan_file_wanted(file) || plan_is_note(file->name) || plan_leaves(file->name))
            continue;
        ending_of(file->name, ending);
        left_add(report, ending);
    }
    report->empty = plan->empty;
}
