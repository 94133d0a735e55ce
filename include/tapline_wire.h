/* The messages between the preloaded library and the relay.
 *
 * Each message is one packet on a short-lived AF_UNIX SOCK_SEQPACKET connection to the control
 * socket (unix(7)). The relay learns pid and uid from SO_PEERCRED, never from the packet. Reports
 * are one-way: the library sends and closes. DIAL, PEER, NAME and RING expect an answer on
 * the same connection. Integers are in host order: both ends run on one machine.
 *
 * Beside the control socket is another for HELLO alone (TAPLINE_HELLO_END of tapline_names.h). The
 * relay looks there when something of a later time has come to the control socket, or else when it
 * pleases: to be woken for each program that starts would cost the program more than to say hello.
 * Where there is none, HELLO goes to the control socket.
 *
 * Every packet starts with struct wire_head; `len` is the length of the whole packet. A packet
 * that is shorter than its type's struct, or whose len is not what arrived, is dropped. */
#ifndef TAPLINE_WIRE_H
#define TAPLINE_WIRE_H

#include <stdint.h>

#define WIRE_MAGIC   0x4c50u /* "PL" */
#define WIRE_VERSION 1u
#define WIRE_MAX     32768u /* longest packet, head included */

enum wire_type {
        WIRE_HELLO = 1, /* a process has started: struct wire_hello, then exe NUL, argv NUL... */
        WIRE_DIAL,      /* connect(): struct wire_dial; answered by WIRE_VERDICT */
        WIRE_JOIN,      /* the descriptor is now connected to the relay: struct wire_join */
        WIRE_VERDICT,   /* from the relay: struct wire_verdict */
        WIRE_PEER,      /* what is behind this source port? struct wire_join; answered by VERDICT */
        WIRE_LOOKUP,    /* a name was looked up: struct wire_lookup, name, then addresses */
        WIRE_FILE,      /* a file call failed: struct wire_file, path NUL [path2 NUL] */
        WIRE_TAP,       /* bytes that begin an HTTP head: struct wire_tap, then the bytes */
        WIRE_UNCOVERED, /* a program is started without the library: struct wire_uncovered, path NUL
                         */
        WIRE_PASSED = 32, /* this went by without the relay: struct wire_passed */
        WIRE_NAME,        /* an address for this name? struct wire_name, name; answered by VERDICT:
                           * WIRE_STATE_OPEN with the address in peer, or WIRE_STATE_UNKNOWN */
        WIRE_LOCK = 48,   /* a lock that somebody else holds: struct wire_lock, path NUL */
        WIRE_TRUST = 64,  /* the program has loaded roots: struct wire_trust, then path or bytes */
        WIRE_RING = 72,   /* a ring, please (tapline_ring.h): struct wire_head; answered by the same
                           * with a descriptor (SCM_RIGHTS of unix(7)), or not at all */
        WIRE_BELL,        /* something is in the ring: struct wire_head */
};

struct wire_head {
        uint16_t magic;
        uint8_t version;
        uint8_t type; /* enum wire_type */
        uint32_t len;
        int32_t tid;
        uint32_t seq;    /* the process's messages, counted; not of those from the relay */
        int64_t time_ns; /* CLOCK_REALTIME when it happened */
};

/* An internet address. v4-mapped addresses travel as AF_INET. */
struct wire_addr {
        uint16_t family; /* AF_INET or AF_INET6 */
        uint16_t port;   /* host order */
        uint32_t scope_id;
        uint8_t bytes[16]; /* network order; the first 4 for AF_INET */
};

struct wire_hello {
        struct wire_head head;
        int32_t ppid;
        uint32_t reserved;
        uint64_t fsize_limit, fsize_hard_limit; /* RLIMIT_FSIZE of getrlimit(2), or UINT64_MAX */
};

enum wire_dial_flags {
        WIRE_DIAL_NONBLOCK = 1, /* the program waits by polling, or with its next connect() */
        WIRE_DIAL_V6 = 2,       /* the descriptor reaches the relay on ::1, not on 127.0.0.1 */
};

struct wire_dial {
        struct wire_head head;
        struct wire_addr to;
        struct wire_addr local;   /* what the descriptor is bound to; all zero: nothing */
        uint64_t cookie;          /* the socket's, SO_COOKIE of socket(7) */
        uint32_t flags;           /* enum wire_dial_flags */
        int32_t syn_count;        /* TCP_SYNCNT of tcp(7), 0: the system's */
        uint32_t user_timeout_ms; /* TCP_USER_TIMEOUT, 0: the system's */
        uint32_t reserved;
};

/* Where a descriptor is, seen from the relay. In JOIN, `held` says that it knocks at hold_port and
 * waits there for the relay to let it in or to refuse it. */
struct wire_join {
        struct wire_head head;
        struct wire_addr local; /* its own address and port */
        uint64_t cookie;
        uint32_t held;
        uint32_t reserved;
};

enum wire_passed_reason {
        WIRE_PASSED_STALLED = 1, /* the relay did not answer in time */
        WIRE_PASSED_DEVICE,      /* bound to a network device, which does not lead to the relay */
        WIRE_PASSED_UDP,         /* a datagram socket */
        WIRE_PASSED_QUIC,        /* the same, and refused: quic = "refuse" */
};

struct wire_passed {
        struct wire_head head;
        struct wire_addr to;
        uint32_t reason; /* enum wire_passed_reason */
        uint32_t flags;  /* enum wire_dial_flags */
};

