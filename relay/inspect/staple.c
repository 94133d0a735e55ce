/* staple.c: checks a stapled OCSP answer; see staple.h. Used by origin.c. */
#include "inspect/staple.h"

#include <stdbool.h>

#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

enum { STATUS_REQUEST = 5, CLOCK_SLACK_S = 300 };

/* RFC 7633: the certificate is not to be taken without an answer. */
static bool must_staple(const X509 *cert)
{
        TLS_FEATURE *features = X509_get_ext_d2i(cert, NID_tlsfeature, NULL, NULL);
        bool must = false;

        for (int i = 0; i < sk_ASN1_INTEGER_num(features); i++)
                must |= ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i)) == STATUS_REQUEST;
        TLS_FEATURE_free(features);
        return must;
}

static enum staple judge_status(OCSP_BASICRESP *basic, X509 *cert, X509 *issuer)
{
        ASN1_GENERALIZEDTIME *from = NULL, *until = NULL;
        OCSP_CERTID *id = OCSP_cert_to_id(NULL, cert, issuer);
        int status = V_OCSP_CERTSTATUS_UNKNOWN;
        int found = id ? OCSP_resp_find_status(basic, id, &status, NULL, NULL, &from, &until) : 0;

        OCSP_CERTID_free(id);
        if (found != 1)
                return STAPLE_UNUSABLE;
        /* Revoked stays revoked, however old the news. */
        if (status == V_OCSP_CERTSTATUS_REVOKED)
                return STAPLE_REVOKED;
        if (status != V_OCSP_CERTSTATUS_GOOD ||
            OCSP_check_validity(from, until, CLOCK_SLACK_S, -1) != 1)
                return STAPLE_UNUSABLE;
        return STAPLE_GOOD;
}

static enum staple judge(SSL *ssl, OCSP_RESPONSE *response, X509_STORE *store)
{
        STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
        OCSP_BASICRESP *basic = NULL;
        enum staple verdict = STAPLE_UNUSABLE;

        if (sk_X509_num(chain) < 2 ||
            OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
                return STAPLE_UNUSABLE;
        basic = OCSP_response_get1_basic(response);
        if (basic && OCSP_basic_verify(basic, chain, store, 0) == 1)
                verdict = judge_status(basic, sk_X509_value(chain, 0), sk_X509_value(chain, 1));
        OCSP_BASICRESP_free(basic);
        return verdict;
}

enum staple staple_judge(SSL *ssl, X509_STORE *store)
{
        const unsigned char *bytes = NULL;
        long len = SSL_get_tlsext_status_ocsp_resp(ssl, &bytes);
        X509 *cert = SSL_get0_peer_certificate(ssl);

        if (len <= 0 || !bytes)
                return cert && must_staple(cert) ? STAPLE_MISSING : STAPLE_NONE;
        OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &bytes, len);
        enum staple verdict = response ? judge(ssl, response, store) : STAPLE_UNUSABLE;
        OCSP_RESPONSE_free(response);
        return verdict;
}
