/* Which programs are watched: the lists of --only and --except; see tapline_program.h. Pure. */
#include "tapline_program.h"
#include "text.h"

#include <string.h>

static bool is_separator(char c)
{
        return c == ',' || c == ' ' || c == '\t';
}

/* On a mismatch behind a star the star takes one more character; only the last star can help. */
static bool matches(const char *pattern, size_t len, const char *name)
{
        const char *end = pattern + len, *star = NULL, *behind = NULL;

        while (*name != '\0') {
                if (pattern < end && *pattern == '*') {
                        star = pattern++;
                        behind = name;
                } else if (pattern < end && (*pattern == '?' || *pattern == *name)) {
                        pattern++;
                        name++;
                } else if (star != NULL) {
                        pattern = star + 1;
                        name = ++behind;
                } else {
                        return false;
                }
        }
        while (pattern < end && *pattern == '*')
                pattern++;
        return pattern == end;
}

static bool any_matches(const char *pattern, size_t len, const char *const names[], size_t count)
{
        for (size_t i = 0; i < count; i++) {
                if (names[i] != NULL && matches(pattern, len, text_base(names[i])))
                        return true;
        }
        return false;
}

static bool is_listed(const char *list, const char *const names[], size_t count)
{
        while (*list != '\0') {
                size_t len = 0;

                while (list[len] != '\0' && !is_separator(list[len]))
                        len++;
                if (len > 0 && any_matches(list, len, names, count))
                        return true;
                list += len;
                list += *list != '\0';
        }
        return false;
}

bool program_is_chosen(const char *only, const char *except, const char *const names[],
                       size_t count)
{
        bool wanted = only == NULL || *only == '\0' || is_listed(only, names, count);

        return wanted && (except == NULL || !is_listed(except, names, count));
}