struct wire_name {
        struct wire_head head;
        uint16_t family; /* AF_INET, AF_INET6, or AF_UNSPEC: either will do */
        uint16_t name_len;
        uint32_t reserved;
};

enum wire_verdict_state {
        WIRE_STATE_UNKNOWN = 0, /* no such flow: let the kernel's answer stand */
        WIRE_STATE_PENDING,     /* dialling */
        WIRE_STATE_OPEN,        /* connected, or: go on and join */
        WIRE_STATE_FAILED,      /* error holds the errno */
        WIRE_STATE_DIRECT,      /* the relay asks the library to connect by itself */
};

struct wire_verdict {
        struct wire_head head;
        uint16_t state;     /* enum wire_verdict_state */
        uint16_t port;      /* the relay's listener on loopback, host order */
        uint16_t hold_port; /* where a descriptor waits for the upstream; 0: nowhere, use port */
        uint16_t reserved;
        int32_t error;          /* errno as connect(2) would have it, or 0 */
        struct wire_addr peer;  /* original destination */
        struct wire_addr local; /* to PEER: where a connection to it would come from; the port is
                                 * the descriptor's own. Family 0: not known */
};

struct wire_lookup {
        struct wire_head head;
        int32_t result; /* EAI_* of getaddrinfo(3), 0 for success */
        int32_t error;  /* errno if result is EAI_SYSTEM */
        uint32_t duration_us;
        uint16_t name_len;
        uint16_t address_count; /* struct wire_addr each, behind the name */
};

/* How a failed call meant to use the file. */
enum wire_file_intent {
        WIRE_INTENT_READ = 0,
        WIRE_INTENT_WRITE,
        WIRE_INTENT_LOCK,
        WIRE_INTENT_EXECUTE,
        WIRE_INTENT_COUNT,
};

struct wire_file {
        struct wire_head head;
        int32_t error;
        uint32_t flags;  /* open(2) flags where the call has them */
        uint8_t intent;  /* enum wire_file_intent */
        char call[23];   /* name of the call as the program made it, NUL-terminated */
        uint32_t folded; /* equal failures shortly before, of which nothing was sent */
        uint32_t reserved;
        /* absolute path NUL (empty: the call has none), then for calls with two paths the second
         * NUL */
};

enum wire_lock_state {
        WIRE_LOCK_WAITING = 1, /* the call is about to block */
        WIRE_LOCK_REFUSED,     /* asked for without waiting */
        WIRE_LOCK_GRANTED,     /* after waiting */
        WIRE_LOCK_FAILED,      /* after waiting: error */
        WIRE_LOCK_STATE_COUNT,
};

/* A lock that somebody else holds. */
struct wire_lock {
        struct wire_head head;
        int32_t error;
        uint32_t waited_ms;
        uint64_t device, inode; /* of the file, as fstat(2) has them; 0: not known */
        uint8_t state;          /* enum wire_lock_state */
        char call[23];          /* as in wire_file */
        /* absolute path NUL */
};

/* Where a program took authorities from that it trusts. */
enum wire_trust_kind {
        WIRE_TRUST_FILE = 1,    /* absolute path NUL */
        WIRE_TRUST_DIRECTORY,   /* absolute paths with colons between, NUL */
        WIRE_TRUST_SYSTEM,      /* its library's own default; nothing follows */
        WIRE_TRUST_CERTIFICATE, /* one certificate, DER or PEM */
        WIRE_TRUST_LOADING,     /* a handshake begins, during which roots may be loaded */
        WIRE_TRUST_LOADED,      /* that is over: what was not told until now is not trusted */
};

struct wire_trust {
        struct wire_head head;
        uint16_t kind; /* enum wire_trust_kind */
        uint16_t reserved[3];
};

struct wire_tap {
        struct wire_head head;
        struct wire_addr local; /* of the descriptor below TLS; family 0: not known */
        uint8_t from_server;    /* 1: read by the program */
        uint8_t h2;             /* 1: HTTP/2 frames, see below */
        uint16_t name_len;      /* of the server's name (SNI), before the bytes; 0: not known */
        uint32_t total_len;     /* length of the whole read or write; the packet may hold less */
        uint64_t tls;           /* tells TLS connections of a process apart */
        uint64_t cookie;        /* of the descriptor's socket; 0: not known */
        /* name, then plaintext bytes: those that begin with an HTTP/1 head; or frames of RFC 9113
         * section 4.1, of which those of type DATA, PING and WINDOW_UPDATE are left out or have
         * their header only */
};

/* Why the library will not be in a program that is about to be started. */
enum wire_uncovered_reason {
        WIRE_COVERED = 0, /* it will be, as far as can be told: never sent */
        WIRE_STATIC,      /* no dynamic linker */
        WIRE_SETUID,      /* secure-execution mode, ld.so(8) */
        WIRE_SETGID,
        WIRE_CAPABILITIES,
        WIRE_FOREIGN,   /* another architecture or another libc's linker */
        WIRE_SANITIZER, /* AddressSanitizer ends a program in which it is not the first library */
        WIRE_SECCOMP,   /* a filter of the program's own would end it for what the library calls */
        WIRE_REASON_COUNT,
};

struct wire_uncovered {
        struct wire_head head;
        uint8_t reason; /* enum wire_uncovered_reason */
        uint8_t reserved[7];
        /* absolute path NUL */
};

#endif
