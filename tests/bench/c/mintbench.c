/* mintbench.c - leaf certificates minted per second, as an inspecting relay would: build an X.509
 * v3 leaf with a subjectAltName and sign it with the CA key; with one leaf key shared by all
 * leaves, and with a fresh key for each.
 *
 *   mintbench SECONDS-PER-CASE */
#include "mint.h"
#include <openssl/ec.h>
#include <openssl/rsa.h>

static EVP_PKEY *new_key(int rsa)
{
        return rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
}

static double rate(int ca_rsa, int leaf_rsa, int fresh, double secs)
{
        EVP_PKEY *ca = new_key(ca_rsa), *shared = new_key(leaf_rsa);
        uint64_t t0 = now_ns(), end = t0 + (uint64_t)(secs * 1e9);
        long n = 0;
        for (; now_ns() < end; n++) {
                char host[64];
                snprintf(host, sizeof host, "h%ld.origin.test", n);
                EVP_PKEY *k = fresh ? new_key(leaf_rsa) : shared;
                X509_free(mint_leaf(k, NULL, ca, host));
                if (fresh)
                        EVP_PKEY_free(k);
        }
        double r = (double)n / ((double)(now_ns() - t0) / 1e9);
        EVP_PKEY_free(ca);
        EVP_PKEY_free(shared);
        return r;
}

int main(int argc, char **argv)
{
        if (argc != 2)
                die("usage: mintbench seconds-per-case");
        double s = atof(argv[1]);
        printf("{\"ec_ca_shared_key_s\":%.0f,\"ec_ca_fresh_ec_key_s\":%.0f,", rate(0, 0, 0, s),
               rate(0, 0, 1, s));
        printf("\"rsa_ca_shared_key_s\":%.0f,\"rsa_ca_fresh_rsa_key_s\":%.1f}\n", rate(1, 1, 0, s),
               rate(1, 1, 1, s));
}
