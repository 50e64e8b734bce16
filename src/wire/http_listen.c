/* Where the server listens: a Unix socket that only its owner may open, and TCP behind a token. */

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "http_server.h"

enum { BACKLOG = 128 };

int http_server_new(HttpServer **out, struct event_base *base, const HttpLimits *limits, HttpHandler handler, void *context, Error *error) {
    HttpServer *server = calloc(1, sizeof *server);
    if (server == NULL)
        return error_set_memory(error, "out of memory");
    server->base = base;
    server->limits = *limits;
    server->handler = handler;
    server->context = context;
    *out = server;
    return 0;
}

static void listener_deinit(HttpListener *listener) {
    struct stat status;
    if (listener->path != NULL && lstat(listener->path, &status) == 0 && status.st_dev == listener->device &&
        status.st_ino == listener->inode)
        unlink(listener->path);
    if (listener->resume != NULL)
        event_free(listener->resume);
    if (listener->listener != NULL)
        evconnlistener_free(listener->listener);
    free(listener->path);
    free(listener->token);
}

void http_server_free(HttpServer *server) {
    if (server == NULL)
        return;
    while (server->connections != NULL)
        http_connection_free(server->connections);
    for (size_t i = 0; i < server->listener_count; i++)
        listener_deinit(&server->listeners[i]);
    free(server);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t socket, struct sockaddr *address, int size, void *context) {
    (void)listener;
    (void)address;
    (void)size;
    http_connection_accept(context, socket);
}

static void on_resume(evutil_socket_t socket, short events, void *context) {
    (void)socket;
    (void)events;
    HttpListener *listener = context;
    evconnlistener_enable(listener->listener);
}

/* Out of file descriptors, most likely: without a pause the loop would spin on the pending connection. */
static void on_accept_error(struct evconnlistener *source, void *context) {
    HttpListener *listener = context;
    log_write(LOG_WARNING, "cannot accept a connection: %s", strerror(errno));
    evconnlistener_disable(source);
    struct timeval pause = {.tv_sec = 1};
    event_add(listener->resume, &pause);
}

/* Begins to listen on a bound socket, which it takes over. */
static int add_listener(HttpServer *server, int socket, HttpListener **out, Error *error) {
    if (server->listener_count == HTTP_LISTENERS_MAX) {
        close(socket);
        return error_set(error, "at most %d addresses to listen on", HTTP_LISTENERS_MAX);
    }
    HttpListener *listener = &server->listeners[server->listener_count];
    *listener = (HttpListener){.server = server};
    listener->listener =
        evconnlistener_new(server->base, on_accept, listener, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, BACKLOG, socket);
    if (listener->listener == NULL) {
        int number = errno;
        close(socket);
        return error_set_errno(error, number, "cannot listen");
    }
    listener->resume = evtimer_new(server->base, on_resume, listener);
    if (listener->resume == NULL) {
        listener_deinit(listener);
        return error_set_memory(error, "out of memory");
    }
    evconnlistener_set_error_cb(listener->listener, on_accept_error);
    server->listener_count++;
    *out = listener;
    return 0;
}

/* ---- Unix socket ---- */

static int unix_address(struct sockaddr_un *out, const char *path, Error *error) {
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (!text_copy(out->sun_path, sizeof out->sun_path, path))
        return error_set(error, "%s: too long for a socket's name", path);
    return 0;
}

/* Removes what a dead daemon left; refuses when somebody answers or when it is no socket. */
static int clear_stale(const struct sockaddr_un *address, Error *error) {
    struct stat status;
    if (lstat(address->sun_path, &status) != 0)
        return errno == ENOENT ? 0 : error_set_errno(error, errno, "%s", address->sun_path);
    if (!S_ISSOCK(status.st_mode))
        return error_set(error, "%s: exists and is not a socket", address->sun_path);
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return error_set_errno(error, errno, "socket");
    int number = connect(probe, (const struct sockaddr *)address, sizeof *address) == 0 ? 0 : errno;
    close(probe);
    if (number != ECONNREFUSED)
        return error_set(error, "%s: another daemon serves it", address->sun_path);
    return unlink(address->sun_path) == 0 ? 0 : error_set_errno(error, errno, "%s", address->sun_path);
}

