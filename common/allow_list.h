/* allow_list.h - which keys a ps lets in, and as whom each may speak.
 *
 * A text file, one key a line (lines that begin with '#' and empty ones say nothing):
 *
 *   chief Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID
 *   worker:1 rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7
 *   evaluator JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6
 *   admin .Kw{dZh!pyUnxAF)a3U)IA1dj#>k4{A+J1S4uuDd
 *
 * `worker:1` may speak as worker 1 alone, `worker` as any worker; `evaluator` likewise. The chief is worker 0
 * and may speak as any, for it stands in for those that are lost. `admin` may ask for what `penstock admin`
 * does, and for nothing else. */
#ifndef PENSTOCK_COMMON_ALLOW_LIST_H
#define PENSTOCK_COMMON_ALLOW_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/key_file.h"
#include "common/status.h"
#include "common/wire.h"

enum {
    ALLOW_LIST_KEYS_MAX = 8192,
    ALLOW_LIST_BYTES_MAX = 1 << 20, /* of the file */
};

typedef struct {
    char key[KEY_TEXT + 1];
    wire_role role;
    bool any;       /* index of that role */
    uint32_t index; /* else this one */
} allow_entry;

typedef struct {
    allow_entry *entries; /* (count), by key */
    uint32_t count;
} allow_list;

/* Parses a text. PS_ECONFIG names the line: no such role, no index, no key, a key twice; PS_ELIMIT;
 * PS_ENOMEM. On failure the list is empty. */
ps_status allow_list_parse(const char *text, size_t bytes, allow_list *list, ps_error *error);

/* The same of a file, which must not be writable for all. PS_ENOENT, PS_EIO; the path is named. */
ps_status allow_list_read(const char *path, allow_list *list, ps_error *error);

/* Leaves the list empty. */
void allow_list_fini(allow_list *list);

/* What stands about a key; NULL: it is not allowed anything. */
const allow_entry *allow_list_find(const allow_list *list, const char *key);

/* May who has that key speak as this role and index? */
bool allow_entry_covers(const allow_entry *entry, wire_role role, uint32_t index);

#endif
