/* Tells the relay about a program that the library will not be in; see uncovered.h. */
#include "uncovered.h"
#include "config.h"
#include "control.h"

#include <string.h>

bool uncovered_is_silent(struct program *out)
{
        if (!config.silent)
                return false;
        out->reason = WIRE_SECCOMP;
        out->path[0] = '\0';
        return true;
}

void uncovered_report(const struct program *found, const char *name, char *const argv[])
{
        const char *names[] = {name, argv != NULL ? argv[0] : NULL, found->path};
        struct wire_uncovered message;

        if (found->reason == WIRE_COVERED || config.silent ||
            !program_is_chosen(config.only, config.except, names, 3))
                return;
        memset(&message, 0, sizeof message);
        message.reason = (uint8_t)found->reason;
        control_report2(WIRE_UNCOVERED, &message.head, sizeof message, found->path,
                        strlen(found->path) + 1);
}
