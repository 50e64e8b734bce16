/* Classes whose images are in one section of a pack only, counted of what was taken: an image that is left out may be a class's last. */
#include "dataset.h"

#include <stdio.h>
#include <stdlib.h>

static bool *classes_seen(const PackWriter *writer, DataSection section) {
    const DataInfo *info = &writer->header.info;
    int64_t count = section == DATA_TRAIN ? info->train_count : info->test_count;
    bool *seen = calloc((size_t)info->classes + 1, sizeof *seen);
    for (int64_t i = 0; seen && i < count; i++)
        if (writer->kept[section][i])
            seen[writer->labels[section][i]] = true;
    return seen;
}

static void classes_add(PackClasses *classes, const char *const *names, int64_t class) {
    if (classes->count++ > 0)
        return;
    if (names)
        snprintf(classes->first, sizeof classes->first, "%s", names[class]);
    else
        snprintf(classes->first, sizeof classes->first, "%lld", (long long)class);
}

int pack_report_classes(PackReport *report, const PackWriter *writer, const char *const *names, Error *error) {
    bool *trained = classes_seen(writer, DATA_TRAIN), *tested = classes_seen(writer, DATA_TEST);
    int64_t classes = writer->header.info.classes;
    int result = trained && tested ? 0 : error_set_memory(error, "no memory for %lld classes", (long long)classes);
    for (int64_t i = 0; i < classes && !result; i++)
        if (trained[i] != tested[i])
            classes_add(trained[i] ? &report->untested : &report->untrained, names, i);
    free(trained);
    free(tested);
    return result;
}

void pack_report_deinit(PackReport *report) {
    for (size_t i = 0; i < report->skip_count; i++) {
        free(report->skips[i].name);
        free(report->skips[i].reason);
    }
    free(report->skips);
    *report = (PackReport){0};
}
