/* sweep_command.c - see sweep_command.h. */
#include "deploy/sweep/sweep_command.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json.h"
#include "common/path.h"
#include "common/utf8.h"

enum { VERSION = 1 };

#define SHELL_PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./=,:+@%-"

/* ---- arguments ------------------------------------------------------------------------------------- */

static ps_status add_argument(sweep_arguments *a, const char *text, ps_error *error)
{
    if (a->count == SWEEP_FIXED_MAX)
        return ps_fail(error, PS_ELIMIT, "more than %d options for each run", SWEEP_FIXED_MAX);
    if (!a->list)
        a->list = calloc(SWEEP_FIXED_MAX, sizeof *a->list);
    char *copy = a->list ? strdup(text) : NULL;
    if (!copy)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    a->list[a->count++] = copy;
    return PS_OK;
}

static void free_arguments(sweep_arguments *a)
{
    for (size_t i = 0; i < a->count; i++)
        free(a->list[i]);
    free(a->list);
    *a = (sweep_arguments){0};
}

static bool is_utf8(const char *text)
{
    for (size_t left = strlen(text), length; left > 0; text += length, left -= length)
        if ((length = utf8_length(text, left)) == 0)
            return false;
    return true;
}

static ps_status check_argument(bool of_run, const char *text, ps_error *error)
{
    if (!is_utf8(text))
        return ps_fail(error, PS_ECONFIG, "'%s' is not UTF-8", text);
    const char *name = strncmp(text, "--", 2) == 0 ? text + 2 : "";
    const size_t length = strcspn(name, "=");
    if (sweep_space_reserves(of_run, name, length))
        return ps_fail(error, PS_ECONFIG, "--%.*s: a sweep gives this to its runs itself, or it makes none",
                       (int)length, name);
    return PS_OK;
}

static ps_status take_arguments(sweep_command *c, char *const *arguments, size_t count, ps_error *error)
{
    bool of_run = true;
    ps_status status = PS_OK;
    for (size_t i = 0; i < count && status == PS_OK; i++) {
        if (of_run && strcmp(arguments[i], "--") == 0) {
            of_run = false;
            continue;
        }
        status = check_argument(of_run, arguments[i], error);
        if (status == PS_OK)
            status = add_argument(of_run ? &c->run : &c->training, arguments[i], error);
    }
    return status;
}

/* ---- made, or read --------------------------------------------------------------------------------- */

/* A space that is wrong is a mistake in what was asked for. */
static ps_status read_space(const char *path, sweep_command *c, sweep_space **space, ps_error *error)
{
    ps_status status = file_read(path, SWEEP_SPACE_BYTES_MAX, &c->text, &c->bytes, error);
    if (status == PS_OK)
        status = sweep_space_parse(c->text, c->bytes, path, space, error);
    return status == PS_ENOMEM || status == PS_OK ? status : PS_ECONFIG;
}

ps_status sweep_command_make(const char *space_file, char *const *arguments, size_t count, sweep_command *c,
                             sweep_space **space, ps_error *error)
{
    *c = (sweep_command){0};
    *space = NULL;
    ps_status status = take_arguments(c, arguments, count, error);
    if (status == PS_OK)
        status = read_space(space_file, c, space, error);
    if (status != PS_OK)
        return status;
    c->seed = (*space)->seed;
    c->directory = getcwd(NULL, 0);
    return c->directory ? PS_OK : ps_fail(error, PS_EIO, "cannot tell the working directory");
}

static ps_status read_arguments(const json *root, const char *key, sweep_arguments *a, ps_error *error)
{
    const json *list = json_find(root, key);
    ps_status status = json_as_list(list, key, error);
    for (const json *each = status == PS_OK ? json_first(list) : NULL; each && status == PS_OK;
         each = json_next(each)) {
        const char *text;
        status = json_as_string(each, key, &text, error);
        if (status == PS_OK)
            status = add_argument(a, text, error);
    }
    return status;
}

