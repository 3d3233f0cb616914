/* Writes tests/data/policy-verdicts.tsv to standard output; `ninja policy-verdicts`. */
#include "policy_verdicts.h"

int main(void)
{
    verdict_write_all(stdout);
    return fflush(stdout) == 0 ? 0 : 1;
}
