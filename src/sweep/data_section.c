/* Which data a file trains on, or an item of eval: a name, or sizes. */
#include "reader.h"

#include <inttypes.h>
#include <string.h>

static int refuse_dataset(Reader *reader, const Node *node) {
    Buffer names, found;
    buffer_init(&names, ERROR_TEXT_MAX);
    buffer_init(&found, ERROR_TEXT_MAX);
    for (size_t i = 0; sweep_dataset_at(i); i++)
        buffer_printf(&names, "%s%s", i ? ", " : "", sweep_dataset_at(i)->name);
    node_append_found(node, &found);
    node_refuse(&reader->tree, node, AT_VALUE,
                "found %s; expected a data set that is known: %s, or a pack that 'sweepctl data pack' made in this home",
                found.data ? found.data : "another", names.data ? names.data : "");
    buffer_deinit(&names);
    buffer_deinit(&found);
    return SWEEP_INVALID;
}

/* HOME/data/NAME.pack, of the home that the program has told by SWEEPD_HOME. */
static int read_packed_data(Reader *reader, const Node *node, Draft *draft) {
    char home[PATH_TEXT_MAX], path[PATH_TEXT_MAX];
    DataInfo info;
    Error problem = {0};
    if (path_home(NULL, home, &problem) || path_format(path, &problem, "%s/data/%s.pack", home, draft->run.data_name) || !file_exists(path))
        return refuse_dataset(reader, node);
    int result = dataset_header_read(path, &info, &problem);
    if (result)
        return node_refuse(&reader->tree, node, AT_VALUE, "%s", problem.text);
    if (strcmp(info.name, draft->run.data_name) != 0)
        return node_refuse(&reader->tree, node, AT_VALUE, "found a name whose pack, %s, says that it holds %s", path, info.name);
    text_copy(draft->run.data_digest, sizeof draft->run.data_digest, info.digest);
    draft->run.model.inputs = info.inputs;
    draft->run.model.classes = info.classes;
    draft->data_examples = info.train_count;
    memcpy(draft->data_shape, (int64_t[]){info.height, info.width, info.channels}, sizeof draft->data_shape);
    return 0;
}

static int read_named_data(Reader *reader, const Node *const nodes[FIELDS], Draft *draft) {
    Run *run = &draft->run;
    static const FieldId sizes[] = {FIELD_INPUTS, FIELD_CLASSES, FIELD_DATA_EXAMPLES};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (nodes[sizes[i]])
            return node_refuse(&reader->tree, nodes[sizes[i]], AT_KEY,
                               "found a size beside a name; expected the name of a data set, or inputs, classes and examples");
    const Dataset *data = sweep_dataset_find(run->data_name);
    if (!data)
        return read_packed_data(reader, nodes[FIELD_DATA_NAME], draft);
    text_copy(run->data_digest, sizeof run->data_digest, data->digest);
    run->model.inputs = data->inputs;
    run->model.classes = data->classes;
    draft->data_examples = data->examples;
    memcpy(draft->data_shape, (int64_t[]){data->height, data->width, data->channels}, sizeof draft->data_shape);
    return 0;
}

int data_read(Reader *reader, const Node *const nodes[FIELDS], const Node *map, Draft *draft) {
    const Node *place = node_child(map, "data");
    int result = 0;
    if (!place)
        return node_refuse(&reader->tree, map, AT_VALUE, "data is missing; expected {name}, or {inputs, classes, examples}");
    if (nodes[FIELD_DATA_NAME])
        result = read_named_data(reader, nodes, draft);
    else if (!nodes[FIELD_INPUTS] || !nodes[FIELD_CLASSES] || !nodes[FIELD_DATA_EXAMPLES])
        return node_refuse(&reader->tree, place, AT_KEY,
                           "name is missing; expected the name of a data set, or inputs, classes and examples");
    if (result != 0)
        return result;
    if (draft->data_examples - draft->run.validation < 1)
        return node_refuse(&reader->tree, nodes[FIELD_VALIDATION], AT_VALUE,
                           "found %" PRId64 "; expected at most %" PRId64 ": %s has %" PRId64 " examples", draft->run.validation,
                           draft->data_examples - 1, *draft->run.data_name ? draft->run.data_name : "the data", draft->data_examples);
    return 0;
}
