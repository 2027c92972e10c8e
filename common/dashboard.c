/* dashboard.c - see dashboard.h. The assembler takes the files in as they are. */
#include "common/dashboard.h"

/* PENSTOCK_DASHBOARD is the folder of the files; the build knows that this one depends on them. */
#define EMBED(name, file, path, type)                                                                     \
    __asm__(".pushsection .rodata\n"                                                                      \
            ".global dashboard_begin_" #name ", dashboard_end_" #name "\n"                                \
            ".hidden dashboard_begin_" #name ", dashboard_end_" #name "\n"                                \
            "dashboard_begin_" #name ": .incbin \"" PENSTOCK_DASHBOARD "/" file "\"\n"                    \
            "dashboard_end_" #name ":\n"                                                                  \
            ".popsection\n");                                                                             \
    extern const char dashboard_begin_##name[], dashboard_end_##name[];                                   \
    unsigned dashboard_answer_##name(void *unused, FILE *body)                                            \
    {                                                                                                     \
        (void)unused;                                                                                     \
        fwrite(dashboard_begin_##name, 1, (size_t)(dashboard_end_##name - dashboard_begin_##name), body); \
        return 200;                                                                                       \
    }

DASHBOARD_FILES(EMBED)
DASHBOARD_HTML(EMBED)
