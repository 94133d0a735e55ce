/* client_cert.c: the certificates of --client-cert; see client_cert.h. Used by inspector.c. */
#include "inspect/client_cert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

struct client_certs {
        struct client_certs *next; /* owned */
        char *host;                /* owned */
        X509 *cert;                /* owned */
        EVP_PKEY *key;             /* owned */
        STACK_OF(X509) * chain;    /* owned */
};

void client_certs_free(struct client_certs *list)
{
        while (list) {
                struct client_certs *next = list->next;
                free(list->host);
                X509_free(list->cert);
                EVP_PKEY_free(list->key);
                sk_X509_pop_free(list->chain, X509_free);
                free(list);
                list = next;
        }
}

static FILE *open_private(const char *path, const char **problem)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct stat st;

        if (fd < 0) {
                *problem = strerror(errno);
                return NULL;
        }
        errno = EPERM;
        if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
            (st.st_uid == geteuid() || st.st_uid == 0) && (st.st_mode & 077) == 0)
                return fdopen(fd, "r");
        *problem = "it holds a key and may be read by others, or is not your own (chmod 600)";
        close(fd);
        return NULL;
}

static int no_passphrase(char *out, int cap, int writing, void *ctx)
{
        (void)out;
        (void)cap;
        (void)writing;
        (void)ctx;
        return -1;
}

static bool read_pem(struct client_certs *c, FILE *file)
{
        X509 *more;

        c->cert = PEM_read_X509(file, NULL, no_passphrase, NULL);
        c->chain = sk_X509_new_null();
        while (c->cert && c->chain && (more = PEM_read_X509(file, NULL, no_passphrase, NULL)))
                if (sk_X509_push(c->chain, more) <= 0)
                        X509_free(more);
        rewind(file);
        c->key = PEM_read_PrivateKey(file, NULL, no_passphrase, NULL);
        ERR_clear_error();
        return c->cert && c->chain && c->key && X509_check_private_key(c->cert, c->key) == 1;
}

int client_certs_add(struct client_certs **list, const char *host_and_file, const char **problem)
{
        const char *equals = strchr(host_and_file, '=');
        struct client_certs *c = calloc(1, sizeof *c);
        FILE *file = NULL;

        *problem = "it is not of the form HOST=FILE";
        if (c && equals && equals > host_and_file && equals[1]) {
                c->host = strndup(host_and_file, (size_t)(equals - host_and_file));
                file = open_private(equals + 1, problem);
        }
        if (file) {
                *problem = "it does not hold a certificate and its key without a passphrase (PEM)";
                if (c->host && read_pem(c, file)) {
                        c->next = *list;
                        *list = c;
                        c = NULL;
                }
                fclose(file);
        }
        int result = c ? -EINVAL : 0;
        client_certs_free(c);
        ERR_clear_error();
        return result;
}

bool client_certs_use(const struct client_certs *list, const char *host, SSL *ssl)
{
        while (list && strcasecmp(list->host, host) != 0)
                list = list->next;
        return list && SSL_use_certificate(ssl, list->cert) == 1 &&
               SSL_use_PrivateKey(ssl, list->key) == 1 && SSL_set1_chain(ssl, list->chain) == 1;
}
