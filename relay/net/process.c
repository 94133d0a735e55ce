/* Processes; see process.h. */
#include "net/process.h"
#include "net/address.h"
#include "net/diag.h"
#include "record/hash.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PROCESSES_MAX = 8192 }; /* the oldest is forgotten: it is only a cache of /proc */

struct process {
        pid_t pid;
        char *exe; /* owned; NULL: it may not be known */
        bool inspected, bypassed;
        UT_hash_handle hh;
};

struct process_table {
        struct process *all; /* owned */
};

struct process_table *process_table_new(void)
{
        return calloc(1, sizeof(struct process_table));
}

static void drop(struct process_table *table, struct process *p)
{
        HASH_DEL(table->all, p);
        free(p->exe);
        free(p);
}

void process_table_free(struct process_table *table)
{
        while (table != NULL && table->all != NULL)
                drop(table, table->all);
        free(table);
}

void process_table_set(struct process_table *table, pid_t pid, const char *exe)
{
        struct process *p;

        HASH_FIND_INT(table->all, &pid, p);
        if (p == NULL) {
                if (HASH_COUNT(table->all) >= PROCESSES_MAX)
                        drop(table, table->all);
                p = calloc(1, sizeof *p);
                if (p == NULL)
                        return;
                p->pid = pid;
                HASH_ADD_INT(table->all, pid, p);
                if (p->hh.tbl == NULL) {
                        free(p);
                        return;
                }
        }
        free(p->exe);
        p->exe = exe != NULL ? strdup(exe) : NULL;
}

const char *process_table_exe(struct process_table *table, pid_t pid)
{
        char link[40], path[PATH_MAX];
        struct process *p;
        ssize_t n;

        HASH_FIND_INT(table->all, &pid, p);
        if (p != NULL)
                return p->exe;
        snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
        n = readlink(link, path, sizeof path - 1);
        if (n <= 0 && errno != EACCES) /* that stays so: a relay that confines itself may not */
                return NULL;
        path[n > 0 ? n : 0] = '\0';
        process_table_set(table, pid, n > 0 ? path : NULL);
        HASH_FIND_INT(table->all, &pid, p);
        return p != NULL ? p->exe : NULL;
}

static struct process *find(struct process_table *table, pid_t pid)
{
        struct process *p;

        HASH_FIND_INT(table->all, &pid, p);
        return p;
}

void process_table_set_inspected(struct process_table *table, pid_t pid)
{
        struct process *p = find(table, pid);

        if (p != NULL)
                p->inspected = true;
}

bool process_table_is_inspected(struct process_table *table, pid_t pid)
{
        struct process *p = find(table, pid);

        return p != NULL && p->inspected;
}

void process_table_set_bypassed(struct process_table *table, pid_t pid)
{
        struct process *p = find(table, pid);

        if (p != NULL)
                p->bypassed = true;
}

bool process_table_has_bypassed(struct process_table *table, pid_t pid)
{
        const struct process *p = find(table, pid);

        return p != NULL && p->bypassed;
}

/* Ask about the socket local -> remote. Returns 0 or -errno, as diag_ask(). */
static int look_up(const struct sockaddr_storage *local, const struct sockaddr_storage *remote,
                   uint64_t cookie, struct diag_socket *found)
{
        struct wire_addr from, to;
        int fd = diag_open(), result;

        if (fd < 0)
                return fd;
        address_from_socket((const struct sockaddr *)local, &from);
        address_from_socket((const struct sockaddr *)remote, &to);
        result = diag_ask(fd, &from, &to, cookie, found);
        close(fd);
        return result;
}

bool process_has_left(int fd, uint64_t cookie)
{
        struct sockaddr_storage here, there;
        socklen_t here_len = sizeof here, there_len = sizeof there;
        struct diag_socket found;
        int result;

        if (getsockname(fd, (struct sockaddr *)&here, &here_len) < 0 ||
            getpeername(fd, (struct sockaddr *)&there, &there_len) < 0)
                return false;
        result = look_up(&there, &here, cookie, &found);
        if (result == -ENOENT) /* said too by a kernel that knows nothing of TCP's sockets */
                return look_up(&here, &there, 0, &found) == 0;
        return result == 0 ? !found.open : result == -ESTALE;
}

int process_socket_uid(const struct sockaddr_storage *local, const struct sockaddr_storage *remote,
                       uid_t *uid)
{
        struct diag_socket found;
        int result = look_up(local, remote, 0, &found);

        if (result == 0)
                *uid = found.uid;
        return result;
}
