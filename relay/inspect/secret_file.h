/* Files that hold secrets on the user's demand (key log, capture): their own, mode 0600, never
 * through a symbolic link. */
#ifndef INSPECT_SECRET_FILE_H
#define INSPECT_SECRET_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* Open path for appending (or, with anew, emptied first), made with 0600 and set to 0600 if it was
 * there. A link, a file of another user, and what is no regular file are refused (-EPERM). Returns
 * the descriptor, or -errno. */
int secret_file_open(const char *path, bool anew);

/* Write all of it with as few calls as the kernel allows. Returns 0 or -errno. */
int secret_file_write(int fd, const void *data, size_t len);

#endif
