/* The processes the relay has heard of: executable per pid, told by the library's hello or read
 * from /proc. */
#ifndef NET_PROCESS_H
#define NET_PROCESS_H

#include "record/event.h"

#include <sys/socket.h>

struct process_table;

struct process_table *process_table_new(void);
void process_table_free(struct process_table *table);

/* Set the executable of pid (a hello; also after exec). */
void process_table_set(struct process_table *table, pid_t pid, const char *exe);

/* Executable of pid, from the table or from /proc; NULL when unknown. Borrowed until the next set.
 */
const char *process_table_exe(struct process_table *table, pid_t pid);

/* The relay has looked inside a connection of pid; has it ever? */
void process_table_set_inspected(struct process_table *table, pid_t pid);
bool process_table_is_inspected(struct process_table *table, pid_t pid);

/* The same of a connection that pid made by itself, without the relay. */
void process_table_set_bypassed(struct process_table *table, pid_t pid);
bool process_table_has_bypassed(struct process_table *table, pid_t pid);

/* Uid that owns the local TCP socket local -> remote, both on this machine, by sock_diag(7).
 * Returns 0 or -errno. */
int process_socket_uid(const struct sockaddr_storage *local, const struct sockaddr_storage *remote,
                       uid_t *uid);

/* True if no process has the other end of fd any more, a TCP socket of this machine: its program
 * has closed it or is gone, though all that came of that is a FIN. cookie: its SO_COOKIE, 0 for
 * any. False where the kernel cannot tell. */
bool process_has_left(int fd, uint64_t cookie);

#endif
