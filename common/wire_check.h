/* wire_check.h - the rules that a header from a stranger must keep. Private to the wire. */
#ifndef PENSTOCK_COMMON_WIRE_CHECK_H
#define PENSTOCK_COMMON_WIRE_CHECK_H

#include "common/wire_header.h"

/* Judges a header that has been read, its Job excepted, and the sizes of the payload frames that came with
 * it. PS_EPROTOCOL names the rule that is broken. */
ps_status wire_check(const wire_header *h, const size_t *frame_bytes, uint32_t frame_count, ps_error *error);

#endif
