/* Files that a sweep file names: a path that begins where the sweep file lies becomes an absolute one, for the run is trained elsewhere,
 * and the digest of what lies there joins the run's text. */
#include "reader.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Anything else could keep its reader waiting. */
static bool is_regular(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

static int path_resolve(const char *sweep_path, const char *text, char out[PATH_TEXT_MAX]) {
    char joined[PATH_TEXT_MAX];
    const char *slash = strrchr(sweep_path, '/');
    int directory = *text == '/' || !slash ? 0 : (int)(slash + 1 - sweep_path);
    if (path_format(joined, NULL, "%.*s%s", directory, sweep_path, text))
        return -1;
    char *whole = realpath(joined, NULL);
    bool fits = whole && strlen(whole) < RUN_FILE_MAX && text_copy(out, PATH_TEXT_MAX, whole);
    free(whole);
    return fits ? 0 : -1;
}

static void take_known(const Reader *reader, const Field *field, const char *text, RunFile *file) {
    if (reader->known) {
        memcpy(file, (const char *)reader->known + field->offset, sizeof *file);
        return;
    }
    text_copy(file->path, sizeof file->path, text);
    memset(file->digest, '0', sizeof file->digest - 1);
    file->digest[sizeof file->digest - 1] = '\0';
}

static int text_check(Reader *reader, const Field *field, const Node *node) {
    if (node->kind != NODE_SCALAR || !*node->text || strlen(node->text) >= RUN_FILE_MAX || !text_is_printable(node->text))
        return refuse_value(reader, field, node, "");
    return 0;
}

static int path_read(Reader *reader, const Node *node, char out[RUN_FILE_MAX]) {
    char path[PATH_TEXT_MAX];
    if (path_resolve(reader->tree.path, node->text, path) || !is_regular(path))
        return node_refuse(&reader->tree, node, AT_VALUE, "found no regular file \"%.300s\"; relative paths begin where this file lies",
                           node->text);
    text_copy(out, RUN_FILE_MAX, path);
    return 0;
}

int pack_field_read(Reader *reader, const Field *field, const Node *node, Draft *draft) {
    char *path = (char *)draft + field->offset;
    int result = text_check(reader, field, node);
    if (result == 0 && reader->stored)
        text_copy(path, RUN_FILE_MAX, node->text);
    else if (result == 0)
        result = path_read(reader, node, path);
    return result;
}

int file_field_read(Reader *reader, const Field *field, const Node *node, Draft *draft) {
    RunFile *file = (RunFile *)(void *)((char *)draft + field->offset);
    Error problem = {0};
    int result = text_check(reader, field, node);
    if (result == 0 && reader->stored)
        take_known(reader, field, node->text, file);
    else if (result == 0)
        result = path_read(reader, node, file->path);
    if (result == 0 && !reader->stored && digest_file(DIGEST_SHA256, file->path, file->digest, &problem))
        result = node_refuse(&reader->tree, node, AT_VALUE, "%s", problem.text);
    return result;
}
