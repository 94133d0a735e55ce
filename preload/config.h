/* What the library was told: read once from the environment by the constructor, then read-only but
 * for what seccomp.c switches off.
 * Until then every hook is the real call. In a process that is not ready nothing is redirected or
 * told, but those of exec and spawn are at work, so that its children are reached, and questions
 * about connections that it has inherited are asked. */
#ifndef PRELOAD_CONFIG_H
#define PRELOAD_CONFIG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

struct config {
        _Atomic bool ready;     /* a relay may be there, and this program is one to be watched */
        _Atomic bool reachable; /* a relay may be there */
        _Atomic bool silent; /* a system call of ours might end the program: make none, seccomp.c */
        bool told_socket;    /* TAPLINE_SOCKET was set, rather than the default path */
        bool redirect_loopback;                                       /* TAPLINE_BYPASS=none */
        bool refuse_quic;                                             /* TAPLINE_QUIC=refuse */
        enum { RESOLVE_AUTO, RESOLVE_LOCAL, RESOLVE_REMOTE } resolve; /* TAPLINE_RESOLVE */
        _Atomic bool tap;
        dev_t stderr_device;       /* what standard error was at the start (fallback.c) */
        ino_t stderr_inode;        /* 0: nothing */
        struct sockaddr_un relay;  /* control socket; sun_path "" if there is none */
        const char *only, *except; /* names of programs, tapline_program.h; NULL for none */
        size_t ca_len; /* TAPLINE_CA: the run's CA, in DER; 0: the run does not inspect */
        unsigned char ca[1536];
        char temp[256];   /* TMPDIR; "" if it is not set, no absolute path, or long */
        char record[256]; /* where to write when the relay is gone; "" for none */
};

extern struct config config;

/* The relay's loopback ports, host order, as last told by a verdict; 0: not known. Only a hint that
 * saves a question: the relay confirms every answer that hangs on it. */
extern _Atomic unsigned short config_relay_port, config_hold_port;

#endif
