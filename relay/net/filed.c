/* See filed.h. What is behind a failure is looked up at once, by record/examine.c: a moment later
 * the tool may have tidied up. */
#include "net/filed.h"
#include "net/process.h"
#include "record/examine.h"
#include "record/examine_lock.h"

#include <string.h>

/* The string at *at, and *at behind its NUL. NULL if there is none before end. */
static const char *next_string(const char **at, const char *end)
{
        const char *text = *at, *nul = text < end ? memchr(text, '\0', (size_t)(end - text)) : NULL;

        if (nul == NULL)
                return NULL;
        *at = nul + 1;
        return text;
}

static const struct {
        const char *name;
        int intent;
} intents[WIRE_INTENT_COUNT] = {
        [WIRE_INTENT_READ] = {"read", EXAMINE_READ},
        [WIRE_INTENT_WRITE] = {"write", EXAMINE_WRITE},
        [WIRE_INTENT_LOCK] = {"lock", EXAMINE_WRITE},
        [WIRE_INTENT_EXECUTE] = {"execute", EXAMINE_EXECUTE},
};

static bool is_text(const char *call, size_t cap)
{
        return memchr(call, '\0', cap) != NULL;
}

void filed_file(struct relay *relay, pid_t pid, const struct wire_file *file, size_t len)
{
        const char *at = (const char *)(file + 1), *end = (const char *)file + len;
        const char *path = next_string(&at, end), *path2 = next_string(&at, end);
        struct event_who who = {pid, file->head.tid, process_table_exe(relay->processes, pid)};
        struct examine_call call = {.pid = pid, .path2 = path2, .error = file->error};
        struct event e;

        if (path == NULL || (path[0] != '/' && path[0] != '\0') ||
            file->intent >= WIRE_INTENT_COUNT || !is_text(file->call, sizeof file->call))
                return;
        call.path = path[0] != '\0' ? path : NULL;
        call.intent = intents[file->intent].intent;
        event_begin_at(&e, EVENT_FILE_FAILURE, &who, 0, file->head.time_ns);
        event_str(&e, "call", file->call);
        event_str(&e, "path", call.path);
        event_str(&e, "path2", path2);
        event_str(&e, "errno", event_errno_name(file->error));
        event_str(&e, "intent", intents[file->intent].name);
        if (file->folded > 0)
                event_int(&e, "count", file->folded);
        examine_call(&e, &call);
        record_write(relay->record, &e);
}

void filed_lock(struct relay *relay, pid_t pid, const struct wire_lock *lock, size_t len)
{
        static const char *const states[WIRE_LOCK_STATE_COUNT] = {
                [WIRE_LOCK_WAITING] = "waiting",
                [WIRE_LOCK_REFUSED] = "refused",
                [WIRE_LOCK_GRANTED] = "granted",
                [WIRE_LOCK_FAILED] = "failed",
        };
        const char *at = (const char *)(lock + 1);
        const char *path = next_string(&at, (const char *)lock + len);
        struct event_who who = {pid, lock->head.tid, process_table_exe(relay->processes, pid)};
        struct event e;

        if (path == NULL || path[0] != '/' || lock->state >= WIRE_LOCK_STATE_COUNT ||
            states[lock->state] == NULL || !is_text(lock->call, sizeof lock->call))
                return;
        event_begin_at(&e, EVENT_LOCK_WAIT, &who, 0, lock->head.time_ns);
        event_str(&e, "call", lock->call);
        event_str(&e, "path", path);
        event_str(&e, "state", states[lock->state]);
        if (lock->state == WIRE_LOCK_GRANTED || lock->state == WIRE_LOCK_FAILED)
                event_ms(&e, "waited_ms", (int64_t)lock->waited_ms * 1000);
        else
                examine_lock_write(&e, pid, lock->device, lock->inode);
        if (lock->error != 0)
                event_str(&e, "errno", event_errno_name(lock->error));
        record_write(relay->record, &e);
}