static ps_status read_command(const json *root, sweep_command *c, ps_error *error)
{
    int64_t number;
    const char *directory;
    ps_status status =
        json_as_integer(json_find(root, "version"), "version", VERSION, VERSION, &number, error);
    if (status == PS_OK)
        status = json_as_integer(json_find(root, "seed"), "seed", 0, JSON_INTEGER_MAX, &number, error);
    if (status == PS_OK)
        status = json_as_string(json_find(root, "directory"), "directory", &directory, error);
    if (status == PS_OK)
        status = read_arguments(root, "run", &c->run, error);
    if (status == PS_OK)
        status = read_arguments(root, "training", &c->training, error);
    if (status != PS_OK)
        return status;
    c->seed = (uint64_t)number;
    c->directory = strdup(directory);
    return c->directory ? PS_OK : ps_fail(error, PS_ENOMEM, "out of memory");
}

ps_status sweep_command_read(const char *folder, sweep_command *c, sweep_space **space, ps_error *error)
{
    char path[PATH_BYTES], *text = NULL;
    size_t bytes;
    json *root = NULL;
    ps_error cause;
    *c = (sweep_command){0};
    *space = NULL;
    ps_status status = path_make(path, error, "%s/sweep.json", folder);
    if (status == PS_OK)
        status = file_read(path, SWEEP_COMMAND_BYTES_MAX, &text, &bytes, error);
    if (status != PS_OK)
        return status;
    const json_options options = {.source = path, .max_bytes = SWEEP_COMMAND_BYTES_MAX};
    status = json_parse(text, bytes, &options, &root, NULL, error);
    free(text);
    if (status == PS_OK && (status = read_command(root, c, &cause)) != PS_OK)
        ps_fail(error, status, "%s: %s", path, cause.text);
    json_free(&root);
    if (status == PS_OK)
        status = path_make(path, error, "%s/space.json", folder);
    if (status == PS_OK)
        status = read_space(path, c, space, error);
    return status;
}

void sweep_command_fini(sweep_command *c)
{
    free(c->text);
    free(c->directory);
    free_arguments(&c->run);
    free_arguments(&c->training);
    *c = (sweep_command){0};
}

/* ---- written, and compared ------------------------------------------------------------------------- */

static void print_arguments(FILE *out, const char *key, const sweep_arguments *a)
{
    fprintf(out, ",\n \"%s\": [", key);
    for (size_t i = 0; i < a->count; i++) {
        fprintf(out, "%s", i > 0 ? ", " : "");
        json_print_string(out, a->list[i]);
    }
    fprintf(out, "]");
}

/* NULL: out of memory. */
static char *print_command(const sweep_command *c, size_t *bytes)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, bytes);
    if (!out)
        return NULL;
    fprintf(out, "{\"version\": %d, \"seed\": %" PRIu64 ",\n \"directory\": ", VERSION, c->seed);
    json_print_string(out, c->directory);
    print_arguments(out, "run", &c->run);
    print_arguments(out, "training", &c->training);
    fprintf(out, "}\n");
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

ps_status sweep_command_write(const sweep_command *c, const char *folder, ps_error *error)
{
    char path[PATH_BYTES];
    size_t bytes;
    char *text = print_command(c, &bytes);
    if (!text)
        return ps_fail(error, PS_ENOMEM, "out of memory");
    const struct iovec space = {c->text, c->bytes}, command = {text, bytes};
    ps_status status = path_make(path, error, "%s/space.json", folder);
    if (status == PS_OK)
        status = file_write_atomic(path, &space, 1, error);
    if (status == PS_OK)
        status = path_make(path, error, "%s/sweep.json", folder);
    if (status == PS_OK)
        status = file_write_atomic(path, &command, 1, error);
    free(text);
    return status;
}

static bool same_arguments(const sweep_arguments *a, const sweep_arguments *b)
{
    size_t same = 0;
    while (same < a->count && same < b->count && strcmp(a->list[same], b->list[same]) == 0)
        same++;
    return same == a->count && same == b->count;
}

