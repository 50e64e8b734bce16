/* libyaml's events become nodes here, without libyaml's own loader: that one knows no limits, resolves aliases, and forgets where keys
 * stood. References between parts of a file are refused rather than resolved: a sweep file has no use for them, and a few lines of them
 * unfold into gigabytes. */
#include "tree.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { SHOWN_MAX = 60, MESSAGE_MAX = 4096 };

void text_append_shown(const char *text, Buffer *out) {
    size_t size = strlen(text), cut = size;
    if (size > SHOWN_MAX)
        for (cut = SHOWN_MAX; cut > 0 && ((unsigned char)text[cut] & 0xc0) == 0x80;)
            cut--;
    buffer_append_text(out, "\"");
    for (size_t i = 0; i < cut; i++) {
        unsigned char byte = (unsigned char)text[i];
        bool control = byte < ' ' || byte == 0x7f;
        bool wide_control = byte == 0xc2 && i + 1 < cut && (unsigned char)text[i + 1] < 0xa0;
        buffer_append(out, control || wide_control ? "?" : &text[i], 1);
        i += wide_control;
    }
    buffer_append_text(out, cut < size ? "...\"" : "\"");
}

static void append_key(const char *key, Buffer *out) {
    Buffer shown;
    buffer_init(&shown, MESSAGE_MAX);
    text_append_shown(key, &shown);
    if (shown.size > 2)
        buffer_append(out, shown.data + 1, shown.size - 2);
    buffer_deinit(&shown);
}

void node_append_path(const Node *node, Buffer *out) {
    if (!node || !node->parent)
        return;
    node_append_path(node->parent, out);
    if (!node->key) {
        buffer_printf(out, "[%zu]", node->index);
        return;
    }
    if (node->parent->parent)
        buffer_append_text(out, ".");
    append_key(node->key, out);
}

void node_append_found(const Node *node, Buffer *out) {
    if (node->kind != NODE_SCALAR)
        buffer_append_text(out, node->kind == NODE_LIST ? "a list" : "a map");
    else if (*node->text == '\0' && !node->quoted)
        buffer_append_text(out, "nothing");
    else
        text_append_shown(node->text, out);
}

int node_refuse(const Tree *tree, const Node *node, NodePart part, const char *format, ...) {
    Buffer key_path;
    buffer_init(&key_path, MESSAGE_MAX);
    node_append_path(node, &key_path);
    char message[ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    Mark mark = node ? node->place : (Mark){1, 1};
    if (node && part == AT_KEY && node->key)
        mark = node->key_place;
    error_set(tree->error, "%s:%zu:%zu: %s%s%s", tree->path, mark.line, mark.column, key_path.size ? key_path.data : "",
              key_path.size ? ": " : "", message);
    buffer_deinit(&key_path);
    return SWEEP_INVALID;
}

const Node *node_child(const Node *map, const char *key) {
    if (!map || map->kind != NODE_MAP)
        return NULL;
    for (const Node *child = map->first; child; child = child->next)
        if (strcmp(child->key, key) == 0)
            return child;
    return NULL;
}

void tree_deinit(Tree *tree) {
    while (tree->made) {
        Node *node = tree->made;
        tree->made = node->made;
        free(node->key);
        free(node->text);
        free(node);
    }
    tree->root = NULL;
}

/* ---- building ---- */

typedef struct Builder {
    Tree *tree;
    const char *text;
    size_t size;
    Node *container; /* the list or map that is open, NULL at the top */
    size_t depth;
    char *key; /* read, its value not yet; owned */
    Mark key_place;
    bool document, closed;
} Builder;

static Mark mark_of(yaml_mark_t mark) {
    return (Mark){mark.line + 1, mark.column + 1};
}

/* Refuses at an event, whose node may not exist: the path is that of the open container. */
static int refuse_event(Builder *builder, const yaml_event_t *event, const char *message) {
    Buffer key_path;
    buffer_init(&key_path, MESSAGE_MAX);
    node_append_path(builder->container, &key_path);
    if (builder->key) {
        buffer_append_text(&key_path, key_path.size ? "." : "");
        append_key(builder->key, &key_path);
    }
    Mark mark = mark_of(event->start_mark);
    error_set(builder->tree->error, "%s:%zu:%zu: %s%s%s", builder->tree->path, mark.line, mark.column, key_path.size ? key_path.data : "",
              key_path.size ? ": " : "", message);
    buffer_deinit(&key_path);
    return SWEEP_INVALID;
}

static int add_node(Builder *builder, NodeKind kind, const yaml_event_t *event, Node **out) {
    Tree *tree = builder->tree;
    if (++tree->nodes > TREE_NODES_MAX)
        return refuse_event(builder, event, "found more values than a sweep file may have; expected at most 200000");
    Node *node = calloc(1, sizeof *node);
    if (!node)
        return error_set_memory(tree->error, "out of memory");
    node->made = tree->made;
    tree->made = node;
    node->kind = kind;
    node->place = mark_of(event->start_mark);
    node->parent = builder->container;
    node->key = builder->key;
    node->key_place = builder->key_place;
    builder->key = NULL;
    Node *parent = node->parent;
    if (!parent) {
        tree->root = node;
    } else {
        node->index = parent->count++;
        if (parent->last)
            parent->last->next = node;
        else
            parent->first = node;
        parent->last = node;
    }
    *out = node;
    return 0;
}

static int take_key(Builder *builder, const yaml_event_t *event) {
    if (event->type != YAML_SCALAR_EVENT)
        return refuse_event(builder, event, "found a list or map as a key; expected a word");
    const char *text = (const char *)event->data.scalar.value;
    if (strcmp(text, "<<") == 0)
        return refuse_event(builder, event, "found a merge key; expected every cell's keys written out");
    const Node *twin = node_child(builder->container, text);
    if (twin)
        return node_refuse(&(Tree){.path = builder->tree->path, .error = builder->tree->error},
                           &(Node){.parent = builder->container, .key = twin->key, .place = mark_of(event->start_mark)}, AT_VALUE,
                           "found a doubled key; it is given at line %zu already", twin->key_place.line);
    if (builder->container->count >= TREE_KEYS_MAX)
        return refuse_event(builder, event, "found more than 200 keys in one map");
    builder->key = text_duplicate(text, builder->tree->error);
    builder->key_place = mark_of(event->start_mark);
    return builder->key ? 0 : -1;
}

static int take_value(Builder *builder, const yaml_event_t *event) {
    NodeKind kind = event->type == YAML_SCALAR_EVENT ? NODE_SCALAR : event->type == YAML_SEQUENCE_START_EVENT ? NODE_LIST : NODE_MAP;
    if (kind != NODE_SCALAR && ++builder->depth > TREE_DEPTH_MAX)
        return refuse_event(builder, event, "found lists or maps nested deeper than 16 levels");
    Node *node = NULL;
    int result = add_node(builder, kind, event, &node);
    if (result != 0)
        return result;
    if (kind != NODE_SCALAR) {
        builder->container = node;
        return 0;
    }
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->text = text_duplicate((const char *)event->data.scalar.value, builder->tree->error);
    return node->text ? 0 : -1;
}

/* Anchors and tags, which a value of any kind may carry, and text that C cannot hold. */
static int check_decoration(Builder *builder, const yaml_event_t *event) {
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        if (strlen((const char *)event->data.scalar.value) != event->data.scalar.length)
            return refuse_event(builder, event, "found a NUL character in a text");
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (anchor)
        return refuse_event(builder, event, "found an anchor (&); expected values written out: a sweep file has no references");
    if (tag)
        return refuse_event(builder, event, "found a tag (!); expected a plain value: the key decides its type");
    return 0;
}

static int take_event(Builder *builder, const yaml_event_t *event) {
    int result;
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (builder->document)
            return refuse_event(builder, event, "found a second document; expected one in a file");
        builder->document = true;
        return 0;
    case YAML_ALIAS_EVENT:
        return refuse_event(builder, event, "found an alias (*); expected values written out: a sweep file has no references");
    case YAML_SCALAR_EVENT:
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        result = check_decoration(builder, event);
        if (result != 0)
            return result;
        if (builder->container && builder->container->kind == NODE_MAP && !builder->key)
            return take_key(builder, event);
        return take_value(builder, event);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        builder->depth--;
        builder->container = builder->container->parent;
        return 0;
    case YAML_STREAM_END_EVENT:
        builder->closed = true;
        return 0;
    default:
        return 0;
    }
}

