/* Little things about strings. Done here and not by libc, because each function of libc that the
 * library refers to is looked up at every start of every program of a run (binding is immediate: it
 * is hardened so), which takes longer than the whole of these. */
#ifndef PRELOAD_TEXT_H
#define PRELOAD_TEXT_H

#include <stddef.h>

/* The length of text, cap at most. */
static inline size_t text_len(const char *text, size_t cap)
{
        size_t len = 0;

        while (len < cap && text[len] != '\0')
                len++;
        return len;
}

/* What follows the last slash; all of it where there is none. */
static inline const char *text_base(const char *path)
{
        const char *base = path;

        for (; *path != '\0'; path++)
                if (*path == '/')
                        base = path + 1;
        return base;
}

#endif
