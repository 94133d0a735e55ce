/* Trust anchors of a store, decoded when a chain asks for them. OpenSSL takes as long to look into
 * the key of one root as for a signature, a bundle has 150 of them, and a chain needs one or two.
 */
#ifndef INSPECT_ANCHORS_H
#define INSPECT_ANCHORS_H

#include "inspect/bundle.h"

/* Tell that the certificate of the PEM block that pem begins with is der, so that it need not be
 * decoded. Copies both; without memory or room it is decoded when asked for. */
void anchors_know(const char *pem, const unsigned char *der, size_t len);

/* Call each with every certificate of b that is PEM, in DER; a "TRUSTED CERTIFICATE" has more
 * behind it (bundle_der_len). What is decoded here is known to anchors_add(), also in a process
 * that is forked later. each must not call back. */
void anchors_each(const struct bundle *b, void (*each)(void *, const unsigned char *, size_t),
                  void *ctx);

/* Trust every certificate of b in store: X509_STORE_CTX_get_by_subject(3) finds it, by way of an
 * X509_LOOKUP of ours. All bundles have to be added before the store is first used. Those that
 * OpenSSL cannot read are left out. b may go afterwards. */
void anchors_add(X509_STORE *store, const struct bundle *b);

#endif
