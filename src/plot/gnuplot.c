/* gnuplot as a child. No shell and no path comes near it: it runs inside the figure's directory, reads its script from standard input and
 * names only files whose names were made here. The script lies in memory that it reads as a file, so that neither side ever
 * waits for the other and a child that dies early raises no signal. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { COMPLAINT_MAX = 600 };

static int script_open(const Buffer *script, Error *error) {
    int file = memfd_create("gnuplot-script", MFD_CLOEXEC);
    if (file < 0) {
        return error_set_errno(error, errno, "no memory file for gnuplot's script");
    }
    for (size_t done = 0; done < script->size;) {
        ssize_t written = write(file, script->data + done, script->size - done);
        if (written < 0 && errno != EINTR) {
            error_set_errno(error, errno, "gnuplot's script");
            close(file);
            return -1;
        }
        done += written > 0 ? (size_t)written : 0;
    }
    if (lseek(file, 0, SEEK_SET) < 0) {
        error_set_errno(error, errno, "gnuplot's script");
        close(file);
        return -1;
    }
    return file;
}

/* 0, an errno. */
static int start(const char *directory, int script, int complaints, pid_t *child) {
    char *const arguments[] = {"gnuplot", "-d", "-", NULL};
    posix_spawn_file_actions_t actions;
    int failure = posix_spawn_file_actions_init(&actions);
    if (failure != 0) {
        return failure;
    }
    failure = posix_spawn_file_actions_addchdir_np(&actions, directory);
    failure = failure != 0 ? failure : posix_spawn_file_actions_adddup2(&actions, script, STDIN_FILENO);
    failure = failure != 0 ? failure : posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    failure = failure != 0 ? failure : posix_spawn_file_actions_adddup2(&actions, complaints, STDERR_FILENO);
    failure = failure != 0 ? failure : posix_spawnp(child, "gnuplot", &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    return failure;
}

/* Everything the child says, kept up to a bound, on one line. */
static void listen_to(int complaints, char text[COMPLAINT_MAX]) {
    size_t kept = 0;
    for (;;) {
        char chunk[4096];
        ssize_t size = read(complaints, chunk, sizeof chunk);
        if (size == 0 || (size < 0 && errno != EINTR)) {
            break;
        }
        for (ssize_t i = 0; i < size && kept + 1 < COMPLAINT_MAX; i++) {
            bool blank = (unsigned char)chunk[i] <= ' ';
            if (!blank || (kept > 0 && text[kept - 1] != ' ')) {
                text[kept++] = blank ? ' ' : chunk[i];
            }
        }
    }
    text[kept] = '\0';
}

static int reap(pid_t child, const char *complaint, Error *error) {
    int status;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            return error_set_errno(error, errno, "waiting for gnuplot");
        }
    }
    if (WIFSIGNALED(status)) {
        return error_set(error, "gnuplot was ended by signal %d: %s", WTERMSIG(status), complaint);
    }
    if (WEXITSTATUS(status) != 0) {
        return error_set(error, "gnuplot exited with %d: %s", WEXITSTATUS(status), complaint);
    }
    return 0;
}

int gnuplot_start(Gnuplot *out, const char *directory, const Buffer *script, Error *error) {
    int pipes[2] = {-1, -1}, result = -1, file = script_open(script, error);
    *out = (Gnuplot){.complaints = -1};
    if (file < 0) {
        return -1;
    }
    if (pipe2(pipes, O_CLOEXEC) < 0) {
        error_set_errno(error, errno, "no pipe to gnuplot");
        goto out;
    }
    int failure = start(directory, file, pipes[1], &out->child);
    close(pipes[1]);
    if (failure == 0) {
        out->complaints = pipes[0];
        result = 0;
        goto out;
    }
    close(pipes[0]);
    if (failure == ENOENT) {
        error_set(error, "gnuplot is not installed: install the package gnuplot-nox; the tables of the figure are in %s", directory);
        result = PLOT_NO_GNUPLOT;
    } else {
        error_set_errno(error, failure, "cannot start gnuplot");
    }
out:
    close(file);
    return result;
}

int gnuplot_finish(Gnuplot *gnuplot, Error *error) {
    char complaint[COMPLAINT_MAX];
    listen_to(gnuplot->complaints, complaint);
    close(gnuplot->complaints);
    return reap(gnuplot->child, complaint, error);
}
