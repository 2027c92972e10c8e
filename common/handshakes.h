/* handshakes.h - will two processes that connect come to speak with each other, as their keys are? */
#ifndef PENSTOCK_COMMON_HANDSHAKES_H
#define PENSTOCK_COMMON_HANDSHAKES_H

#include "common/transport.h"

/* Of a socket that connects, `has_keys` or not. PS_OK: nothing says that they will not; PS_ECONFIG: it is
 * plain that they will not; PS_EPEER: it has looked so for seconds. Why, for a person, in `text`: "it ...",
 * of the one that listens. */
ps_status handshakes_judge(const transport_handshakes *h, bool has_keys, char *text, size_t bytes);

#endif