static Mark mark_of_byte(const char *text, size_t size, size_t offset) {
    Mark mark = {1, 1};
    for (size_t i = 0; i < offset && i < size; i++) {
        mark.column = text[i] == '\n' ? 1 : mark.column + 1;
        mark.line += text[i] == '\n';
    }
    return mark;
}

/* libyaml's mark counts characters; a tab before the first of a line's words is what matters, and stands behind ASCII alone. */
static bool is_tab(const Builder *builder, Mark mark) {
    size_t at = 0;
    for (size_t line = 1; line < mark.line && at < builder->size; at++)
        line += builder->text[at] == '\n';
    at += mark.column - 1;
    return at < builder->size && builder->text[at] == '\t';
}

/* libyaml gives a place for what it cannot parse, and a byte for what it cannot decode. */
static int refuse_yaml(const Builder *builder, const yaml_parser_t *parser) {
    const Tree *tree = builder->tree;
    const char *problem = parser->problem ? parser->problem : "unknown problem";
    const char *context = parser->context;
    if (parser->error == YAML_MEMORY_ERROR)
        return error_set_memory(tree->error, "out of memory");
    Mark mark = mark_of(parser->problem_mark);
    if (parser->error == YAML_READER_ERROR)
        mark = mark_of_byte(builder->text, builder->size, parser->problem_offset);
    if (parser->error == YAML_SCANNER_ERROR && is_tab(builder, mark)) {
        error_set(tree->error, "%s:%zu:%zu: found a tab; YAML is indented by spaces", tree->path, mark.line, mark.column);
        return SWEEP_INVALID;
    }
    error_set(tree->error, "%s:%zu:%zu: not YAML: %s%s%s", tree->path, mark.line, mark.column, problem, context ? " " : "",
              context ? context : "");
    return SWEEP_INVALID;
}

static int read_events(Builder *builder, yaml_parser_t *parser) {
    int result = 0;
    while (result == 0 && !builder->closed) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event))
            return refuse_yaml(builder, parser);
        result = take_event(builder, &event);
        yaml_event_delete(&event);
    }
    return result;
}

int tree_parse(Tree *out, const char *text, size_t size, const char *path, Error *error) {
    *out = (Tree){.path = path, .error = error};
    if (size > SWEEP_FILE_MAX) {
        error_set(error, "%s: found %zu bytes; expected at most %d", path, size, SWEEP_FILE_MAX);
        return SWEEP_INVALID;
    }
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return error_set_memory(error, "out of memory");
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    Builder builder = {.tree = out, .text = text, .size = size};
    int result = read_events(&builder, &parser);
    free(builder.key);
    yaml_parser_delete(&parser);
    return result;
}
