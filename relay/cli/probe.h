/* Can this process keep files in a directory? Tries it, and leaves nothing behind. */
#ifndef CLI_PROBE_H
#define CLI_PROBE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct probe {
        int error;           /* errno of the attempt; 0: it can */
        const char *call;    /* what was refused: "open", "mkdir", "write", "access" */
        char path[PATH_MAX]; /* to what: the directory, one on the way to it, or something in it */
        bool exists;         /* the directory is there */
        bool reads;          /* what was refused is reading */
        int64_t free_bytes, free_inodes; /* where it is or would be; -1: not known, not counted */
};

enum { PROBE_ENTRIES_MAX = 2000, PROBE_DEPTH_MAX = 6, PROBE_WRITE_BYTES = 4096 };

/* dir is absolute. Where it exists, a nameless file is made and written in it, and the directories
 * below (no more than the limits above) are looked at; where it does not, the deepest one that does
 * is asked. What is called like one of ignored (NULL-terminated, may be NULL) directly in dir is
 * not looked at. Returns error. */
int probe_directory(const char *dir, const char *const ignored[], struct probe *out);

/* The same without a look at what is in it. */
int probe_directory_itself(const char *dir, struct probe *out);

#endif
