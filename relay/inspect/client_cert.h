/* Certificates that the user lends to the relay for origins that ask for one (--client-cert
 * HOST=FILE). Other origins that ask are passed through. */
#ifndef INSPECT_CLIENT_CERT_H
#define INSPECT_CLIENT_CERT_H

#include <openssl/ssl.h>
#include <stdbool.h>

struct client_certs; /* a list */

/* Add HOST=FILE to *list (NULL: empty; owned by the caller). FILE is PEM: certificate, chain, key
 * without a passphrase; it must be the user's own and unreadable for others. Returns 0, or -errno
 * and *problem, one clause, static. */
int client_certs_add(struct client_certs **list, const char *host_and_file, const char **problem);
void client_certs_free(struct client_certs *list); /* NULL allowed */

/* Let ssl, which has not begun, show what there is for host. Returns false when there is none. */
bool client_certs_use(const struct client_certs *list, const char *host, SSL *ssl);

#endif
