/* Logins from a netrc file (ftp(1), and as curl(1) reads it). */
#ifndef CLI_NETRC_H
#define CLI_NETRC_H

/* Look host up in text. user, if not NULL, is the one whose password is wanted. Returns
 * "user:password", owned by the caller, who wipes it; NULL when there is none. Pure. */
char *netrc_find(const char *text, const char *host, const char *user);

/* Read a netrc file: path, or ~/.netrc for "". Returns its text, owned by the caller, who wipes it;
 * NULL with *error: 0 when there is no such file, -EPERM when others can read it or own it, or
 * another -errno. */
char *netrc_read(const char *path, int *error);

#endif
