/* ui_runs.c - see ui_runs.h. */
#include "deploy/status/ui_runs.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/json.h"
#include "common/json_write.h"
#include "deploy/runs/run_folder.h"
#include "deploy/runs/run_record.h"

enum { ADDRESS_MAX = 300, FILES_MAX = 4096 };

static const char name_characters[] = "abcdefghijklmnopqrstuvwxyz"
                                      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789-._";

/* A name that stays within its folder. */
static bool is_name(const char *name)
{
    const size_t length = strlen(name);
    return length > 0 && length < UI_NAME_MAX && name[0] != '.' &&
           name[strspn(name, name_characters)] == '\0';
}

/* When something in it last changed; 0: there is no such folder. */
static uint64_t changed_ms(const char *folder)
{
    struct stat about;
    if (stat(folder, &about) != 0 || !S_ISDIR(about.st_mode))
        return 0;
    return (uint64_t)about.st_mtim.tv_sec * 1000 + (uint64_t)about.st_mtim.tv_nsec / 1000000;
}

static uint64_t kept_ms(const ui_runs *runs, const char *name)
{
    char path[PATH_BYTES];
    ps_error error;
    return path_make(path, &error, "%s/%s/%s", runs->folder, name, RUN_STATUS) == PS_OK ? changed_ms(path)
                                                                                        : 0;
}

ps_status ui_runs_open(ui_runs *runs, const char *folder, ps_error *error)
{
    char *whole = realpath(folder, NULL);
    *runs = (ui_runs){.only = ""};
    ps_status status = whole ? path_make(runs->folder, error, "%s", whole)
                             : ps_fail(error, PS_ECONFIG, "%s: %s", folder, strerror(errno));
    free(whole);
    if (status != PS_OK)
        return status;
    if (changed_ms(runs->folder) == 0)
        return ps_fail(error, PS_ECONFIG, "%s is no folder", folder);
    if (kept_ms(runs, ".") == 0)
        return PS_OK;
    char *name = strrchr(runs->folder, '/');
    if (!is_name(name + 1))
        return ps_fail(error, PS_ECONFIG,
                       "%s: the name of a run's folder has letters, digits, '-', '.' and '_'", folder);
    memcpy(runs->only, name + 1, strlen(name + 1) + 1);
    name[name == runs->folder] = '\0'; /* of "/run" "/" is left */
    return PS_OK;
}

/* ---- files ---- */

/* The text of a file; NULL if there is none of at most `most` bytes. The caller frees. */
static char *read_text(size_t most, size_t *bytes, const char *folder, const char *name, const char *file)
{
    char path[PATH_BYTES];
    char *text = NULL;
    ps_error error;
    if (path_make(path, &error, "%s/%s/%s", folder, name, file) != PS_OK ||
        file_read(path, most, &text, bytes, &error) != PS_OK)
        return NULL;
    return text;
}

static bool is_json(const char *text, size_t bytes)
{
    const json_options options = {.source = "", .max_bytes = UI_PAGE_BYTES_MAX};
    json *root = NULL;
    ps_error error;
    const bool is = json_parse(text, bytes, &options, &root, NULL, &error) == PS_OK;
    json_free(&root);
    return is;
}

/* False: there is no such file, or what is in it is no JSON, or there is no room. */
static bool put_file(json_writer *w, const char *key, const ui_runs *runs, const char *name, const char *file)
{
    size_t bytes = 0;
    char *text = read_text(UI_PAGE_BYTES_MAX, &bytes, runs->folder, name, file);
    const long written = ftell(w->out);
    const bool fits = text && written >= 0 && (size_t)written + bytes < UI_BODY_BYTES && is_json(text, bytes);
    if (fits)
        json_put_raw(w, key, text, bytes);
    free(text);
    return fits;
}

/* ---- all runs ---- */

typedef struct {
    uint64_t kept_ms;
    char name[UI_NAME_MAX];
} found_run;

static int newest_first(const void *a, const void *b)
{
    const found_run *left = a, *right = b;
    if (left->kept_ms != right->kept_ms)
        return left->kept_ms < right->kept_ms ? 1 : -1;
    return strcmp(left->name, right->name);
}

static size_t find_runs(const ui_runs *runs, found_run *found)
{
    DIR *folder = opendir(runs->folder);
    size_t count = 0;
    if (!folder)
        return 0;
    for (const struct dirent *entry; count < FILES_MAX && (entry = readdir(folder));) {
        if (!is_name(entry->d_name) || (runs->only[0] && strcmp(entry->d_name, runs->only) != 0))
            continue;
        const uint64_t when_ms = kept_ms(runs, entry->d_name);
        if (when_ms == 0)
            continue;
        found[count].kept_ms = when_ms;
        memcpy(found[count++].name, entry->d_name, strlen(entry->d_name) + 1);
    }
    closedir(folder);
    qsort(found, count, sizeof *found, newest_first);
    return count < UI_RUNS_MAX ? count : UI_RUNS_MAX;
}

