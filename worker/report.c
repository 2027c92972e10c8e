/* report.c - see report.h. */
#include "worker/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum { REPORT_BYTES = 4096 }; /* at most PIPE_BUF: a line is written whole or not at all */

static void emit(const report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void emit(const report *r, const char *format, ...)
{
    if (r->fd < 0)
        return;
    char line[REPORT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof line)
        return;
    ssize_t ignored = write(r->fd, line, (size_t)length);
    (void)ignored;
}

/* `text` as a JSON string, quotes included; cut at `bytes`. */
static void quote(const char *text, char *quoted, size_t bytes)
{
    size_t used = 0;
    quoted[used++] = '"';
    for (; *text && used + 8 < bytes; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            used += (size_t)snprintf(quoted + used, bytes - used, "\\%c", c);
        else if (c < 0x20)
            used += (size_t)snprintf(quoted + used, bytes - used, "\\u%04x", c);
        else
            quoted[used++] = (char)c;
    }
    quoted[used++] = '"';
    quoted[used] = '\0';
}

void report_start(const report *r, const char *role, const job_config *job, uint64_t epochs, uint64_t steps,
                  uint64_t steps_per_epoch, uint64_t examples)
{
    emit(r,
         "{\"event\":\"start\",\"role\":\"%s\",\"workers\":%u,\"epochs\":%llu,\"steps\":%llu,"
         "\"steps_per_epoch\":%llu,\"examples\":%llu,\"mode\":\"%s\"}\n",
         role, job->workers, (unsigned long long)epochs, (unsigned long long)steps,
         (unsigned long long)steps_per_epoch, (unsigned long long)examples, consistency_mode_name(job->mode));
}

/* JSON has no NaN or Inf; a loss that is one of them is left to the reader as null. */
static const char *real(double value, char text[32])
{
    if (value - value != 0.0)
        return "null";
    snprintf(text, 32, "%.6g", value);
    return text;
}

void report_step(const report *r, double epoch, uint64_t step, double loss, uint64_t examples_total,
                 double seconds, double images_per_s)
{
    char number[32];
    emit(r,
         "{\"event\":\"step\",\"epoch\":%.4f,\"step\":%llu,\"loss\":%s,\"examples_total\":%llu,"
         "\"seconds\":%.3f,\"images_per_s\":%.0f}\n",
         epoch, (unsigned long long)step, real(loss, number), (unsigned long long)examples_total, seconds,
         images_per_s);
}

void report_eval(const report *r, double epoch, uint64_t step, double accuracy, double loss,
                 uint64_t examples, double seconds)
{
    char number[32];
    emit(r,
         "{\"event\":\"eval\",\"epoch\":%.4g,\"step\":%llu,\"accuracy\":%.6f,\"loss\":%s,"
         "\"examples\":%llu,\"seconds\":%.3f}\n",
         epoch, (unsigned long long)step, accuracy, real(loss, number), (unsigned long long)examples,
         seconds);
}

void report_done(const report *r, uint64_t step, double accuracy, double loss, double seconds,
                 double train_seconds, double images_per_s, const char *model)
{
    char number[32];
    char path[REPORT_BYTES / 2];
    quote(model, path, sizeof path);
    emit(r,
         "{\"event\":\"done\",\"step\":%llu,\"accuracy\":%.6f,\"loss\":%s,\"seconds\":%.3f,"
         "\"train_seconds\":%.3f,\"images_per_s\":%.0f,\"model\":%s}\n",
         (unsigned long long)step, accuracy, real(loss, number), seconds, train_seconds, images_per_s, path);
}
