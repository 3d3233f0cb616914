/* The numbers of Poseidon2 over Goldilocks, width 12.
 *
 * Source: protocols/quantus.md section 5.5; vectors/quantus-poseidon2-constants.txt, against which
 * a test compares them.  All are below p. */
#ifndef PQI_MINER_POSEIDON2_CONSTANTS_H
#define PQI_MINER_POSEIDON2_CONSTANTS_H

#include <stdint.h>

#define PQI_POSEIDON2_WIDTH 12
#define PQI_POSEIDON2_EXTERNAL_ROUNDS 4 /* at each end */
#define PQI_POSEIDON2_INTERNAL_ROUNDS 22

extern const uint64_t pqi_poseidon2_internal_constants[PQI_POSEIDON2_INTERNAL_ROUNDS];
extern const uint64_t pqi_poseidon2_diagonal[PQI_POSEIDON2_WIDTH];
extern const uint64_t pqi_poseidon2_initial_constants[PQI_POSEIDON2_EXTERNAL_ROUNDS]
                                                     [PQI_POSEIDON2_WIDTH];
extern const uint64_t pqi_poseidon2_terminal_constants[PQI_POSEIDON2_EXTERNAL_ROUNDS]
                                                      [PQI_POSEIDON2_WIDTH];

#endif