static ps_status compare_spaces(const sweep_command *kept, const sweep_command *given, bool *same,
                                ps_error *error)
{
    const json_options options = {.source = "the space", .max_bytes = SWEEP_SPACE_BYTES_MAX};
    json *a = NULL, *b = NULL;
    ps_status status = json_parse(kept->text, kept->bytes, &options, &a, NULL, error);
    if (status == PS_OK)
        status = json_parse(given->text, given->bytes, &options, &b, NULL, error);
    *same = status == PS_OK && json_equal(a, b);
    json_free(&a);
    json_free(&b);
    return status;
}

ps_status sweep_command_compare(const sweep_command *kept, const sweep_command *given, const char *folder,
                                ps_error *error)
{
    bool same;
    const char *what = NULL;
    ps_status status = compare_spaces(kept, given, &same, error);
    if (status != PS_OK)
        return status;
    if (!same)
        what = "space";
    else if (kept->seed != given->seed)
        what = "seed";
    else if (!same_arguments(&kept->run, &given->run))
        what = "options of penstock run";
    else if (!same_arguments(&kept->training, &given->training))
        what = "training options";
    return what
               ? ps_fail(error, PS_ECONFIG,
                         "%s holds a sweep with another %s; go on with --resume, or give another --sweep-dir",
                         folder, what)
               : PS_OK;
}

/* ---- a run's command line -------------------------------------------------------------------------- */

static size_t add_values(const sweep_space *space, const sweep_value *values, bool of_run, char **list,
                         size_t used, char (*texts)[SWEEP_ARGUMENT_BYTES])
{
    for (size_t i = 0; i < space->parameter_count; i++)
        if (space->parameters[i].of_run == of_run &&
            sweep_argument(&space->parameters[i], values[i].text, texts[i]))
            list[used++] = texts[i];
    return used;
}

static size_t add_fixed(const sweep_arguments *a, char **list, size_t used)
{
    for (size_t i = 0; i < a->count; i++)
        list[used++] = a->list[i];
    return used;
}

char **sweep_command_line(const sweep_command *c, const sweep_space *space, const sweep_value *values,
                          char *const *own, size_t own_count)
{
    static char separator[] = "--";
    const size_t most = own_count + c->run.count + c->training.count + space->parameter_count + 2;
    char **list = malloc(most * sizeof *list + space->parameter_count * SWEEP_ARGUMENT_BYTES);
    if (!list)
        return NULL;
    char(*texts)[SWEEP_ARGUMENT_BYTES] = (void *)(list + most);
    size_t used = 0;
    for (; used < own_count; used++)
        list[used] = own[used];
    used = add_fixed(&c->run, list, used);
    used = add_values(space, values, true, list, used, texts);
    list[used++] = separator;
    used = add_fixed(&c->training, list, used);
    used = add_values(space, values, false, list, used, texts);
    list[used] = NULL;
    return list;
}

static void print_for_shell(FILE *out, const char *argument)
{
    if (argument[0] && strspn(argument, SHELL_PLAIN) == strlen(argument)) {
        fputs(argument, out);
        return;
    }
    fputc('\'', out);
    for (const char *c = argument; *c; c++)
        fputs(*c == '\'' ? "'\\''" : (const char[]){*c, '\0'}, out);
    fputc('\'', out);
}

char *sweep_command_text(const sweep_command *c, const sweep_space *space, const sweep_value *values)
{
    static char penstock[] = "penstock", run[] = "run";
    char *const own[] = {penstock, run};
    char *text = NULL;
    size_t bytes;
    char **list = sweep_command_line(c, space, values, own, sizeof own / sizeof own[0]);
    FILE *out = list ? open_memstream(&text, &bytes) : NULL;
    for (size_t i = 0; out && list[i]; i++) {
        if (i > 0)
            fputc(' ', out);
        print_for_shell(out, list[i]);
    }
    free(list);
    if (out && fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
