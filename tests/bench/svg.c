/* svg.c - two charts of what was measured: goodput against size, and goodput against workers.
 *
 * Plain SVG without scripts; colours that can be told apart on light and on dark ground, text that takes the
 * ground's part. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "tests/bench/results.h"

enum {
    WIDTH = 720,
    HEIGHT = 420,
    LEFT = 64, /* margins of the plot */
    RIGHT = 190,
    TOP = 44,
    BOTTOM = 52,
    SERIES_MAX = 8,
    POINTS_MAX = 16,
    TICKS = 5, /* about as many on the y axis */
    TEXT_MAX = 64 << 10,
};

typedef struct {
    char name[48];
    const char *colour;
    bool dashed;
    uint32_t count;
    double x[POINTS_MAX], y[POINTS_MAX]; /* x on a scale of powers of two, by rising x */
} series;

typedef struct {
    const char *title, *x_label, *y_label;
    bool x_bytes; /* ticks of x are sizes */
    series list[SERIES_MAX];
    uint32_t count;
} chart;

static const char *const colours[] = {"#3b82c4", "#d9822b", "#3d9970", "#a463c2"};

/* ---- drawing ---- */

typedef struct {
    double x_low, x_high, y_high, y_tick;
} scales;

static double place_x(const scales *s, double x)
{
    double span = s->x_high > s->x_low ? log2(s->x_high / s->x_low) : 1;
    return LEFT + (WIDTH - LEFT - RIGHT) * log2(x / s->x_low) / span;
}

static double place_y(const scales *s, double y)
{
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * y / s->y_high;
}

/* The axes' ends; ticks of 1, 2 or 5 times a power of ten. */
static scales find_scales(const chart *c)
{
    scales s = {.x_low = INFINITY, .x_high = 0, .y_high = 0};
    for (uint32_t i = 0; i < c->count; i++) {
        for (uint32_t p = 0; p < c->list[i].count; p++) {
            s.x_low = fmin(s.x_low, c->list[i].x[p]);
            s.x_high = fmax(s.x_high, c->list[i].x[p]);
            s.y_high = fmax(s.y_high, c->list[i].y[p]);
        }
    }
    double rough = s.y_high / TICKS, power = pow(10, floor(log10(rough)));
    s.y_tick = power * (rough / power > 5 ? 10 : rough / power > 2 ? 5 : rough / power > 1 ? 2 : 1);
    s.y_high = ceil(s.y_high / s.y_tick) * s.y_tick;
    return s;
}

static void draw_size(FILE *f, double bytes)
{
    static const char *const units[] = {"B", "KB", "MB", "GB"};
    int unit = 0;
    for (; bytes >= 1024 && unit < 3; unit++)
        bytes /= 1024;
    fprintf(f, "%g %s", bytes, units[unit]);
}

static void draw_axes(FILE *f, const chart *c, const scales *s)
{
    for (double y = 0; y <= s->y_high * 1.001; y += s->y_tick) {
        fprintf(f, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>\n", LEFT,
                WIDTH - RIGHT, place_y(s, y), place_y(s, y));
        fprintf(f, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n", LEFT - 8, place_y(s, y) + 4,
                y);
    }
    for (double x = s->x_low; x <= s->x_high * 1.001; x *= c->x_bytes ? 4 : 2) {
        fprintf(f, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">", place_x(s, x), HEIGHT - BOTTOM + 18);
        if (c->x_bytes)
            draw_size(f, x);
        else
            fprintf(f, "%g", x);
        fprintf(f, "</text>\n");
    }
    fprintf(f, "<text class=\"title\" x=\"%d\" y=\"24\">%s</text>\n", LEFT, c->title);
    fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", (LEFT + WIDTH - RIGHT) / 2,
            HEIGHT - 10, c->x_label);
    fprintf(f, "<text transform=\"translate(16 %d) rotate(-90)\" text-anchor=\"middle\">%s</text>\n",
            (TOP + HEIGHT - BOTTOM) / 2, c->y_label);
}

static void draw_series(FILE *f, const series *one, const scales *s, uint32_t position)
{
    const char *dash = one->dashed ? " stroke-dasharray=\"5 4\"" : "";
    fprintf(f, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\"%s points=\"", one->colour, dash);
    for (uint32_t p = 0; p < one->count; p++)
        fprintf(f, "%.1f,%.1f ", place_x(s, one->x[p]), place_y(s, one->y[p]));
    fprintf(f, "\"/>\n");
    for (uint32_t p = 0; p < one->count; p++)
        fprintf(f, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", place_x(s, one->x[p]),
                place_y(s, one->y[p]), one->colour);
    int y = TOP + 12 + 20 * (int)position;
    fprintf(f, "<line x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\" stroke=\"%s\" stroke-width=\"2\"%s/>\n",
            WIDTH - RIGHT + 14, WIDTH - RIGHT + 42, y - 4, y - 4, one->colour, dash);
    fprintf(f, "<text x=\"%d\" y=\"%d\">%s</text>\n", WIDTH - RIGHT + 48, y, one->name);
}

