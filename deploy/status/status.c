/* status.c - `penstock status`: how a training goes, of all processes in one table. */
#include <argp.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "common/http_token.h"
#include "common/json_write.h"
#include "common/options.h"
#include "deploy/command_end.h"
#include "deploy/commands.h"
#include "deploy/growing.h"
#include "deploy/runs/run_folder.h"
#include "deploy/status/status_gather.h"
#include "deploy/status/status_table.h"

enum { WATCH_MS = 1000, ADDRESS_FILE_MAX = 512 };
enum { KEY_WATCH = 256, KEY_JSON, KEY_RUN_DIR, KEY_TOKEN_FILE };

typedef struct {
    bool watch, json;
    const char *run_dir; /* NULL: the newest */
    const char *token_file;
    http_token token; /* what it holds */
    size_t count;
    char **addresses; /* owned, as are the texts */
} status_options;

static const struct argp_option option_list[] = {
    {"watch", KEY_WATCH, NULL, 0, "Show it again every second, until nobody answers any more", 0},
    {"json", KEY_JSON, NULL, 0, "Print the processes' own pages as JSON (common/status_page.md)", 0},
    {"run-dir", KEY_RUN_DIR, "DIR", 0, "The folder of the run to look at (the newest under runs/)", 0},
    {"http-token-file", KEY_TOKEN_FILE, "FILE", 0,
     "The token that the daemons ask for, in the same file as theirs; it goes to the addresses that were "
     "given, "
     "or the run's, alone (the environment's " HTTP_TOKEN_VARIABLE ", or none)",
     0},
    {0},
};

static void read_token(status_options *o, struct argp_state *state)
{
    ps_error error;
    if (http_token_find(o->token_file, "--http-token-file", &o->token, &error) != PS_OK)
        argp_error(state, "%s", error.text);
}

static bool add_address(status_options *o, const char *address)
{
    char **more = growing_room(o->addresses, o->count, sizeof *more);
    if (!more)
        return false;
    o->addresses = more;
    more[o->count] = strdup(address);
    if (!more[o->count])
        return false;
    o->count++;
    return true;
}

