#include "worker.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>

typedef struct Verb {
    const char *name;
    int (*run)(int argc, char **argv);
} Verb;

static const Verb verbs[] = {{"serve", worker_serve}, {"train", worker_train}, {"rate", worker_rate}, {"bench", worker_bench}};

static const char help_text[] = "Usage: sweep-worker VERB [OPTION]...\n"
                                "Trains the runs of a scaling study.\n"
                                "\n"
                                "  serve          lease runs from the daemon, train them and report\n"
                                "  train SPEC     train one run by hand, with no daemon\n"
                                "  rate           measure this machine's training rate\n"
                                "  bench          time one model's training steps and their matrix products\n"
                                "\n"
                                "  --help         this text; after a verb, that verb's options\n"
                                "  --version      version and commit\n"
                                "\n"
                                "Exit codes: 0 ok, 1 error, 2 usage or bad run. Manual: sweep-worker(1).\n";

/* A worker trains run after run. Left to itself, the C library learns from the first large model that is freed to keep the next ones'
 * memory, up to 64 MiB of it: the daemon counts on what a run says that it takes. */
static void keep_no_memory(void) {
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_TRIM_THRESHOLD, 4 << 20);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fputs(help_text, stderr);
        return WORKER_EXIT_USAGE;
    }
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--version")) {
            printf("sweep-worker %s (%s)\n", version_text(), version_commit());
            return WORKER_EXIT_OK;
        }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        fputs(help_text, stdout);
        return WORKER_EXIT_OK;
    }
    keep_no_memory();
    const char *name = argv[1];
    argv[1] = argv[0]; /* what getopt calls the program in its messages */
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (!strcmp(name, verbs[i].name))
            return verbs[i].run(argc - 1, argv + 1);
    return worker_fail(WORKER_EXIT_USAGE, "unknown verb '%s'; try 'sweep-worker --help'", name);
}