static void draw(FILE *f, const chart *c)
{
    scales s = find_scales(c);
    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
            "role=\"img\" aria-label=\"%s\">\n"
            "<style>text{font:13px sans-serif;fill:#333}.title{font-weight:bold;font-size:15px}"
            ".grid{stroke:#8885;stroke-width:1}"
            "@media(prefers-color-scheme:dark){text{fill:#ddd}}</style>\n",
            WIDTH, HEIGHT, WIDTH, HEIGHT, c->title);
    draw_axes(f, c, &s);
    for (uint32_t i = 0; i < c->count; i++)
        draw_series(f, &c->list[i], &s, i);
    fprintf(f, "</svg>\n");
}

/* A chart without any line is not written. */
static ps_status write_chart(const chart *c, const char *folder, const char *name, ps_error *error)
{
    static char text[TEXT_MAX];
    char path[PATH_MAX];
    if (c->count == 0)
        return PS_OK;
    FILE *f = fmemopen(text, sizeof text, "w");
    if (!f)
        return ps_fail(error, PS_ENOMEM, "out of memory for %s", name);
    draw(f, c);
    bool whole = !ferror(f);
    whole = fclose(f) == 0 && whole;
    if (!whole)
        return ps_fail(error, PS_ELIMIT, "%s is larger than %d bytes", name, TEXT_MAX);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    const struct iovec part = {text, strlen(text)};
    return file_write_atomic(path, &part, 1, error);
}

/* ---- what is drawn ---- */

static series *add_series(chart *c, const char *colour, bool dashed)
{
    series *one = &c->list[c->count];
    *one = (series){.colour = colour, .dashed = dashed};
    return one;
}

static void add_point(series *one, double x, double y)
{
    if (one->count == POINTS_MAX || isnan(y))
        return;
    one->x[one->count] = x;
    one->y[one->count++] = y;
}

static void chart_goodput(chart *c, const results *r)
{
    static const char *const names[] = {"push", "pull", "push_pull"};
    for (uint32_t n = 0; n < 3; n++) {
        for (int floor = 0; floor < 2; floor++) {
            series *one = add_series(c, colours[n], floor);
            snprintf(one->name, sizeof one->name, "%s%s", names[n], floor ? ", raw ZeroMQ" : "");
            for (uint32_t i = 0; i < r->row_count; i++) {
                const result_row *row = &r->rows[i];
                size_t length = strlen(names[n]);
                if (strncmp(row->name, names[n], length) == 0 &&
                    (row->name[length] == '\0' || strcmp(row->name + length, ", slices") == 0))
                    add_point(one, (double)row->bytes, floor ? row->floor : row->penstock);
            }
            c->count += one->count > 0;
        }
    }
}

static void chart_scaling(chart *c, const results *r)
{
    for (uint32_t servers = 1; servers <= 4; servers *= 2) {
        series *one = add_series(c, colours[c->count], false);
        snprintf(one->name, sizeof one->name, "%u ps", servers);
        for (uint32_t i = 0; i < r->scaling_count; i++) {
            const result_point *p = &r->points[i];
            if (p->servers == servers && p->model_bytes == r->points[0].model_bytes)
                add_point(one, p->workers, 2e-9 * (double)p->model_bytes * p->workers / p->step_s);
        }
        c->count += one->count > 0;
    }
}

ps_status svg_write(const results *r, const char *folder, ps_error *error)
{
    static chart goodput = {
        .title = "Goodput over TCP, one worker and one ps",
        .x_label = "bytes of a tensor, or of its slices below 1 MB",
        .y_label = "GB/s",
        .x_bytes = true,
    };
    static chart scaling = {
        .title = "Goodput of synchronous steps, all workers together",
        .x_label = "workers",
        .y_label = "GB/s, both directions",
    };
    ps_status status = file_make_folder(folder, error);
    if (status != PS_OK)
        return status;
    chart_goodput(&goodput, r);
    chart_scaling(&scaling, r);
    status = write_chart(&goodput, folder, "goodput.svg", error);
    if (status == PS_OK)
        status = write_chart(&scaling, folder, "scaling.svg", error);
    return status;
}
