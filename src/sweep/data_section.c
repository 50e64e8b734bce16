/* Which data a file trains on, or an item of eval: a name, a packed file, or sizes. */
#include "reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What is known of data before a run sees them. digest: "": they are not in the home. */
typedef struct KnownData {
    int64_t shape[3];                         /* height, width, channels */
    int64_t inputs, classes, examples, tests; /* tests: 0: not known */
    char name[SWEEP_NAME_MAX];
    char digest[SHA256_HEX_MAX], from[PATH_TEXT_MAX + 16];
} KnownData;

enum { DATA_UNKNOWN = 2 }; /* the next that might know is asked */

static const FieldId sizes[] = {FIELD_INPUTS, FIELD_CLASSES, FIELD_DATA_EXAMPLES};
enum { SIZES = sizeof sizes / sizeof *sizes };

static int refuse_dataset(Reader *reader, const Node *node) {
    Buffer names, found;
    buffer_init(&names, ERROR_TEXT_MAX);
    buffer_init(&found, ERROR_TEXT_MAX);
    for (size_t i = 0; sweep_dataset_at(i); i++)
        buffer_printf(&names, "%s%s", i ? ", " : "", sweep_dataset_at(i)->name);
    buffer_append_text(&names, ", one that 'sweepctl data fetch' brings: ");
    for (size_t i = 0; download_source_at(i); i++)
        buffer_printf(&names, "%s%s", i ? ", " : "", download_source_at(i)->name);
    node_append_found(node, &found);
    node_refuse(
        &reader->tree, node, AT_VALUE,
        "found %s; expected a data set that is known: %s, or a pack that 'sweepctl data pack' made in this home; to plan without it, "
        "give inputs, classes and examples too",
        found.data ? found.data : "another", names.data ? names.data : "");
    buffer_deinit(&names);
    buffer_deinit(&found);
    return SWEEP_INVALID;
}

static int program_data(const char *name, KnownData *out) {
    const Dataset *data = sweep_dataset_find(name);
    if (!data)
        return DATA_UNKNOWN;
    *out = (KnownData){
        {data->height, data->width, data->channels}, data->inputs, data->classes, data->examples, data->test_examples, "", "", ""};
    text_copy(out->name, sizeof out->name, name);
    text_copy(out->digest, sizeof out->digest, data->digest);
    text_copy(out->from, sizeof out->from, name);
    return 0;
}

static int header_data(const char *path, KnownData *out, Error *error) {
    DataInfo info;
    int result = dataset_header_read(path, &info, error);
    if (result)
        return result;
    *out = (KnownData){{info.height, info.width, info.channels}, info.inputs, info.classes, info.train_count, info.test_count, "", "", ""};
    text_copy(out->name, sizeof out->name, info.name);
    text_copy(out->digest, sizeof out->digest, info.digest);
    snprintf(out->from, sizeof out->from, "the pack %s", path);
    return 0;
}

/* HOME/data/NAME.pack, of the home that the program has told by SWEEPD_HOME; false: there is none. */
static bool locate_pack(const char *name, char path[PATH_TEXT_MAX]) {
    char home[PATH_TEXT_MAX];
    Error ignored = {0};
    return path_home(NULL, home, &ignored) == 0 && path_format(path, &ignored, "%s/data/%s.pack", home, name) == 0 && file_exists(path);
}

static int packed_data(Reader *reader, const Node *node, const char *name, KnownData *out) {
    char path[PATH_TEXT_MAX];
    Error problem = {0};
    if (!locate_pack(name, path))
        return DATA_UNKNOWN;
    if (header_data(path, out, &problem))
        return node_refuse(&reader->tree, node, AT_VALUE, "%s", problem.text);
    if (strcmp(out->name, name) != 0)
        return node_refuse(&reader->tree, node, AT_VALUE, "found a name whose pack, %s, says that it holds %s", path, out->name);
    return 0;
}

