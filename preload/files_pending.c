/* See files_pending.h. One place, guarded by an atomic: whoever finds it taken goes on. */
#include "files_pending.h"
#include "control.h"
#include "sys.h"

#include <string.h>

_Atomic int files_pending_state;

static struct file_packet kept;
static size_t kept_len;
static long kept_pid;
static _Atomic uint32_t more;

static bool take(int from)
{
        return atomic_compare_exchange_strong(&files_pending_state, &from, FILES_TAKING);
}

void files_pending_keep(const struct file_packet *packet, size_t paths_len)
{
        long pid = sys(SYS_getpid, 0, 0, 0);

        if (!take(FILES_NONE)) {
                atomic_fetch_add_explicit(&more, 1, memory_order_relaxed);
                return;
        }
        memcpy(&kept.file, &packet->file, sizeof kept.file);
        memcpy(kept.paths, packet->paths, paths_len);
        kept_len = paths_len;
        kept_pid = pid;
        atomic_store(&more, 0);
        atomic_store(&files_pending_state, FILES_KEPT);
}

/* If there is none again, another thread was faster: the next close() tries once more. */
void files_pending_send(void)
{
        int result;

        if (sys(SYS_getpid, 0, 0, 0) != kept_pid || !take(FILES_KEPT))
                return;
        kept.file.folded = atomic_load_explicit(&more, memory_order_relaxed);
        result =
                control_report2(WIRE_FILE, &kept.file.head, sizeof kept.file, kept.paths, kept_len);
        atomic_store(&files_pending_state,
                     result == -EMFILE || result == -ENFILE ? FILES_KEPT : FILES_NONE);
}
