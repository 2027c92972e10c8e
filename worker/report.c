/* report.c - see report.h. */
#include "worker/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/json.h"

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

/* A number as JSON has it: no NaN or Inf, which are left to the reader as null. */
typedef struct {
    char text[32];
} number;

static number real(double value)
{
    number n = {"null"};
    if (value - value == 0.0)
        snprintf(n.text, sizeof n.text, "%.9g", value);
    return n;
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

void report_step(const report *r, double epoch, uint64_t step, uint64_t steps, double loss,
                 uint64_t examples_total, double seconds, double images_per_s)
{
    emit(r,
         "{\"event\":\"step\",\"epoch\":%s,\"step\":%llu,\"steps\":%llu,\"loss\":%s,\"examples_total\":%llu,"
         "\"seconds\":%s,\"images_per_s\":%s}\n",
         real(epoch).text, (unsigned long long)step, (unsigned long long)steps, real(loss).text,
         (unsigned long long)examples_total, real(seconds).text, real(images_per_s).text);
}

void report_eval(const report *r, double epoch, uint64_t step, double accuracy, double loss,
                 uint64_t examples, double seconds)
{
    emit(r,
         "{\"event\":\"eval\",\"epoch\":%s,\"step\":%llu,\"accuracy\":%s,\"loss\":%s,"
         "\"examples\":%llu,\"seconds\":%s}\n",
         real(epoch).text, (unsigned long long)step, real(accuracy).text, real(loss).text,
         (unsigned long long)examples, real(seconds).text);
}

void report_done(const report *r, uint64_t step, double accuracy, double loss, double seconds,
                 double train_seconds, double images_per_s, const char *model)
{
    char path[REPORT_BYTES / 2];
    json_quote(model, path, sizeof path);
    emit(r,
         "{\"event\":\"done\",\"step\":%llu,\"accuracy\":%s,\"loss\":%s,\"seconds\":%s,"
         "\"train_seconds\":%s,\"images_per_s\":%s,\"model\":%s}\n",
         (unsigned long long)step, real(accuracy).text, real(loss).text, real(seconds).text,
         real(train_seconds).text, real(images_per_s).text, path);
}
