/* Names that both halves must agree on: environment variables and files. The library only reads
 * these variables; `tapline run` sets them. */
#ifndef TAPLINE_NAMES_H
#define TAPLINE_NAMES_H

/* clang-format off: a table */
#define TAPLINE_ENV_SOCKET  "TAPLINE_SOCKET"  /* control socket of the relay, absolute path */
#define TAPLINE_ENV_BYPASS  "TAPLINE_BYPASS"  /* "none": loopback is redirected too */
#define TAPLINE_ENV_RECORD  "TAPLINE_RECORD"  /* where failed writes go when there is no relay */
#define TAPLINE_ENV_QUIC    "TAPLINE_QUIC"    /* "refuse": UDP to port 443 fails */
#define TAPLINE_ENV_RESOLVE "TAPLINE_RESOLVE" /* "local", "auto", "remote": who looks names up */
#define TAPLINE_ENV_TAP     "TAPLINE_TAP"     /* "0": do not tap TLS calls */
#define TAPLINE_ENV_CA      "TAPLINE_CA"      /* DER file: the run's CA; set if the run inspects */
#define TAPLINE_ENV_ONLY    "TAPLINE_ONLY"    /* programs to watch; syntax in tapline_program.h */
#define TAPLINE_ENV_EXCEPT  "TAPLINE_EXCEPT"  /* programs to leave alone */
#define TAPLINE_ENV_KEEP    "TAPLINE_KEEP"    /* NAME:NAME...: put back if the rest was cleaned */
#define TAPLINE_ENV_INSIDE  "TAPLINE_INSIDE"  /* "1": made by `tapline run` */
#define TAPLINE_ENV_PREFIX  "TAPLINE_"        /* all of the above, and the options' */
/* clang-format on */

#define TAPLINE_DIR_NAME    "tapline" /* under XDG_CONFIG_HOME, XDG_STATE_HOME, XDG_RUNTIME_DIR */
#define TAPLINE_SOCKET_NAME "relay.sock" /* in the runtime directory */
#define TAPLINE_HELLO_END   "-hello"     /* behind the control socket's path: see tapline_wire.h */
#define TAPLINE_LIB_NAME    "libtapline.so"

#endif
