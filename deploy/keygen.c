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
#include "deploy/registry/file_tree.h"

enum { KEY_WORKERS = 256, KEY_EVALUATORS, KEY_ROTATE, LINE_BYTES = 64 };

typedef struct {
    const char *folder;
    uint64_t workers, evaluators; /* with keys of their own; 0: one for all */
    bool rotates;                 /* the key of the ps, of a folder that is there */
} wishes;

static const struct argp_option options[] = {
    {"workers", KEY_WORKERS, "N", 0,
     "A key for each of N workers, the chief among them, with which none can speak as another (one for the "
     "chief, one "
     "for all others)",
     0},
    {"evaluators", KEY_EVALUATORS, "N", 0, "A key for each of N evaluators (one for all)", 0},
    {"rotate", KEY_ROTATE, "ps", 0,
     "Replace the key of the ps in a folder that is there, ps.key and ps.pub, also while a job runs with it",
     0},
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
    case KEY_ROTATE:
        if (strcmp(argument, "ps") != 0)
            argp_error(state, "--rotate '%s': only `ps' is replaced so; of others see below", argument);
        w->rotates = true;
        return 0;
    case ARGP_KEY_ARG:
        if (w->folder)
            argp_error(state, "one folder only; '%s' is a second", argument);
        w->folder = argument;
        return 0;
    case ARGP_KEY_END:
        if (!w->folder || !w->folder[0])
            argp_error(state, "which folder?");
        if (w->rotates && (w->workers || w->evaluators))
            argp_error(state, "--rotate makes no keys of workers and evaluators");
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
          "# and stands in for others; `admin` is who uses `penstock admin`). A ps sees changes; take a line "
          "out, and\n"
          "# that key is worth nothing.\n",
          m.allow);
    ps_status status = make_server(&m);
    if (status == PS_OK)
        status = make_client(&m, "chief", "chief");
    if (status == PS_OK)
        status = make_client(&m, "admin", "admin");
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

/* ---- replacing ---- */

static ps_status move_into_place(const char *from, const char *to, ps_error *error)
{
    return rename(from, to) == 0 ? PS_OK : path_fail(error, "replace", to);
}

/* Who connects looks for the new key once the old one fails: so ps.pub comes first. */
static ps_status rotate(const char *folder, ps_error *error)
{
    char key[PATH_BYTES], public[PATH_BYTES], new_key[PATH_BYTES], new_public[PATH_BYTES];
    key_pair pair;
    ps_status status = path_make(key, error, "%s/" CURVE_PS_KEY, folder);
    if (status == PS_OK)
        status = path_make(public, error, "%s/" CURVE_PS_PUBLIC, folder);
    if (status == PS_OK)
        status = path_make(new_key, error, "%s.new", key);
    if (status == PS_OK)
        status = path_make(new_public, error, "%s.new", public);
    if (status == PS_OK)
        status = key_file_read_pair(key, &pair, error);
    if (status != PS_OK)
        return status;
    unlink(new_key); /* left by one that was killed */
    unlink(new_public);
    status = transport_make_keys(&pair, error);
    if (status == PS_OK)
        status = key_file_write_pair(new_key, &pair, "ps", error);
    if (status == PS_OK)
        status = key_file_write_public(new_public, &pair, "the ps", error);
    key_pair_wipe(&pair);
    if (status == PS_OK)
        status = move_into_place(new_public, public, error);
    if (status == PS_OK)
        status = move_into_place(new_key, key, error);
    if (status == PS_OK)
        return file_sync_folder(folder, error);
    unlink(new_key);
    unlink(new_public);
    return status;
}

static ps_status make_folder(const wishes *w, ps_error *error)
{
    if (mkdir(w->folder, 0700) != 0)
        return path_fail(error, "make", w->folder);
    ps_status status = make_all(w, error);
    if (status != PS_OK) /* half a folder of keys is of no use, and in the way of the next try */
        file_tree_remove(w->folder, NULL);
    return status;
}

int keygen_main(int argc, char **argv)
{
    static const struct argp parser = {
        .options = options,
        .parser = parse_option,
        .args_doc = "FOLDER",
        .doc =
            "Make keys with which the processes of a cluster prove to each other who they are, and "
            "encrypt what "
            "travels (CURVE): a new folder, for --curve-keys of ps and workers.\v"
            "Files: ps.key and allow, for the hosts of ps; ps.pub and one of chief.key, worker.key (or "
            "worker-1.key, ...) and evaluator.key for those of workers; admin.key and ps.pub where `penstock "
            "admin' is used. Files that end in .key are secret. Files that are there already are never "
            "overwritten.\n\n"
            "To replace a key while the job runs: add the line of the new one to `allow`, which every ps "
            "sees at "
            "once; give its owner the new file and restart it, of which the training takes no harm; take "
            "out the "
            "old line.\n\n"
            "To replace that of the ps: --rotate ps. A ps takes its new ps.key as soon as it is there, and "
            "connections begin anew; workers look into ps.pub again when a ps does not know theirs any more, "
            "so they need the new one first.\n\n"
            "Exit status: 0 made; 2 usage; 1 anything else."};
    wishes w = {0};
    ps_error error = {PS_OK, ""};
    argp_parse(&parser, argc, argv, 0, NULL, &w);
    ps_status status = w.rotates ? rotate(w.folder, &error) : make_folder(&w, &error);
    if (status == PS_OK && w.rotates)
        printf("%s holds another key of the ps: give ps.pub to the hosts of workers, then ps.key to those of "
               "ps\n",
               w.folder);
    else if (status == PS_OK)
        printf("keys are in %s: ps take all of it, others ps.pub and their own .key alone (--curve-keys)\n",
               w.folder);
    return command_end(argv[0], status, &error) == PS_EXIT_DONE ? PS_EXIT_DONE : PS_EXIT_FAILURE;
}
