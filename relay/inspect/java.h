/* Where Java has its roots, and how it is told of others. JSSE reads no environment variable, only
 * options of the virtual machine. */
#ifndef INSPECT_JAVA_H
#define INSPECT_JAVA_H

#include <stdbool.h>
#include <stddef.h>

/* Find the store of the JDK that env leads to. Returns false if there is no JDK. */
bool java_find_store(char *const env[], char *path, size_t cap);

/* Does this text of options choose a store? Then it is the user's, and stays. */
bool java_has_store(const char *options);

/* Does Maven get options for that from the project in directory dir, or one above it? */
bool java_project_has_store(const char *dir);

/* The options that lead to the store at path, before those of the user, if any: the later one
 * counts. Returns the text, owned by the caller, or NULL. */
char *java_options(const char *path, const char *users);

#endif
