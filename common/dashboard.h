/* dashboard.h - the page for people that is made of /status: its files, which lie in common/dashboard/ and
 * are part of the program, as pages of an HTTP server, which is to have DASHBOARD_POLICY:
 *
 *     static const http_page pages[] = {{"/status", "application/json", answer_status, false}
 * DASHBOARD_PAGES};
 *
 * They hold nothing of the training, and are for all: a browser shows no token when it asks for them.
 *
 * What is drawn how is decided there (common/dashboard/README.md); nothing is fetched from anywhere else. */
#ifndef PENSTOCK_COMMON_DASHBOARD_H
#define PENSTOCK_COMMON_DASHBOARD_H

#include <stdio.h>

#include "common/http.h"

/* X(name, file, path, type) */
#define DASHBOARD_FILES(X)                                                   \
    X(icon, "icon.svg", "/dashboard/icon.svg", "image/svg+xml")              \
    X(style, "style.css", "/dashboard/style.css", "text/css; charset=utf-8") \
    DASHBOARD_SCRIPT(X, ask)                                                 \
    DASHBOARD_SCRIPT(X, chart)                                               \
    DASHBOARD_SCRIPT(X, dom)                                                 \
    DASHBOARD_SCRIPT(X, format)                                              \
    DASHBOARD_SCRIPT(X, heat)                                                \
    DASHBOARD_SCRIPT(X, main)                                                \
    DASHBOARD_SCRIPT(X, memory)                                              \
    DASHBOARD_SCRIPT(X, peers)                                               \
    DASHBOARD_SCRIPT(X, poll)                                                \
    DASHBOARD_SCRIPT(X, runs)                                                \
    DASHBOARD_SCRIPT(X, scale)                                               \
    DASHBOARD_SCRIPT(X, status)                                              \
    DASHBOARD_SCRIPT(X, straggler)                                           \
    DASHBOARD_SCRIPT(X, table)                                               \
    DASHBOARD_SCRIPT(X, words)                                               \
    DASHBOARD_SCRIPT(X, workers)
#define DASHBOARD_SCRIPT(X, name) \
    X(name, #name ".js", "/dashboard/" #name ".js", "text/javascript; charset=utf-8")
#define DASHBOARD_HTML(X)                                  \
    X(index, "index.html", "", "text/html; charset=utf-8") \
    X(runs_index, "runs.html", "", "text/html; charset=utf-8")

/* Scripts and styles of this server alone. Beside it only ps on the reader's own host may be asked. */
#define DASHBOARD_POLICY                                                        \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " \
    "connect-src 'self' http://127.0.0.1:* http://localhost:*; "                \
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

#define DASHBOARD_DECLARE(name, file, path, type) unsigned dashboard_answer_##name(void *unused, FILE *body);
DASHBOARD_FILES(DASHBOARD_DECLARE)
DASHBOARD_HTML(DASHBOARD_DECLARE)
#undef DASHBOARD_DECLARE

#define DASHBOARD_PAGE(name, file, path, type)    \
    ,                                             \
    {                                             \
        path, type, dashboard_answer_##name, true \
    }

/* Behind a page at least: of a ps. */
#define DASHBOARD_PAGES \
    DASHBOARD_PAGE(index, , "/", "text/html; charset=utf-8") DASHBOARD_FILES(DASHBOARD_PAGE)

/* Likewise, of `penstock ui`: all runs, and one. */
#define DASHBOARD_RUNS_PAGES                                      \
    DASHBOARD_PAGE(runs_index, , "/", "text/html; charset=utf-8") \
    DASHBOARD_PAGE(index, , "/run", "text/html; charset=utf-8")   \
    DASHBOARD_FILES(DASHBOARD_PAGE)

#endif
