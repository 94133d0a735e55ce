/* Tells the relay about a program that the library will not be in. Raw system calls and the stack
 * only; errno is not touched. Called by the hooks that start programs. */
#ifndef PRELOAD_UNCOVERED_H
#define PRELOAD_UNCOVERED_H

#include "tapline_program.h"

/* In a process that is to be silent (config.h) no program is looked at, and none is given the
 * library: it has the filter too. Returns false if the program is to be looked at. */
bool uncovered_is_silent(struct program *out);

/* Report what was found, unless it is covered or not chosen. name is what the program called it,
 * argv may be NULL. */
void uncovered_report(const struct program *found, const char *name, char *const argv[]);

#endif
