/* Rules about locks: one that the program waited for in vain, or long, and who holds it. A lock
 * that was granted soon, or got later, is how locks work. */
#include "explain/netfault.h"

#include <stdlib.h>
#include <string.h>

enum { LONG_MS = 5000 };

struct wait {
        const json_t *event; /* the first that names the holder, or the first */
        int64_t waited_ms;   /* so far, when the record ended */
        bool refused;        /* asked for without waiting */
};

/* Did the same process get this lock afterwards? */
static bool was_granted(const struct facts *facts, size_t from, const json_t *event)
{
        const char *path = event_get_str(event, "path");

        for (size_t i = from + 1; i < facts->events->count; i++) {
                const json_t *later = facts->events->items[i];

                if (event_is(later, "lock.wait") && event_field_is(later, "state", "granted") &&
                    event_get_int(later, "pid", 0) == event_get_int(event, "pid", 0) &&
                    path != NULL && event_field_is(later, "path", path))
                        return json_number_value(json_object_get(later, "waited_ms")) < LONG_MS ||
                               !facts_failed(facts);
        }
        return false;
}

/* Some ask to see whether somebody is there, and do without. A refusal counts in a cache or in the
 * home directory, right before the end of a run that failed. */
static bool refusal_counts(const struct facts *facts, const json_t *event)
{
        enum { SOON_US = 3000000 };
        const char *path = event_get_str(event, "path");

        return path != NULL && facts_failed(facts) &&
               event_get_time_us(facts->end) - event_get_time_us(event) < SOON_US &&
               (tools_root_of(&facts->tools, NULL, path) != NULL ||
                tools_is_in_home(&facts->tools, path));
}

/* The wait that was longest when the run ended; a refusal only if there is none. */
static struct wait longest(const struct facts *facts)
{
        size_t count = facts->events->count;
        /* Without its end a record ends where it was cut off, as a hanging run is. */
        const json_t *last =
                facts->end != NULL || count == 0 ? facts->end : facts->events->items[count - 1];
        int64_t end_us = event_get_time_us(last);
        struct wait worst = {0};

        for (size_t i = 0; i < facts->events->count; i++) {
                const json_t *event = facts->events->items[i];
                bool refused = event_field_is(event, "state", "refused");
                int64_t ms = (end_us - event_get_time_us(event)) / 1000;

                if (!event_is(event, "lock.wait") ||
                    !(refused || event_field_is(event, "state", "waiting")) ||
                    was_granted(facts, i, event) ||
                    (refused ? !refusal_counts(facts, event)
                             : facts->end != NULL && ms < LONG_MS / 5))
                        continue;
                if (worst.event == NULL || (worst.refused && !refused))
                        worst = (struct wait){event, refused ? 0 : ms, refused};
        }
        return worst;
}

/* "pid 123 (cargo build)". Caller owns. */
static char *holder_of(const json_t *event)
{
        char *command = text_command(json_object_get(event, "holder_argv")), *text;
        const char *exe = event_get_str(event, "holder_exe");
        int64_t pid = event_get_int(event, "holder", 0);

        if (pid <= 0)
                text = text_format("another process");
        else if (command != NULL && *command != '\0')
                text = text_format("pid %lld (%.100s)", (long long)pid, command);
        else
                text = text_format("pid %lld%s%s%s", (long long)pid, exe ? " (" : "",
                                   exe ? exe : "", exe ? ")" : "");
        free(command);
        return text;
}

void rules_locks(const struct facts *facts, struct findings *findings)
{
        struct wait wait = longest(facts);
        const struct process *p = facts_process(facts, event_get_int(wait.event, "pid", 0));
        const char *path = event_get_str(wait.event, "path");
        int64_t holder = event_get_int(wait.event, "holder", 0);
        struct draft *d;
        char *who, *quoted = NULL;

        if (wait.event == NULL || (wait.refused && findings_has_error(findings, ~UINT64_C(0))))
                return;
        d = findings_add(findings, FINDING_LOCK_HELD, wait.event);
        who = holder_of(wait.event);
        if (d != NULL && who != NULL) {
                d->confidence = wait.refused ? CONFIDENCE_LIKELY : CONFIDENCE_CERTAIN;
                d->summary = text_format("%s waits for a lock that %s holds: %s.",
                                         p != NULL && p->tool ? p->tool->title : "The program", who,
                                         path != NULL ? path : "?");
                text_add_at(&d->evidence, wait.event, "%s(\"%s\") %s, held by %s",
                            event_get_str(wait.event, "call") ? event_get_str(wait.event, "call")
                                                              : "lock",
                            path != NULL ? path : "?", wait.refused ? "was refused" : "blocks",
                            who);
                if (!wait.refused)
                        text_add(&d->evidence, "%.1f s later, at the end, it still waited",
                                 (double)wait.waited_ms / 1000);
                quoted = path != NULL ? text_quote(path) : NULL;
                if (quoted != NULL && event_field_is(wait.event, "call", "flock"))
                        text_add(&d->commands, "flock %s true", quoted);
                else if (holder > 0)
                        text_add(&d->commands, "while kill -0 %lld 2>/dev/null; do sleep 1; done",
                                 (long long)holder);
                if (holder > 0)
                        d->advice = text_format("The command waits until the other process has "
                                                "ended. If that hangs, end it: kill %lld",
                                                (long long)holder);
        }
        free(quoted);
        free(who);
}