static void list_one(json_writer *w, const ui_runs *runs, const found_run *run)
{
    size_t bytes = 0;
    char *http = read_text(ADDRESS_MAX, &bytes, runs->folder, run->name, RUN_HTTP "/ps-0");
    if (http)
        http[strcspn(http, "\n")] = '\0';
    json_open(w, NULL, '{');
    json_put_text(w, "name", run->name);
    json_put_count(w, "modified_unix_ms", run->kept_ms);
    json_put_text(w, "http", http);
    if (!put_file(w, "record", runs, run->name, RUN_RECORD_FILE))
        json_put_null(w, "record");
    json_close(w, '}');
    free(http);
}

void ui_runs_list(const ui_runs *runs, FILE *out)
{
    json_writer w = {.out = out};
    found_run *found = calloc(FILES_MAX, sizeof *found);
    const size_t count = found ? find_runs(runs, found) : 0;
    json_open(&w, NULL, '{');
    json_put_count(&w, "schema", 1);
    json_put_text(&w, "folder", runs->folder);
    json_open(&w, "runs", '[');
    for (size_t i = 0; i < count; i++)
        list_one(&w, runs, &found[i]);
    json_close(&w, ']');
    json_close(&w, '}');
    free(found);
}

/* ---- one run ---- */

/* "ps-<index>-<incarnation>.json" */
static bool parse_page_name(const char *name, uint32_t *index, uint64_t *incarnation)
{
    char before[UI_NAME_MAX];
    if (sscanf(name, "ps-%9u-", index) != 1)
        return false;
    snprintf(before, sizeof before, "ps-%u-", *index);
    *incarnation = path_number(name, before, ".json");
    return *incarnation > 0;
}

/* By ps, then by process, the oldest first. */
static int by_process(const struct dirent **a, const struct dirent **b)
{
    uint32_t left = 0, right = 0;
    uint64_t left_process = 0, right_process = 0;
    parse_page_name((*a)->d_name, &left, &left_process);
    parse_page_name((*b)->d_name, &right, &right_process);
    if (left != right)
        return left < right ? -1 : 1;
    return left_process < right_process ? -1 : left_process > right_process;
}

static int is_page(const struct dirent *entry)
{
    uint32_t index;
    uint64_t incarnation;
    return parse_page_name(entry->d_name, &index, &incarnation);
}

static void put_page(json_writer *w, const ui_runs *runs, const char *name, const struct dirent *entry)
{
    char file[sizeof RUN_STATUS + 1 + sizeof entry->d_name];
    snprintf(file, sizeof file, RUN_STATUS "/%s", entry->d_name);
    put_file(w, NULL, runs, name, file);
}

static uint32_t server_of(const struct dirent *entry)
{
    uint32_t index = 0;
    uint64_t incarnation;
    parse_page_name(entry->d_name, &index, &incarnation);
    return index;
}

bool ui_runs_show(const ui_runs *runs, const char *name, FILE *out)
{
    char path[PATH_BYTES];
    ps_error error;
    struct dirent **files = NULL;
    if (!is_name(name) || (runs->only[0] && strcmp(name, runs->only) != 0) ||
        path_make(path, &error, "%s/%s/%s", runs->folder, name, RUN_STATUS) != PS_OK)
        return false;
    const int count = scandir(path, &files, is_page, by_process);
    if (count < 0)
        return false;
    int own = 0;
    while (own < count && server_of(files[own]) == 0)
        own++;
    json_writer w = {.out = out};
    json_open(&w, NULL, '{');
    json_put_count(&w, "schema", 1);
    json_put_text(&w, "name", name);
    json_open(&w, "pages", '[');
    for (int i = own > UI_PROCESSES_MAX ? own - UI_PROCESSES_MAX : 0; i < own; i++)
        put_page(&w, runs, name, files[i]);
    json_close(&w, ']');
    json_open(&w, "others", '[');
    for (int i = own, others = 0; i < count && others < UI_OTHERS_MAX; i++) {
        if (i + 1 < count && server_of(files[i + 1]) == server_of(files[i]))
            continue;
        put_page(&w, runs, name, files[i]);
        others++;
    }
    json_close(&w, ']');
    json_close(&w, '}');
    for (int i = 0; i < count; i++)
        free(files[i]);
    free(files);
    return true;
}
