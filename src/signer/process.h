/* The key process itself: what runs on the far side of the fork. */
#ifndef PQI_SIGNER_PROCESS_H
#define PQI_SIGNER_PROCESS_H

#include "signer/signer.h"

/* Makes the identity if there is none, reads the keys, locks itself in, says hello on channels[0],
 * and answers on all |count| of them until the other side closes or dies.  Does not return, and
 * runs no exit handlers.  |parent|: the process that forked us. */
_Noreturn void pqi_signer_process(const pqi_signer_opts *opts, const int *channels, unsigned count,
                                  long parent);

#endif
