/* java.c: see java.h. */
#include "inspect/java.h"
#include "inspect/jks.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *env_get(char *const env[], const char *name)
{
        size_t len = strlen(name);

        for (; env && *env; env++)
                if (!strncmp(*env, name, len) && (*env)[len] == '=')
                        return (*env)[len + 1] ? *env + len + 1 : NULL;
        return NULL;
}

/* As JSSE looks: jssecacerts, if it is there, in place of cacerts. */
static bool store_in(const char *home, char *path, size_t cap)
{
        static const char *const names[] = {"lib/security/jssecacerts", "lib/security/cacerts",
                                            "jre/lib/security/cacerts"};

        for (size_t i = 0; home && i < sizeof names / sizeof *names; i++)
                if ((size_t)snprintf(path, cap, "%s/%s", home, names[i]) < cap &&
                    access(path, R_OK) == 0)
                        return true;
        return false;
}

/* The JDK of the java that PATH finds: .../bin/java. */
static bool store_on_path(const char *list, char *path, size_t cap)
{
        char program[PATH_MAX], home[PATH_MAX];

        for (const char *at = list; at && *at; at += strspn(at, ":")) {
                size_t len = strcspn(at, ":");
                snprintf(program, sizeof program, "%.*s/java", (int)len, at);
                at += len;
                if (access(program, X_OK) < 0 || !realpath(program, home))
                        continue;
                for (int i = 0; i < 2; i++) {
                        char *slash = strrchr(home, '/');
                        if (slash)
                                *slash = '\0';
                }
                return store_in(home, path, cap);
        }
        return false;
}

bool java_find_store(char *const env[], char *path, size_t cap)
{
        return store_in(env_get(env, "JAVA_HOME"), path, cap) ||
               store_on_path(env_get(env, "PATH"), path, cap);
}

bool java_has_store(const char *options)
{
        return options && strstr(options, "javax.net.ssl.trustStore");
}

static bool file_has_store(const char *path)
{
        FILE *file = fopen(path, "re");
        char line[4096];
        bool found = false;

        while (file && !found && fgets(line, sizeof line, file))
                found = java_has_store(line);
        if (file)
                fclose(file);
        return found;
}

bool java_project_has_store(const char *dir)
{
        char at[PATH_MAX], path[PATH_MAX + 32];
        char *slash = at;

        snprintf(at, sizeof at, "%s", dir);
        while (slash) {
                snprintf(path, sizeof path, "%s/.mvn/jvm.config", at);
                if (file_has_store(path))
                        return true;
                slash = strrchr(at, '/');
                if (slash)
                        *slash = '\0';
        }
        return false;
}

char *java_options(const char *path, const char *users)
{
        char *text = NULL;

        if (asprintf(&text,
                     "-Djavax.net.ssl.trustStore=%s -Djavax.net.ssl.trustStoreType=JKS "
                     "-Djavax.net.ssl.trustStorePassword=" JKS_PASSWORD "%s%s",
                     path, users ? " " : "", users ? users : "") < 0)
                return NULL;
        return text;
}
