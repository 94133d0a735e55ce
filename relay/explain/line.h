/* One event in words: what it is about, what came of it, and both as one line for a person. Text in
 * a record was chosen by servers and users: what is printed here cannot drive a terminal. Used by
 * -v, by tapline tail and by the reports that show a run over time. */
#ifndef EXPLAIN_LINE_H
#define EXPLAIN_LINE_H

#include <jansson.h>
#include <stdio.h>

/* 'mkdir("/x")', "GET https://index.example/", "index.example:443"; "" for an event that says
 * nothing more than its kind, or NULL for event. Caller owns; NULL when out of memory. */
char *line_subject(const json_t *event);

/* "Permission denied (EACCES)", "connected in 3.1 ms"; "" if there is none. The same contract. */
char *line_outcome(const json_t *event);

/* "14:13:49.058  http.response   python3[2065] #1  200 OK: https://index.example/" and a newline;
 * # is the connection's number. The time is UTC's. */
void line_print(FILE *out, const json_t *event);

#endif
