/* tree (private to sweep): a YAML text as a tree of nodes that remember where they stood. */
#pragma once

#include "sweepd/sweep.h"

enum {
    TREE_DEPTH_MAX = 16,
    TREE_NODES_MAX = 200000,
    TREE_KEYS_MAX = 200, /* of one map */
};

typedef enum { NODE_SCALAR, NODE_LIST, NODE_MAP } NodeKind;

typedef struct Mark {
    size_t line, column; /* from 1 */
} Mark;

typedef struct Node Node;

struct Node {
    NodeKind kind;
    bool quoted;
    Mark place;
    Mark key_place; /* in a map */
    char *key;      /* in a map, else NULL */
    char *text;     /* of a scalar */
    size_t index;   /* among its siblings */
    size_t count;   /* of children */
    Node *parent, *first, *last, *next;
    Node *made; /* the node that was made before it */
};

typedef struct Tree {
    const char *path;
    Error *error;
    Node *root;
    Node *made;
    size_t nodes;
} Tree;

/* Anchors, aliases, merge keys, tags, doubled keys, a second document and whatever is larger than the limits above are SWEEP_INVALID. The
 * tree keeps path and error for node_refuse. To be cleared in any case. */
int tree_parse(Tree *out, const char *text, size_t size, const char *path, Error *error);
void tree_deinit(Tree *tree);

const Node *node_child(const Node *map, const char *key); /* NULL when absent */
/* "grid.depth[1]"; nothing for the root. */
void node_append_path(const Node *node, Buffer *out);
/* What stands there, for a message: "x" in quotes, `nothing`, `a list`, `a map`. */
void node_append_found(const Node *node, Buffer *out);
/* The text in quotes, cut when long, control characters replaced. */
void text_append_shown(const char *text, Buffer *out);

typedef enum { AT_VALUE, AT_KEY } NodePart;
/* Sets "file:line:column: key.path: message" and returns SWEEP_INVALID. */
int node_refuse(const Tree *tree, const Node *node, NodePart part, const char *format, ...) __attribute__((format(printf, 4, 5)));
