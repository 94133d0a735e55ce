/* Processes; see process.h. */
#include "net/process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

enum { PROCESSES_MAX = 8192 }; /* the oldest is forgotten: it is only a cache of /proc */

struct process {
        pid_t pid;
        char *exe; /* owned */
        bool inspected;
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
        }
        free(p->exe);
        p->exe = strdup(exe);
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
        if (n <= 0)
                return NULL;
        path[n] = '\0';
        process_table_set(table, pid, path);
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

/* Fill a diag address (network order, v4 in the first word) and port from a socket address. */
static void diag_address(const struct sockaddr_storage *from, __be16 *port, __be32 *address)
{
        const struct sockaddr_in *v4 = (const void *)from;
        const struct sockaddr_in6 *v6 = (const void *)from;

        *port = from->ss_family == AF_INET ? v4->sin_port : v6->sin6_port;
        if (from->ss_family == AF_INET)
                memcpy(address, &v4->sin_addr, 4);
        else
                memcpy(address, &v6->sin6_addr, 16);
}

static int exchange(int fd, const void *request, size_t len, void *answer, size_t cap, size_t *got)
{
        struct timeval limit = {.tv_sec = 1};
        ssize_t n;

        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        if (send(fd, request, len, 0) < 0)
                return -errno;
        n = recv(fd, answer, cap, 0);
        if (n < 0)
                return -errno;
        *got = (size_t)n;
        return 0;
}

int process_socket_uid(const struct sockaddr_storage *local, const struct sockaddr_storage *remote,
                       uid_t *uid)
{
        struct {
                struct nlmsghdr head;
                struct inet_diag_req_v2 body;
        } request = {.head = {.nlmsg_len = sizeof request,
                              .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                              .nlmsg_flags = NLM_F_REQUEST}};
        _Alignas(struct nlmsghdr) char answer[1024];
        struct nlmsghdr *head = (struct nlmsghdr *)answer;
        size_t got = 0;
        int fd, result;

        request.body.sdiag_family = (__u8)local->ss_family;
        request.body.sdiag_protocol = IPPROTO_TCP;
        request.body.idiag_states = ~0u;
        request.body.id.idiag_cookie[0] = request.body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
        diag_address(local, &request.body.id.idiag_sport, request.body.id.idiag_src);
        diag_address(remote, &request.body.id.idiag_dport, request.body.id.idiag_dst);
        fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
        if (fd < 0)
                return -errno;
        result = exchange(fd, &request, sizeof request, answer, sizeof answer, &got);
        close(fd);
        if (result < 0)
                return result;
        if (!NLMSG_OK(head, got) || head->nlmsg_type != SOCK_DIAG_BY_FAMILY)
                return -ENOENT;
        *uid = ((struct inet_diag_msg *)NLMSG_DATA(head))->idiag_uid;
        return 0;
}
