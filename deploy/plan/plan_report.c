/* plan_report.c - see plan_report.h. */
#include "deploy/plan/plan_report.h"

#include <math.h>

static const double MS = 1e3, PERCENT = 100;

/* "1.5 GB": three digits and a unit, in `text`. */
typedef struct {
    char text[24];
} quantity_text;

static quantity_text bytes_text(double bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    size_t unit = 0;
    while (bytes >= 999.5 && unit + 1 < sizeof units / sizeof units[0]) {
        bytes /= 1000;
        unit++;
    }
    quantity_text q;
    snprintf(q.text, sizeof q.text, "%.3g %s", bytes, units[unit]);
    return q;
}

/* ---- Plans as text ---- */

static void print_rows(FILE *out, const plan_result *result)
{
    fprintf(out, "   %4s  %10s  %10s  %-26s  %9s  %9s  %9s\n", "ps", "step ms", "efficiency", "waits for",
            "memory/ps", "ps in/s", "ps out/s");
    for (size_t i = 0; i < result->row_count; i++) {
        const plan_row *row = &result->rows[i];
        const cost_prediction *c = &row->cost;
        fprintf(out, " %c %4u  %10.2f  %8.1f %%  %-26s  %9s  %9s  %9s\n",
                row->servers == result->recommended.servers ? '*' : ' ', row->servers, c->step_s * MS,
                c->efficiency * PERCENT, cost_resource_name(c->bottleneck), bytes_text(c->memory_bytes).text,
                bytes_text(c->server_in_bytes / c->step_s).text,
                bytes_text(c->server_out_bytes / c->step_s).text);
    }
}

static void print_parts(FILE *out, const plan_row *row)
{
    const cost_prediction *c = &row->cost;
    fprintf(
        out,
        "A step of %.2f ms: compute %.2f, encode %.2f, push %.2f, update %.2f (messages %.2f), pull %.2f, "
        "place %.2f, latency %.2f.\n",
        c->step_s * MS, c->compute_s * MS, c->encode_s * MS, c->push_s * MS, c->update_s * MS,
        c->message_s * MS, c->pull_s * MS, c->place_s * MS, c->latency_s * MS);
    fprintf(out, "Per step a worker sends %s and receives %s; the fullest ps holds %s, slices: %llu.\n",
            bytes_text(c->worker_out_bytes).text, bytes_text(c->worker_in_bytes).text,
            bytes_text(c->share_bytes).text, (unsigned long long)c->slices);
}

/* What each coarser codec takes off the best step of the one before. */
static void print_codecs(FILE *out, const plan_result *result)
{
    for (size_t i = 1; i < result->codec_count; i++) {
        const plan_row *finer = &result->codecs[i - 1], *row = &result->codecs[i];
        double gain = 1 - row->cost.step_s / finer->cost.step_s;
        fprintf(out, "Gradients in %s: the best step is %.2f ms with %u ps, %.1f %% %s than in %s.\n",
                plan_codec_name(row->codec), row->cost.step_s * MS, row->servers, fabs(gain) * PERCENT,
                gain >= 0 ? "shorter" : "longer", plan_codec_name(finer->codec));
    }
}

static void print_recommendation(FILE *out, const plan_request *request, const plan_result *result)
{
    const plan_row *chosen = &result->recommended, *fastest = &result->fastest;
    fprintf(out, "Recommended: %u ps, slices of %s, gradients in %s: ", chosen->servers,
            bytes_text(chosen->slice_bytes).text, plan_codec_name(chosen->codec));
    if (request->servers_least == request->servers_most)
        fprintf(out, "as many ps as asked for");
    else if (chosen->servers == fastest->servers)
        fprintf(out, "no smaller number of ps comes within %.0f %% of this step", PLAN_NEAR * PERCENT);
    else
        fprintf(out, "the fewest ps within %.0f %% of the shortest step (%.2f ms with %u)",
                PLAN_NEAR * PERCENT, fastest->cost.step_s * MS, fastest->servers);
    if (request->search_codec && chosen->codec == PLAN_FP32)
        fprintf(out, "; a coarser codec would not take more than %.0f %% off it", PLAN_CODEC_GAIN * PERCENT);
    else if (request->search_codec)
        fprintf(out, "; the codec takes more than %.0f %% off the best step", PLAN_CODEC_GAIN * PERCENT);
    fprintf(out, ".\n");
}

static void print_job(FILE *out, const plan_request *request)
{
    const cost_input *job = &request->job;
    fprintf(out, "%s model, %s, %u workers that compute %.6g ms a step, ", bytes_text(job->model_bytes).text,
            optimizer_kind_name(job->optimizer), job->workers, job->compute_s * MS);
    if (job->cores)
        fprintf(out, "one host of %u cores, %s\n\n", job->cores,
                job->transport == COST_SHARED ? "shared memory" : "TCP");
    else
        fprintf(out, "%.6g Gbit/s, %.6g us one way\n\n", job->bandwidth * 8 / 1e9, job->latency_s * 1e6);
}

