/* Trust anchors of a store, decoded when a chain asks for them. OpenSSL takes as long to look into
 * the key of one root as for a signature, a bundle has 150 of them, and a chain needs one or two.
 */
#ifndef INSPECT_ANCHORS_H
#define INSPECT_ANCHORS_H

#include "inspect/bundle.h"

/* Trust every certificate of b in store: X509_STORE_CTX_get_by_subject(3) finds it, by way of an
 * X509_LOOKUP of ours. All bundles have to be added before the store is first used. Those that
 * OpenSSL cannot read are left out. b may go afterwards. */
void anchors_add(X509_STORE *store, const struct bundle *b);

#endif
