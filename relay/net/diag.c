/* Questions to sock_diag(7); see diag.h. */
#include "net/diag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

struct request {
        struct nlmsghdr head;
        struct inet_diag_req_v2 body;
};

int diag_open(void)
{
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

        return fd < 0 ? -errno : fd;
}

static void fill_end(const struct wire_addr *from, __be16 *port, __be32 *address)
{
        *port = htons(from->port);
        memcpy(address, from->bytes, sizeof from->bytes);
}

static void fill(struct request *r, const struct wire_addr *local, const struct wire_addr *remote,
                 uint64_t cookie)
{
        struct inet_diag_sockid *id = &r->body.id;

        memset(r, 0, sizeof *r);
        r->head.nlmsg_len = sizeof *r;
        r->head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
        r->head.nlmsg_flags = NLM_F_REQUEST;
        r->body.sdiag_family = (__u8)local->family;
        r->body.sdiag_protocol = IPPROTO_TCP;
        r->body.idiag_states = ~0u;
        id->idiag_cookie[0] = cookie != 0 ? (__u32)cookie : INET_DIAG_NOCOOKIE;
        id->idiag_cookie[1] = cookie != 0 ? (__u32)(cookie >> 32) : INET_DIAG_NOCOOKIE;
        fill_end(local, &id->idiag_sport, id->idiag_src);
        fill_end(remote, &id->idiag_dport, id->idiag_dst);
}

int diag_ask(int diag, const struct wire_addr *local, const struct wire_addr *remote,
             uint64_t cookie, struct diag_socket *out)
{
        _Alignas(struct nlmsghdr) char answer[1024];
        struct nlmsghdr *head = (struct nlmsghdr *)answer;
        const struct inet_diag_msg *found = NLMSG_DATA(head);
        struct request request;
        ssize_t n;

        fill(&request, local, remote, cookie);
        if (send(diag, &request, sizeof request, 0) < 0)
                return -errno;
        n = recv(diag, answer, sizeof answer, MSG_DONTWAIT); /* answered within send() */
        if (n < 0)
                return -errno;
        if (!NLMSG_OK(head, (size_t)n))
                return -EPROTO;
        if (head->nlmsg_type == NLMSG_ERROR)
                return ((const struct nlmsgerr *)NLMSG_DATA(head))->error;
        if (head->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
            head->nlmsg_len < NLMSG_LENGTH(sizeof *found))
                return -EPROTO;
        *out = (struct diag_socket){found->idiag_state, found->idiag_uid, found->idiag_inode != 0};
        return 0;
}