static error_t parse_one(int key, char *argument, struct argp_state *state)
{
    status_options *o = state->input;
    ps_error error;
    switch (key) {
    case KEY_WATCH:
        o->watch = true;
        return 0;
    case KEY_JSON:
        o->json = true;
        return 0;
    case KEY_RUN_DIR:
        if (option_name("run-dir", argument, &o->run_dir, &error) != PS_OK)
            argp_error(state, "%s", error.text);
        return 0;
    case KEY_TOKEN_FILE:
        o->token_file = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (!add_address(o, argument))
            argp_failure(state, PS_EXIT_FAILURE, 0, "out of memory");
        return 0;
    case ARGP_KEY_END:
        if (o->run_dir && o->count > 0)
            argp_error(state, "--run-dir and ADDRESS exclude each other");
        read_token(o, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- which run ---- */

static bool is_hidden(const struct dirent *e)
{
    return e->d_name[0] == '.';
}

/* When its processes last told where they are; false if there is no such folder. */
static bool tell_time(const char *run, struct timespec *told)
{
    char path[RUN_PATH_MAX + sizeof RUN_HTTP + 1];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", run, RUN_HTTP);
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return false;
    *told = info.st_mtim;
    return true;
}

static bool is_later(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

static ps_status find_newest(char run[RUN_PATH_MAX], ps_error *error)
{
    struct timespec newest = {0};
    DIR *runs = opendir("runs");
    run[0] = '\0';
    if (!runs)
        return ps_fail(error, PS_ENOENT,
                       "there is no run here: no folder runs/; give an ADDRESS or --run-dir");
    for (const struct dirent *e; (e = readdir(runs));) {
        char path[RUN_PATH_MAX];
        struct timespec told;
        if (is_hidden(e) || (size_t)snprintf(path, sizeof path, "runs/%s", e->d_name) >= sizeof path ||
            !tell_time(path, &told) || (run[0] && !is_later(&told, &newest)))
            continue;
        memcpy(run, path, sizeof path);
        newest = told;
    }
    closedir(runs);
    return run[0] ? PS_OK
                  : ps_fail(error, PS_ENOENT, "no run under runs/ shows itself over HTTP; give an ADDRESS");
}

/* Those of ps, or, if there are none, all. */
static ps_status read_addresses(status_options *o, const char *run, bool all, ps_error *error)
{
    char folder[RUN_PATH_MAX + sizeof RUN_HTTP + 1];
    snprintf(folder, sizeof folder, "%s/%s", run, RUN_HTTP);
    DIR *list = opendir(folder);
    if (!list)
        return ps_fail(error, PS_ENOENT, "%s: %s; has the run begun, and without --no-http?", folder,
                       strerror(errno));
    ps_status status = PS_OK;
    for (const struct dirent *e; status == PS_OK && (e = readdir(list));) {
        char path[sizeof folder + 256];
        char *text = NULL;
        size_t bytes = 0;
        if (is_hidden(e) || strstr(e->d_name, FILE_TEMPORARY_MARK) ||
            !(all || strncmp(e->d_name, "ps-", 3) == 0))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (file_read(path, ADDRESS_FILE_MAX, &text, &bytes, error) != PS_OK)
            continue; /* it has ended just now */
        text[strcspn(text, "\r\n")] = '\0';
        if (!add_address(o, text))
            status = ps_fail(error, PS_ENOMEM, "out of memory");
        free(text);
    }
    closedir(list);
    return status;
}

static void forget_addresses(status_options *o)
{
    for (size_t i = 0; i < o->count; i++)
        free(o->addresses[i]);
    free(o->addresses);
    o->addresses = NULL;
    o->count = 0;
}

/* The processes of a run come and go; so its folder is read each time. */
static ps_status look_for_run(status_options *o, ps_error *error)
{
    char run[RUN_PATH_MAX];
    forget_addresses(o);
    ps_status status = PS_OK;
    if (o->run_dir)
        snprintf(run, sizeof run, "%s", o->run_dir);
    else
        status = find_newest(run, error);
    if (status == PS_OK)
        status = read_addresses(o, run, false, error);
    if (status == PS_OK && o->count == 0)
        status = read_addresses(o, run, true, error);
    if (status == PS_OK && o->count == 0)
        status = ps_fail(error, PS_ENOENT, "the run in %s has ended: no process shows itself any more", run);
    return status;
}

/* ---- output ---- */

static void print_json(const status_pages *all, FILE *out)
{
    json_writer w = {.out = out};
    json_open(&w, NULL, '{');
    json_put_count(&w, "schema", 1);
    json_open(&w, "pages", '[');
    for (size_t i = 0; i < all->count; i++)
        if (all->pages[i].text)
            json_put_raw(&w, NULL, all->pages[i].text, all->pages[i].bytes);
    json_close(&w, ']');
    json_open(&w, "errors", '[');
    for (size_t i = 0; i < all->count; i++) {
        if (all->pages[i].text)
            continue;
        json_open(&w, NULL, '{');
        json_put_text(&w, "address", all->pages[i].address);
        json_put_text(&w, "error", all->pages[i].error.text);
        json_close(&w, '}');
    }
    json_close(&w, ']');
    json_close(&w, '}');
    fputc('\n', out);
}

/* Whole at once, so that a screen does not flicker. */
static void show(const status_options *o, const status_pages *all)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (!out)
        return;
    const bool redraw = o->watch && !o->json && isatty(STDOUT_FILENO);
    if (redraw)
        fputs("\x1b[H\x1b[J", out);
    (o->json ? print_json : status_table_print)(all, out);
    if (o->watch && !o->json && !redraw)
        fputc('\n', out);
    if (fclose(out) == 0)
        fwrite(text, 1, bytes, stdout);
    fflush(stdout);
    free(text);
}

static ps_status look(status_options *o, bool in_run, status_pages *all, ps_error *error)
{
    ps_status status = in_run ? look_for_run(o, error) : PS_OK;
    return status == PS_OK ? status_pages_gather(all, (const char *const *)o->addresses, o->count,
                                                 o->token.text[0] ? o->token.text : NULL, error)
                           : status;
}

int status_main(int argc, char **argv)
{
    static const struct argp parser = {
        .options = option_list,
        .parser = parse_one,
        .args_doc = "[ADDRESS...]",
        .doc =
            "Show how a training goes: progress, workers, ps, checkpoints, faults, and who waits for whom.\v"
            "ADDRESS is host:port of any ps or worker with --http-port; of a cluster one is enough, unless "
            "they ask for a token. Without "
            "it, the newest run of `penstock run' in this folder is looked at.\n\n"
            "Times are milliseconds of a step: in all, computing, pushing, waiting for the others' "
            "gradients, "
            "pulling. `rst' counts restarts, `dupl.' pushes that came twice.\n\n"
            "Exit code: 0 if a process answered; 1 if none did; 2 for a mistake on the command line."};
    status_options o = {0};
    argp_parse(&parser, argc, argv, 0, NULL, &o);
    const bool in_run = o.count == 0;
    const struct timespec pause = {.tv_sec = WATCH_MS / 1000};
    status_pages all = {0};
    ps_error error;
    ps_status status = look(&o, in_run, &all, &error);
    const bool seen = status == PS_OK;
    while (status == PS_OK) {
        show(&o, &all);
        if (!o.watch || ferror(stdout))
            break;
        nanosleep(&pause, NULL);
        status = look(&o, in_run, &all, &error);
    }
    const int end = command_end(argv[0], status, &error);
    status_pages_fini(&all);
    forget_addresses(&o);
    if (status == PS_OK)
        return end;
    return seen ? PS_EXIT_DONE : status == PS_EINVAL ? PS_EXIT_USAGE : PS_EXIT_FAILURE;
}
