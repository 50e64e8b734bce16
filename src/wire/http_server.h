/* http_server: what its two files share. */
#pragma once

#include <event2/listener.h>
#include <sys/stat.h>

#include "sweepd/wire.h"

enum { HTTP_LISTENERS_MAX = 4 };

typedef struct HttpConnection HttpConnection;

typedef struct HttpListener {
    HttpServer *server;
    struct evconnlistener *listener;
    struct event *resume; /* accepting again, after an error */
    char *token;          /* NULL: none is asked for */
    char *path;           /* of a Unix socket, removed at the end when it is still this one */
    dev_t device;
    ino_t inode;
    int port;
} HttpListener;

struct HttpServer {
    struct event_base *base;
    HttpLimits limits;
    HttpHandler handler;
    void *context;
    HttpListener listeners[HTTP_LISTENERS_MAX];
    size_t listener_count;
    HttpConnection *connections;
    int connection_count;
};

/* Takes the socket over. */
void http_connection_accept(HttpListener *listener, evutil_socket_t socket);
void http_connection_free(HttpConnection *connection);

/* Makes the directory for this user alone; an error when it is another's, open to others, or no directory. */
int http_private_directory(const char *path, Error *error);
