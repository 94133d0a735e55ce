/* Rules about how the command ended: by a signal, or by the kernel for want of memory. */
#include "explain/rules.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { SHELL_SIGNAL = 128, SIGNAL_MAX = 64 };

/* Somebody wanted these: a person at the terminal, a time limit. */
static const char *const requests[] = {"TERM", "HUP", "QUIT"};

/* The signal's name without SIG: of the command itself, or of a child whose status a shell passed
 * on (128+n). NULL: none. */
static const char *signal_of(const struct facts *facts, bool *of_child)
{
        const char *name = event_get_str(facts->end, "signal");
        int64_t status = event_get_int(facts->end, "status", 0); /* a record may say anything */

        *of_child = name == NULL;
        if (name == NULL && status > SHELL_SIGNAL && status < SHELL_SIGNAL + SIGNAL_MAX)
                name = sigabbrev_np((int)status - SHELL_SIGNAL);
        return name;
}

/* What was under way when it ended. */
static void add_last_event(struct draft *d, const struct facts *facts)
{
        for (size_t i = facts->events->count; i-- > 0;) {
                const json_t *event = facts->events->items[i];
                const char *url = event_get_str(event, "url"), *name = event_get_str(event, "name");

                if (event_is(event, "http.request") || event_is(event, "http.response"))
                        text_add_at(&d->evidence, event, "the last that was seen: %s%s",
                                    event_is(event, "http.request") ? "request for "
                                                                    : "answer for ",
                                    url != NULL ? url : "something");
                else if (event_is(event, "connect"))
                        text_add_at(&d->evidence, event, "the last that was seen: connection to %s",
                                    name != NULL ? name : "a host");
                else
                        continue;
                return;
        }
        text_add(&d->evidence, "no connection had been seen");
}

static bool is_request(const char *signal)
{
        for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
                if (strcmp(signal, requests[i]) == 0)
                        return true;
        return false;
}

static void rule_signal(const struct facts *facts, struct findings *findings)
{
        bool of_child;
        const char *signal = signal_of(facts, &of_child);
        struct draft *d;

        /* Ctrl-C needs no explanation. */
        if (signal == NULL || strcmp(signal, "INT") == 0)
                return;
        d = findings_add(findings, FINDING_KILLED_BY_SIGNAL, facts->end);
        if (d == NULL)
                return;
        d->severity = is_request(signal) ? SEVERITY_WARNING : SEVERITY_ERROR;
        d->confidence = of_child ? CONFIDENCE_LIKELY : CONFIDENCE_CERTAIN;
        d->summary = text_format(of_child ? "A program that the command ran was ended by SIG%s."
                                          : "The command was ended by SIG%s.",
                                 signal);
        if (of_child)
                text_add_at(&d->evidence, facts->end,
                            "exit status %lld, which a shell gives for it",
                            (long long)event_get_int(facts->end, "status", 0));
        else
                text_add_at(&d->evidence, facts->end, "ended by SIG%s", signal);
        add_last_event(d, facts);
        d->advice = text_format(
                strcmp(signal, "KILL") == 0
                        ? "Somebody sent it, or the kernel did for want of memory: see dmesg, the "
                          "limits of the container, and the time limit of the job."
                : is_request(signal) ? "Somebody wanted it to end: a time limit of the job or of a "
                                       "script is the usual one."
                                     : "It is a fault of the program: update it, and report it to "
                                       "those who make it.");
}

static void rule_memory(const struct facts *facts, struct findings *findings)
{
        int64_t kills = event_get_int(facts->end, "oom_kills", 0);
        bool of_child;
        const char *signal = signal_of(facts, &of_child);
        struct draft *d;

        if (kills <= 0 || !facts_failed(facts))
                return;
        d = findings_add(findings, FINDING_OUT_OF_MEMORY_KILL, facts->end);
        if (d == NULL)
                return;
        d->confidence = signal != NULL && strcmp(signal, "KILL") == 0 ? CONFIDENCE_CERTAIN
                                                                      : CONFIDENCE_LIKELY;
        d->summary = text_format("There was not enough memory, and the kernel ended %s.",
                                 signal != NULL && !of_child ? "the command" : "a program");
        text_add_at(&d->evidence, facts->end,
                    "%s%s%s, and the kernel's count of such kills rose "
                    "by %lld during the run",
                    signal != NULL ? "ended by SIG" : "the run failed", signal ? signal : "", "",
                    (long long)kills);
        add_last_event(d, facts);
}

void rules_size_limit(struct draft *d, const json_t *event)
{
        int64_t soft = event_get_int(event, "fsize_limit", -1);
        int64_t hard = event_get_int(event, "fsize_hard_limit", -1);

        if (soft < 0) {
                const char *fstype = event_get_str(event, "fstype");

                text_add(&d->evidence, "no limit was set: it is the file system's (%s)",
                         fstype != NULL ? fstype : "type not known");
                return;
        }
        text_add(&d->evidence, "limit of the size of a file: %lld bytes (ulimit -f)",
                 (long long)soft);
        if (hard < 0 || hard > soft)
                text_add(&d->commands, "ulimit -f \"$(ulimit -Hf)\"");
        else
                text_add(&d->evidence, "that is also the most that this user may set it to");
}

/* A program that does not handle SIGXFSZ is ended by it, without a call that fails. */
static void rule_size(const struct facts *facts, struct findings *findings)
{
        const json_t *limited = NULL;
        bool of_child;
        const char *signal = signal_of(facts, &of_child);
        struct draft *d;

        if (signal == NULL || strcmp(signal, "XFSZ") != 0 ||
            findings_has_error(findings, FINDING_BIT(FINDING_FILE_TOO_LARGE)))
                return;
        for (size_t i = 0; i < facts->events->count; i++)
                if (event_get_int(facts->events->items[i], "fsize_limit", -1) >= 0)
                        limited = facts->events->items[i];
        if (limited == NULL ||
            (d = findings_add(findings, FINDING_FILE_TOO_LARGE, facts->end)) == NULL)
                return;
        d->confidence = of_child ? CONFIDENCE_LIKELY : CONFIDENCE_CERTAIN;
        d->summary = text_format("The kernel ended %s because it wrote a file that is larger than "
                                 "a file may be.",
                                 of_child ? "a program" : "the command");
        text_add_at(&d->evidence, facts->end, "ended by SIGXFSZ%s",
                    of_child ? ", as its exit status says" : "");
        rules_size_limit(d, limited);
        add_last_event(d, facts);
}

void rules_end(const struct facts *facts, struct findings *findings)
{
        rule_memory(facts, findings);
        rule_size(facts, findings);
        rule_signal(facts, findings);
}