static int bind_unix(const struct sockaddr_un *address, int *out, Error *error) {
    int bound = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bound < 0)
        return error_set_errno(error, errno, "socket");
    mode_t before = umask(0177);
    int result = bind(bound, (const struct sockaddr *)address, sizeof *address);
    int number = errno;
    umask(before);
    if (result != 0) {
        close(bound);
        return error_set_errno(error, number, "%s", address->sun_path);
    }
    *out = bound;
    return 0;
}

int http_server_listen_unix(HttpServer *server, const char *path, Error *error) {
    struct sockaddr_un address;
    struct stat status;
    HttpListener *listener;
    int bound = -1;
    if (unix_address(&address, path, error) != 0 || clear_stale(&address, error) != 0 || bind_unix(&address, &bound, error) != 0)
        return -1;
    if (add_listener(server, bound, &listener, error) != 0)
        return error_prefix(error, "%s", path);
    listener->path = text_duplicate(path, error);
    if (listener->path == NULL)
        return -1;
    if (lstat(path, &status) != 0)
        return error_set_errno(error, errno, "%s", path);
    listener->device = status.st_dev;
    listener->inode = status.st_ino;
    return 0;
}

/* ---- TCP ---- */

static int bind_tcp(const struct addrinfo *found, int *out, Error *error) {
    int bound = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bound < 0)
        return error_set_errno(error, errno, "socket");
    int on = 1;
    setsockopt(bound, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(bound, found->ai_addr, found->ai_addrlen) != 0) {
        int number = errno;
        close(bound);
        return error_set_errno(error, number, "bind");
    }
    *out = bound;
    return 0;
}

static int socket_port(int bound) {
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    if (getsockname(bound, (struct sockaddr *)&address, &size) != 0)
        return 0;
    return address.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&address)->sin6_port)
                                         : ntohs(((struct sockaddr_in *)&address)->sin_port);
}

int http_server_listen_tcp(HttpServer *server, const char *address, int port, const char *token, Error *error) {
    if (token == NULL || *token == '\0')
        return error_set(error, "%s:%d: listening on TCP needs a token", address, port);
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found = NULL;
    int problem = getaddrinfo(address, service, &hints, &found);
    if (problem != 0)
        return error_set(error, "%s:%d: %s", address, port, gai_strerror(problem));
    HttpListener *listener = NULL;
    int bound = -1;
    int result = bind_tcp(found, &bound, error);
    freeaddrinfo(found);
    if (result == 0)
        result = add_listener(server, bound, &listener, error);
    if (result != 0)
        return error_prefix(error, "%s:%d", address, port);
    listener->port = socket_port(bound);
    listener->token = text_duplicate(token, error);
    if (listener->token != NULL)
        return 0;
    /* Without its token the listener would let everybody in. */
    listener_deinit(listener);
    server->listener_count--;
    return -1;
}

int http_server_port(const HttpServer *server) {
    for (size_t i = 0; i < server->listener_count; i++)
        if (server->listeners[i].port != 0)
            return server->listeners[i].port;
    return 0;
}

/* ---- the socket's name ---- */

int http_private_directory(const char *path, Error *error) {
    struct stat status;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return error_set_errno(error, errno, "%s", path);
    if (lstat(path, &status) != 0)
        return error_set_errno(error, errno, "%s", path);
    if (!S_ISDIR(status.st_mode) || status.st_uid != getuid() || (status.st_mode & 077) != 0)
        return error_set(error, "%s: must be a directory of this user alone (mode 0700) to hold sockets; remove it, or set XDG_RUNTIME_DIR",
                         path);
    return 0;
}

/* In /tmp anybody may make a file of any name: only in a directory of one's own does a socket's name say whose it is. */
int wire_socket_path(const char *home, char out[PATH_TEXT_MAX], Error *error) {
    struct sockaddr_un address;
    if (path_format(out, error, "%s/sweepd.sock", home) != 0)
        return -1;
    if (strlen(out) < sizeof address.sun_path)
        return 0;
    char digest[SHA256_HEX_MAX];
    if (sha256_hex(home, strlen(home), digest, error) != 0)
        return -1;
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (runtime != NULL && runtime[0] == '/' && strlen(runtime) < 64)
        return path_format(out, error, "%s/sweepd-%.16s.sock", runtime, digest);
    char directory[64];
    snprintf(directory, sizeof directory, "/tmp/sweepd-%u", (unsigned)getuid());
    if (http_private_directory(directory, error) != 0)
        return -1;
    return path_format(out, error, "%s/%.16s.sock", directory, digest);
}