/* What 'sweepctl data fetch' and 'pack' will make of it, at its own size. */
static int published_data(const char *name, KnownData *out) {
    const DownloadSource *source = download_source_find(name);
    if (!source)
        return DATA_UNKNOWN;
    *out = (KnownData){{source->height, source->width, source->channels},
                       source->height * source->width * source->channels,
                       source->classes,
                       source->examples,
                       source->test_examples,
                       "",
                       "",
                       ""};
    text_copy(out->name, sizeof out->name, name);
    text_copy(out->from, sizeof out->from, source->title);
    return 0;
}

/* Sizes beside a name are what the data must have; those of data that nobody knows are believed, for planning. */
static int check_sizes(Reader *reader, const Node *const nodes[FIELDS], const Draft *draft, const KnownData *known) {
    const int64_t given[SIZES] = {draft->run.model.inputs, draft->run.model.classes, draft->data_examples};
    const int64_t expected[SIZES] = {known->inputs, known->classes, known->examples};
    for (size_t i = 0; i < SIZES; i++)
        if (nodes[sizes[i]] && given[i] != expected[i])
            return node_refuse(&reader->tree, nodes[sizes[i]], AT_VALUE, "found %" PRId64 ", where %s has %" PRId64, given[i], known->from,
                               expected[i]);
    return 0;
}

static void take_data(const KnownData *known, Draft *draft) {
    Run *run = &draft->run;
    text_copy(run->data_name, sizeof run->data_name, known->name);
    text_copy(run->data_digest, sizeof run->data_digest, known->digest);
    run->model.inputs = known->inputs;
    run->model.classes = known->classes;
    draft->data_examples = known->examples;
    draft->data_tests = known->tests;
    memcpy(draft->data_shape, known->shape, sizeof draft->data_shape);
}

static int read_named_data(Reader *reader, const Node *const nodes[FIELDS], Draft *draft) {
    Run *run = &draft->run;
    KnownData known;
    size_t given = 0;
    for (size_t i = 0; i < SIZES; i++)
        given += nodes[sizes[i]] != NULL;
    int result = program_data(run->data_name, &known);
    if (result == DATA_UNKNOWN)
        result = packed_data(reader, nodes[FIELD_DATA_NAME], run->data_name, &known);
    if (result == DATA_UNKNOWN && given == SIZES)
        return 0;
    if (result == DATA_UNKNOWN)
        result = published_data(run->data_name, &known);
    if (result == DATA_UNKNOWN)
        return refuse_dataset(reader, nodes[FIELD_DATA_NAME]);
    if (result == 0)
        result = check_sizes(reader, nodes, draft, &known);
    if (result == 0)
        take_data(&known, draft);
    return result;
}

static int read_packed_file(Reader *reader, const Node *const nodes[FIELDS], Draft *draft) {
    const Node *node = nodes[FIELD_DATA_PACK];
    KnownData known;
    Error problem = {0};
    if (nodes[FIELD_DATA_NAME])
        return node_refuse(&reader->tree, node, AT_KEY, "found a pack beside a name; expected one of them: a pack says its name itself");
    if (header_data(draft->run.data_pack, &known, &problem))
        return node_refuse(&reader->tree, node, AT_VALUE, "%s", problem.text);
    if (!value_is_name(known.name) || !value_is_digest(known.digest))
        return node_refuse(&reader->tree, node, AT_VALUE, "%s: its header has no name or no digest", draft->run.data_pack);
    int result = check_sizes(reader, nodes, draft, &known);
    if (result == 0)
        take_data(&known, draft);
    return result;
}

/* ---- of a file that was submitted: what its data were, not what lies there now ---- */

/* As they lie there now. */
static bool find_data(const Draft *draft, KnownData *out) {
    char path[PATH_TEXT_MAX];
    Error ignored = {0};
    if (*draft->run.data_pack)
        return header_data(draft->run.data_pack, out, &ignored) == 0;
    if (program_data(draft->run.data_name, out) == 0)
        return true;
    return locate_pack(draft->run.data_name, path) && header_data(path, out, &ignored) == 0;
}