void plan_report_text(FILE *out, const plan_request *request, const plan_result *result)
{
    print_job(out, request);
    print_rows(out, result);
    fprintf(out, "\n");
    print_recommendation(out, request, result);
    print_parts(out, &result->recommended);
    print_codecs(out, result);
}

/* ---- Plans as JSON ---- */

static void json_row(FILE *out, const plan_row *row)
{
    const cost_prediction *c = &row->cost;
    fprintf(
        out,
        "{\"ps\": %u, \"push_codec\": \"%s\", \"slice_bytes\": %.0f, \"step_s\": %.9g, \"efficiency\": %.9g, "
        "\"bottleneck\": \"%s\", \"compute_s\": %.9g, \"encode_s\": %.9g, \"push_s\": %.9g, "
        "\"update_s\": %.9g, \"message_s\": %.9g, \"pull_s\": %.9g, \"place_s\": %.9g, \"latency_s\": %.9g, "
        "\"ps_memory_bytes\": %.0f, \"ps_in_bytes\": %.0f, \"ps_out_bytes\": %.0f, "
        "\"worker_out_bytes\": %.0f, \"worker_in_bytes\": %.0f}",
        row->servers, plan_codec_name(row->codec), row->slice_bytes, c->step_s, c->efficiency,
        cost_resource_name(c->bottleneck), c->compute_s, c->encode_s, c->push_s, c->update_s, c->message_s,
        c->pull_s, c->place_s, c->latency_s, c->memory_bytes, c->server_in_bytes, c->server_out_bytes,
        c->worker_out_bytes, c->worker_in_bytes);
}

static void json_rows(FILE *out, const char *name, const plan_row *rows, size_t count)
{
    fprintf(out, " \"%s\": [", name);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "%s\n  ", i > 0 ? "," : "");
        json_row(out, &rows[i]);
    }
    fprintf(out, "]");
}

void plan_report_json(FILE *out, const plan_result *result)
{
    fprintf(out, "{\"schema\": \"penstock-plan/1\",\n \"recommended\": ");
    json_row(out, &result->recommended);
    fprintf(out, ",\n \"fastest\": ");
    json_row(out, &result->fastest);
    fprintf(out, ",\n");
    json_rows(out, "rows", result->rows, result->row_count);
    fprintf(out, ",\n");
    json_rows(out, "codecs", result->codecs, result->codec_count);
    fprintf(out, "}\n");
}

/* ---- Checks ---- */

static double error_of(const cost_point *point, double predicted)
{
    return predicted / point->step_s - 1;
}

static size_t count_within(const cost_measurement *m, const double *predicted)
{
    size_t within = 0;
    for (size_t i = 0; i < m->point_count; i++)
        within += fabs(error_of(&m->points[i], predicted[i])) <= PLAN_CHECK_TOLERANCE;
    return within;
}

static const char *transport_name(const cost_point *point)
{
    return point->input.transport == COST_SHARED ? "shared" : "tcp";
}

void plan_check_text(FILE *out, const cost_measurement *m, const double *predicted)
{
    fprintf(out, "%-9s  %4s  %7s  %9s  %9s  %10s  %12s  %11s  %8s\n", "transport", "ps", "workers", "model",
            "slices of", "compute ms", "predicted ms", "measured ms", "error");
    for (size_t i = 0; i < m->point_count; i++) {
        const cost_point *p = &m->points[i];
        fprintf(out, "%-9s  %4u  %7u  %9s  %9s  %10.3f  %12.3f  %11.3f  %+6.1f %%\n", transport_name(p),
                p->input.servers, p->input.workers, bytes_text(p->input.model_bytes).text,
                bytes_text(p->input.slice_bytes).text, p->input.compute_s * MS, predicted[i] * MS,
                p->step_s * MS, error_of(p, predicted[i]) * PERCENT);
    }
    fprintf(out, "%zu of %zu points are within %.0f %%.\n", count_within(m, predicted), m->point_count,
            PLAN_CHECK_TOLERANCE * PERCENT);
}

void plan_check_json(FILE *out, const cost_measurement *m, const double *predicted)
{
    fprintf(out, "{\"schema\": \"penstock-plan-check/1\",\n \"points\": [");
    for (size_t i = 0; i < m->point_count; i++) {
        const cost_point *p = &m->points[i];
        fprintf(out,
                "%s\n  {\"transport\": \"%s\", \"servers\": %u, \"workers\": %u, \"model_bytes\": %.0f, "
                "\"slice_bytes\": %.0f, \"compute_s\": %.9g, \"predicted_s\": %.9g, \"measured_s\": %.9g, "
                "\"error\": %.6g}",
                i > 0 ? "," : "", transport_name(p), p->input.servers, p->input.workers, p->input.model_bytes,
                p->input.slice_bytes, p->input.compute_s, predicted[i], p->step_s, error_of(p, predicted[i]));
    }
    fprintf(out, "],\n \"within\": %zu, \"tolerance\": %.6g}\n", count_within(m, predicted),
            PLAN_CHECK_TOLERANCE);
}
