/* OpenSSL's callbacks during the handshakes; inspector.c sets them in the contexts. The connection
 * is the SSL object's application data. */
#ifndef INSPECT_HANDSHAKE_H
#define INSPECT_HANDSHAKE_H

#include <openssl/ssl.h>

/* SSL_CTX_set_client_hello_cb(3): suspends the handshake until the origin's is finished. */
int handshake_on_hello(SSL *ssl, int *alert, void *inspector);

/* SSL_CTX_set_alpn_select_cb(3): selects what the origin selected. */
int handshake_on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                      const unsigned char *in, unsigned in_len, void *inspector);

/* SSL_CTX_set_verify(3): remembers whose certificate was refused, and takes what only a strict
 * client refuses. */
int handshake_on_verify(int ok, X509_STORE_CTX *store);

/* SSL_CTX_set_cert_verify_callback(3): the origin's certificates are there. Suspends the handshake
 * once, for the roots that the client has loaded meanwhile, then verifies as OpenSSL does. */
int handshake_on_chain(X509_STORE_CTX *store, void *unused);

/* SSL_CTX_set_client_cert_cb(3): stops the handshake; we have no certificate of the client's. */
int handshake_on_certificate_request(SSL *ssl, X509 **cert, EVP_PKEY **key);

/* SSL_CTX_sess_set_new_cb(3): keeps the origin's session for the next connection. */
int handshake_on_session(SSL *ssl, SSL_SESSION *session);

/* SSL_CTX_set_keylog_callback(3): to the key log and the capture, where the user wants them. */
void handshake_on_secret(const SSL *ssl, const char *line);

/* SSL_CTX_set_info_callback(3): remembers alerts. */
void handshake_on_info(const SSL *ssl, int where, int value);

#endif