/* No run tells how many there were: where nothing else does, as many as there may be. A design has to know which runs it could not
 * afford, and what is published is mostly packed whole. */
static int64_t count_examples(const Node *const nodes[FIELDS], const Draft *draft) {
    KnownData data;
    const char *name = draft->run.data_name;
    if (nodes[FIELD_DATA_EXAMPLES])
        return draft->data_examples;
    if (*name && (program_data(name, &data) == 0 || (nodes[FIELD_DESIGN] && published_data(name, &data) == 0)))
        return data.examples;
    return schema_fields[FIELD_DATA_EXAMPLES].most;
}

static void guess_data(const Node *const nodes[FIELDS], const Draft *draft, KnownData *out) {
    const Run *run = &draft->run;
    *out = (KnownData){.inputs = nodes[FIELD_INPUTS] ? run->model.inputs : 1,
                       .classes = nodes[FIELD_CLASSES] ? run->model.classes : 2,
                       .examples = count_examples(nodes, draft)};
    text_copy(out->name, sizeof out->name, *run->data_name ? run->data_name : "unknown");
    memset(out->digest, '0', sizeof out->digest - 1);
}

static void take_stored_data(const Node *const nodes[FIELDS], const Run *known, Draft *draft) {
    KnownData data;
    if (known && *known->data_pack)
        text_copy(draft->run.data_pack, sizeof draft->run.data_pack, known->data_pack);
    if (!find_data(draft, &data) || (known && strcmp(data.digest, known->data_digest) != 0))
        guess_data(nodes, draft, &data);
    if (known) {
        data.inputs = known->model.inputs;
        data.classes = known->model.classes;
        text_copy(data.name, sizeof data.name, known->data_name);
        text_copy(data.digest, sizeof data.digest, known->data_digest);
    }
    take_data(&data, draft);
}

int data_read(Reader *reader, const Node *const nodes[FIELDS], const Node *map, const Run *known, Draft *draft) {
    const Node *place = node_child(map, "data");
    int result = 0;
    if (!place)
        return node_refuse(&reader->tree, map, AT_VALUE, "data is missing; expected {name}, {pack}, or {inputs, classes, examples}");
    if (reader->stored && (nodes[FIELD_DATA_PACK] || nodes[FIELD_DATA_NAME]))
        take_stored_data(nodes, known, draft);
    else if (nodes[FIELD_DATA_PACK])
        result = read_packed_file(reader, nodes, draft);
    else if (nodes[FIELD_DATA_NAME])
        result = read_named_data(reader, nodes, draft);
    else if (!nodes[FIELD_INPUTS] || !nodes[FIELD_CLASSES] || !nodes[FIELD_DATA_EXAMPLES])
        return node_refuse(&reader->tree, place, AT_KEY,
                           "name is missing; expected the name of a data set, a pack, or inputs, classes and examples");
    if (result != 0)
        return result;
    if (draft->data_examples - draft->run.validation < 1)
        return node_refuse(&reader->tree, nodes[FIELD_VALIDATION], AT_VALUE,
                           "found %" PRId64 "; expected at most %" PRId64 ": %s has %" PRId64 " examples", draft->run.validation,
                           draft->data_examples - 1, *draft->run.data_name ? draft->run.data_name : "the data", draft->data_examples);
    return 0;
}

int padding_check(Reader *reader, const Node *node, int64_t padding, const int64_t shape[3]) {
    if (reader->stored || shape[0] == 0 || padding < shape[0] + shape[1])
        return 0;
    return node_refuse(&reader->tree, node, AT_VALUE,
                       "found %" PRId64 "; expected less than %" PRId64 ": the images have %" PRId64 " x %" PRId64 " pixels", padding,
                       shape[0] + shape[1], shape[1], shape[0]);
}
