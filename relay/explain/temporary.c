/* The directory for temporary files: see temporary.h. */
#include "explain/temporary.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

/* Where Python's tempfile looks, after the variables and before the working directory. */
static const char *const usual[] = {"/tmp", "/var/tmp", "/usr/tmp"};

/* Where temporary files can go, in this order. */
static const char *const places[] = {"/tmp", "/var/tmp", "/dev/shm"};

enum { PROBE_NAME_LEN = 8 }; /* of tempfile's _RandomNameSequence */

/* Is path a name right in dir? */
static bool is_in(const char *path, const char *dir)
{
        const char *base = text_base(path);

        return text_is_below(path, dir) && (size_t)(base - path) == strlen(dir) + 1;
}

/* tempfile tries each place with a file of a random name before it takes one. */
static bool is_python_probe(const json_t *event)
{
        const char *path = event_get_str(event, "path"), *exe = event_get_str(event, "exe");
        const char *base = path != NULL ? text_base(path) : "";

        return exe != NULL && fnmatch("py*", text_base(exe), 0) == 0 &&
               (event_field_is(event, "call", "open") || event_field_is(event, "call", "openat")) &&
               strlen(base) == PROBE_NAME_LEN &&
               strspn(base, "abcdefghijklmnopqrstuvwxyz0123456789_") == PROBE_NAME_LEN;
}

static bool is_usual(const struct facts *facts, const char *path)
{
        for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
                if (is_in(path, usual[i]))
                        return true;
        return is_in(path, facts->tools.temp);
}

/* The last place, the working directory, refused too. */
static bool has_python_given_up(const struct facts *facts, const struct process *process)
{
        for (size_t i = 0; i < facts->fault_count; i++) {
                const json_t *event = facts->faults[i].event;

                if (facts->faults[i].process == process && is_python_probe(event) &&
                    !is_usual(facts, event_get_str(event, "path")))
                        return true;
        }
        return false;
}

static bool is_refusal(const json_t *event)
{
        return event_field_is(event, "errno", "EACCES") ||
               event_field_is(event, "errno", "EPERM") || event_field_is(event, "errno", "EROFS");
}

bool temporary_is_broken(const struct facts *facts, const struct file_fault *fault)
{
        const char *at = filefault_at(fault->event), *temp = facts->tools.temp;
        bool fits = is_refusal(fault->event) && text_is_below(at, temp);

        /* What stands above it refuses, is all that there is, or is a file. */
        fits = fits ||
               (text_is_below(temp, at) &&
                (is_refusal(fault->event) || event_field_is(fault->event, "errno", "ENOTDIR") ||
                 (event_field_is(fault->event, "errno", "ENOENT") && strcmp(temp, at) != 0)));
        /* What goes from there to elsewhere may fail because of elsewhere. */
        if (!fits || event_get_str(fault->event, "path2") != NULL ||
            !event_field_is(fault->event, "intent", "write"))
                return false;
        return !is_python_probe(fault->event) || has_python_given_up(facts, fault->process);
}

char *temporary_summary(const struct facts *facts, const json_t *event, const char *tail)
{
        const char *at = filefault_at(event), *temp = facts->tools.temp;
        const char *error = event_get_str(event, "errno");

        if (event_field_is(event, "errno", "ENOENT"))
                return text_format("The directory for temporary files, %s, does not exist%s.", temp,
                                   tail);
        if (event_field_is(event, "errno", "ENOTDIR"))
                return text_format("The directory for temporary files, %s, cannot be used: %s is "
                                   "not a directory%s.",
                                   temp, at, tail);
        if (!text_is_below(temp, at))
                return text_format("%s, in the directory for temporary files, cannot be written: "
                                   "%s%s.",
                                   at, text_errno(error), tail);
        return text_format("The directory for temporary files, %s, cannot be written: %s%s.", temp,
                           text_errno(error), tail);
}

char *temporary_advice(const struct facts *facts, const json_t *event)
{
        char *temp = text_quote(facts->tools.temp), *at = text_quote(filefault_at(event));
        char *advice = NULL;

        if (temp == NULL || at == NULL)
                advice = NULL;
        else if (event_field_is(event, "errno", "ENOENT"))
                advice = text_format("The commands put temporary files elsewhere. Or make the "
                                     "directory: mkdir -p %s",
                                     temp);
        else if (event_field_is(event, "errno", "ENOTDIR"))
                advice = text_format("The commands put temporary files elsewhere. Or move the file "
                                     "out of the way: mv %s %s.old",
                                     at, at);
        else if (event_field_is(event, "errno", "EROFS"))
                advice = text_format("The commands put temporary files elsewhere. In a container, "
                                     "mount a volume or a tmpfs on %s.",
                                     temp);
        else
                advice = text_format("The commands put temporary files elsewhere. Or repair the "
                                     "directory: chmod 1777 %s",
                                     at);
        free(temp);
        free(at);
        return advice;
}

static bool has_failed(const struct facts *facts, const char *dir)
{
        for (size_t i = 0; i < facts->fault_count; i++) {
                const json_t *event = facts->faults[i].event;
                const char *path = event_get_str(event, "path");

                if (path != NULL && is_in(path, dir) && event_field_is(event, "intent", "write"))
                        return true;
        }
        return false;
}

const char *temporary_place(const struct facts *facts)
{
        for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
                if (!text_is_below(places[i], facts->tools.temp) && !has_failed(facts, places[i]))
                        return places[i];
        return "$HOME";
}
