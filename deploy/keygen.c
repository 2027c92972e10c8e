/* keygen.c - `penstock keygen`: a folder of CURVE keys for a cluster (common/curve_keys.h). */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/allow_list.h"
#include "common/curve_keys.h"
#include "common/file.h"
#include "common/options.h"
#include "common/transport.h"
#include "deploy/command_end.h"
#include "deploy/commands.h"
#include "deploy/file_tree.h"

enum { KEY_WORKERS = 256, KEY_EVALUATORS, LINE_BYTES = 64 };

typedef struct {
    const char *folder;
    uint64_t workers, evaluators; /* with keys of their own; 0: one for all */
} wishes;

static const struct argp_option options[] = {
    {"workers", KEY_WORKERS, "N", 0,
     "A key for each of N workers, the chief among them, with which none can speak as another (one for the "
     "chief, one "
     "for all others)",
     0},
    {"evaluators", KEY_EVALUATORS, "N", 0, "A key for each of N evaluators (one for all)", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    wishes *w = state->input;
    ps_error error = {PS_OK, ""};
    switch (key) {
    case KEY_WORKERS:
        option_unsigned("workers", argument, 1, JOB_WORKERS_MAX, &w->workers, &error);
        break;
    case KEY_EVALUATORS:
        option_unsigned("evaluators", argument, 1, JOB_WORKERS_MAX, &w->evaluators, &error);
        break;
    case ARGP_KEY_ARG:
        if (w->folder)
            argp_error(state, "one folder only; '%s' is a second", argument);
        w->folder = argument;
        return 0;
    case ARGP_KEY_END:
        if (!w->folder || !w->folder[0])
            argp_error(state, "which folder?");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    if (error.status != PS_OK)
        argp_error(state, "%s", error.text);
    return 0;
}

/* ---- making ---- */

typedef struct {
    const char *folder;
    FILE *allow; /* the list so far */
    ps_error *error;
} maker;

/* FOLDER/NAME.key, with a line in the list if it is let in as `who`. */
static ps_status make_key(maker *m, const char *name, const char *who, key_pair *pair)
{
    char path[PATH_BYTES];
    ps_status status = transport_make_keys(pair, m->error);
    if (status == PS_OK)
        status = path_make(path, m->error, "%s/%s.key", m->folder, name);
    if (status == PS_OK)
        status = key_file_write_pair(path, pair, name, m->error);
    if (status == PS_OK && who)
        fprintf(m->allow, "%s %s\n", who, pair->public_key);
    return status;
}

static ps_status make_client(maker *m, const char *name, const char *who)
{
    key_pair pair;
    ps_status status = make_key(m, name, who, &pair);
    key_pair_wipe(&pair);
    return status;
}

/* Keys `first` to `count` - 1 of a kind, or, without a number, one for all. */
static ps_status make_kind(maker *m, const char *kind, uint64_t first, uint64_t count)
{
    char name[LINE_BYTES], who[LINE_BYTES];
    if (count == 0)
        return make_client(m, kind, kind);
    ps_status status = PS_OK;
    for (uint64_t i = first; i < count && status == PS_OK; i++) {
        snprintf(name, sizeof name, "%s-%llu", kind, (unsigned long long)i);
        snprintf(who, sizeof who, "%s:%llu", kind, (unsigned long long)i);
        status = make_client(m, name, who);
    }
    return status;
}

static ps_status make_server(maker *m)
{
    char path[PATH_BYTES];
    key_pair pair;
    ps_status status = make_key(m, "ps", NULL, &pair);
    if (status == PS_OK)
        status = path_make(path, m->error, "%s/" CURVE_PS_PUBLIC, m->folder);
    if (status == PS_OK)
        status = key_file_write_public(path, &pair, "the ps", m->error);
    key_pair_wipe(&pair);
    return status;
}

static ps_status write_list(const maker *m, const char *text, size_t bytes)
{
    char path[PATH_BYTES];
    const struct iovec part = {.iov_base = (void *)(uintptr_t)text, .iov_len = bytes};
    ps_status status = path_make(path, m->error, "%s/" CURVE_ALLOW, m->folder);
    return status == PS_OK ? file_write_atomic(path, &part, 1, m->error) : status;
}

/* The list comes last: where a kill leaves half a folder, a ps notices. */
static ps_status make_all(const wishes *w, ps_error *error)
{
    char *text = NULL;
    size_t bytes = 0;
    maker m = {.folder = w->folder, .allow = open_memstream(&text, &bytes), .error = error};
    if (!m.allow)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    fputs("# Penstock: who may speak to the ps, and as whom (`worker:1` as worker 1 alone; the chief is "
          "worker 0,\n"
          "# and stands in for others). A ps sees changes; take a line out, and that key is worth nothing.\n",
          m.allow);
    ps_status status = make_server(&m);
    if (status == PS_OK)
        status = make_client(&m, "chief", "chief");
    if (status == PS_OK)
        status = make_kind(&m, "worker", 1, w->workers);
    if (status == PS_OK)
        status = make_kind(&m, "evaluator", 0, w->evaluators);
    if (fclose(m.allow) != 0 && status == PS_OK)
        status = ps_fail(error, PS_ENOMEM, "out of memory");
    if (status == PS_OK)
        status = write_list(&m, text, bytes);
    free(text);
    return status;
}

int keygen_main(int argc, char **argv)
{
    static const struct argp parser = {
        .options = options,
        .parser = parse_option,
        .args_doc = "FOLDER",
        .doc = "Make keys with which the processes of a cluster prove to each other who they are, and "
               "encrypt what "
               "travels (CURVE): a new folder, for --curve-keys of ps and workers.\v"
               "Files: ps.key and allow, for the hosts of ps; ps.pub and one of chief.key, worker.key (or "
               "worker-1.key, ...) and evaluator.key for those of workers. Files that end in .key are "
               "secret. Files "
               "that are there already are never overwritten.\n\n"
               "To replace a key while the job runs: add the line of the new one to `allow`, which every ps "
               "sees at "
               "once; give its owner the new file and restart it, of which the training takes no harm; take "
               "out the "
               "old line.\n\n"
               "Exit status: 0 made; 2 usage; 1 anything else."};
    wishes w = {0};
    ps_error error = {PS_OK, ""};
    argp_parse(&parser, argc, argv, 0, NULL, &w);
    ps_status status = PS_OK;
    if (mkdir(w.folder, 0700) != 0)
        status = path_fail(&error, "make", w.folder);
    if (status == PS_OK && (status = make_all(&w, &error)) != PS_OK)
        file_tree_remove(w.folder,
                         NULL); /* half a folder of keys is of no use, and in the way of the next try */
    if (status == PS_OK)
        printf("keys are in %s: ps take all of it, others ps.pub and their own .key alone (--curve-keys)\n",
               w.folder);
    return command_end(argv[0], status, &error) == PS_EXIT_DONE ? PS_EXIT_DONE : PS_EXIT_FAILURE;
}
