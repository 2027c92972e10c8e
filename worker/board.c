/* board.c - see board.h. */
#include "worker/board.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/schedule.h"
#include "worker/event_file.h"

enum {
    FLUSH_MS = 2000, /* for those who look on between two evaluations */
    PATH_SHOWN_BYTES = 1024,
};

struct board {
    board_subject subject;
    event_file *file;
    uint64_t flushed_ms;
};

ps_status board_open(const board_subject *subject, board **out, ps_error *error)
{
    *out = NULL;
    board *b = calloc(1, sizeof *b);
    if (!b)
        return ps_fail(error, PS_ENOMEM, "out of memory for what TensorBoard is shown");
    b->subject = *subject;
    ps_status status = event_file_open(subject->options->logdir, &b->file, error);
    if (status != PS_OK) {
        free(b);
        return status;
    }
    *out = b;
    return PS_OK;
}

static void flush(board *b)
{
    event_file_flush(b->file);
    b->flushed_ms = clock_monotonic_ms();
}

/* Indented by four: Markdown shows such lines as they are. */
static void put_indented(FILE *to, const char *lines)
{
    while (*lines) {
        const size_t length = strcspn(lines, "\n");
        fprintf(to, "    %.*s\n", (int)length, lines);
        lines += length + (lines[length] == '\n');
    }
}

static void put_options(FILE *to, const board_subject *s)
{
    char job[JOB_DESCRIPTION_BYTES], folder[PATH_SHOWN_BYTES];
    const worker_options *o = s->options;
    job_describe(s->job, job, sizeof job);
    put_indented(to, job);
    json_quote(o->data_folder ? o->data_folder : "", folder, sizeof folder);
    fprintf(
        to,
        "    data_folder %s\n    batch_size %u\n    epochs %llu\n    steps %llu\n    evaluate_every %llu\n",
        folder, o->batch_size, (unsigned long long)o->epochs, (unsigned long long)o->steps,
        (unsigned long long)o->evaluate_every);
    fprintf(to, "    threads %u\n    version %s\n", o->threads, PENSTOCK_VERSION);
}

static void show_texts(board *b, uint64_t step)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *to = open_memstream(&text, &bytes);
    if (to) {
        put_options(to, &b->subject);
        if (fclose(to) == 0)
            event_file_text(b->file, step, "options", text);
        free(text);
    }
    char *model = mlp_describe(b->subject.model);
    text = NULL;
    to = model ? open_memstream(&text, &bytes) : NULL;
    if (to) {
        put_indented(to, model);
        if (fclose(to) == 0)
            event_file_text(b->file, step, "model", text);
        free(text);
    }
    free(model);
}

void board_begin(board *b, uint64_t step)
{
    if (!b)
        return;
    const bool first = b->flushed_ms == 0;
    event_file_void_from(b->file, step + 1);
    if (first)
        show_texts(b, step);
    flush(b);
}

void board_show_training(board *b, uint64_t step, const board_training *now)
{
    if (!b)
        return;
    const event_scalar scalars[] = {
        {"loss/train", now->loss},
        {"accuracy/train", now->accuracy},
        {"learning_rate", schedule_rate(&b->subject.job->schedule, step > 0 ? step : 1)},
        {"examples_per_second", now->examples_per_s},
    };
    event_file_scalars(b->file, step, scalars, sizeof scalars / sizeof *scalars);
    if (clock_monotonic_ms() - b->flushed_ms >= FLUSH_MS)
        flush(b);
}

static void show_tensors(board *b, uint64_t step, const char *kind, const float *values)
{
    const tensor_table *tensors = &b->subject.job->tensors;
    for (uint32_t i = 0; i < tensors->count; i++) {
        char tag[TENSOR_NAME_MAX + 32];
        const tensor *t = &tensors->tensors[i];
        const uint64_t elements = tensor_elements(t);
        snprintf(tag, sizeof tag, "%s/%s", kind, t->name);
        event_file_histogram(b->file, step, tag, values, elements);
        values += elements;
    }
}

void board_show_evaluation(board *b, uint64_t step, const evaluation *found, const float *weights,
                           const float *gradients)
{
    if (!b)
        return;
    const event_scalar scalars[] = {{"loss/test", found->loss}, {"accuracy/test", found->accuracy}};
    event_file_scalars(b->file, step, scalars, sizeof scalars / sizeof *scalars);
    show_tensors(b, step, "weights", weights);
    show_tensors(b, step, "gradients", gradients);
    flush(b);
}

void board_close(board **b)
{
    if (!*b)
        return;
    event_file_close(&(*b)->file);
    free(*b);
    *b = NULL;
}
