/* The list of what a reload changed, for one line of the log. */
#ifndef PQI_CMD_CHANGES_H
#define PQI_CMD_CHANGES_H

/* Longest list, with its NUL; the rest is cut, which "..." shows. */
#define PQI_CHANGES_SIZE 1024

/* All zero: nothing.  Holds no secret. */
typedef struct pqi_changes {
    char text[PQI_CHANGES_SIZE];
} pqi_changes;

/* Appends one change, "; " before it. */
void pqi_changes_add(pqi_changes *changes, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
