/* Users and passwords of clients; see logins.h. */
#include "net/logins.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum {
        LINE_MAX_LEN = 1024,
        TOKEN_MAX = 1400, /* base64 of "user:password" */
};

struct login {
        unsigned char digest[SHA256_DIGEST_LENGTH];
        struct login *next;
};

struct logins {
        struct login *first; /* owned list */
};

static void digest(const char *text, size_t len, unsigned char out[SHA256_DIGEST_LENGTH])
{
        SHA256((const unsigned char *)text, len, out);
}

static bool add(struct logins *l, const char *text, size_t len)
{
        struct login *login = calloc(1, sizeof *login);

        if (login == NULL)
                return false;
        digest(text, len, login->digest);
        login->next = l->first;
        l->first = login;
        return true;
}

/* Returns NULL, or what is wrong with the line. */
static const char *read_line(struct logins *l, char *line, size_t len)
{
        const char *colon;

        if (len > 0 && line[len - 1] != '\n' && len == LINE_MAX_LEN - 1)
                return "the line is too long";
        while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
                line[--len] = '\0';
        if (len == 0 || line[0] == '#')
                return NULL;
        colon = strchr(line, ':');
        if (colon == NULL || colon == line || colon[1] == '\0')
                return "it must be USER:PASSWORD";
        return add(l, line, len) ? NULL : strerror(ENOMEM);
}

static bool read_all(struct logins *l, FILE *in, const char *path, char *why, size_t cap)
{
        char line[LINE_MAX_LEN];
        const char *problem = NULL;
        unsigned number = 0;

        while (problem == NULL && fgets(line, sizeof line, in) != NULL) {
                number++;
                problem = read_line(l, line, strlen(line));
        }
        OPENSSL_cleanse(line, sizeof line);
        if (problem != NULL)
                snprintf(why, cap, "%s:%u: %s", path, number, problem);
        else if (l->first == NULL)
                snprintf(why, cap, "%s: there is no USER:PASSWORD in it", path);
        return problem == NULL && l->first != NULL;
}

struct logins *logins_read(const char *path, bool *open_to_others, char *why, size_t why_cap)
{
        struct logins *l = calloc(1, sizeof *l);
        FILE *in = fopen(path, "re");
        struct stat st;

        if (l == NULL || in == NULL) {
                snprintf(why, why_cap, "%s: %s", path, strerror(in == NULL ? errno : ENOMEM));
                if (in != NULL)
                        fclose(in);
                free(l);
                return NULL;
        }
        setvbuf(in, NULL, _IONBF, 0); /* no copy of the secrets in a buffer that is not wiped */
        *open_to_others = fstat(fileno(in), &st) == 0 && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0;
        if (!read_all(l, in, path, why, why_cap)) {
                logins_free(l);
                l = NULL;
        }
        fclose(in);
        return l;
}

void logins_free(struct logins *l)
{
        while (l != NULL && l->first != NULL) {
                struct login *login = l->first;

                l->first = login->next;
                free(login);
        }
        free(l);
}

static bool has(const struct logins *l, const char *text, size_t len)
{
        unsigned char said[SHA256_DIGEST_LENGTH];
        unsigned found = 0;

        digest(text, len, said);
        for (const struct login *login = l->first; login != NULL; login = login->next)
                found |= CRYPTO_memcmp(said, login->digest, sizeof said) == 0;
        return found != 0;
}

bool logins_has(const struct logins *l, const char *user, size_t user_len, const char *password,
                size_t password_len)
{
        char text[2 * 255 + 2];
        bool result;

        if (user_len > 255 || password_len > 255 || memchr(user, ':', user_len) != NULL)
                return false;
        memcpy(text, user, user_len);
        text[user_len] = ':';
        memcpy(text + user_len + 1, password, password_len);
        result = has(l, text, user_len + 1 + password_len);
        OPENSSL_cleanse(text, sizeof text);
        return result;
}

bool logins_has_basic(const struct logins *l, const char *value, size_t len)
{
        unsigned char text[TOKEN_MAX];
        int text_len;
        bool result;

        if (len < 7 || strncasecmp(value, "Basic ", 6) != 0)
                return false;
        for (value += 6, len -= 6; len > 0 && *value == ' '; len--)
                value++;
        if (len == 0 || len % 4 != 0 || len > TOKEN_MAX)
                return false;
        text_len = EVP_DecodeBlock(text, (const unsigned char *)value, (int)len);
        if (text_len < 0)
                return false;
        for (size_t i = 1; i <= 2 && value[len - i] == '='; i++)
                text_len--;
        result = has(l, (const char *)text, (size_t)text_len);
        OPENSSL_cleanse(text, sizeof text);
        return result;
}
