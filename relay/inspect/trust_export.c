/* trust_export.c: writes the bundles, stores and configuration files that trust.c has chosen, and
 * names them to the child's environment. */
#include "inspect/java.h"
#include "inspect/jks.h"
#include "inspect/trust_table.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int source_index(const struct trust *t, const struct source *source)
{
        int i = 0;

        for (const struct source *s = t->sources; s && s != source; s = s->next)
                i++;
        return i;
}

static const char *suffix(const struct source *s)
{
        return s->java ? "jks" : "pem";
}

static int write_sources(const struct trust *t, X509 *ca, const char *dir)
{
        char path[PATH_MAX];
        int error = 0, i = 0;

        for (const struct source *s = t->sources; s && !error; s = s->next) {
                snprintf(path, sizeof path, "%s/bundle-%d.%s", dir, i++, suffix(s));
                error = s->java ? jks_write(&s->bundle, ca, path)
                                : bundle_write(&s->bundle, ca, path);
        }
        return error;
}

/* Copy a file line by line. A last line without its newline gets one. */
static void copy_lines(const char *from, FILE *to)
{
        FILE *file = fopen(from, "re");
        int c, last = '\n';

        if (!file)
                return;
        while ((c = fgetc(file)) != EOF)
                fputc(last = c, to);
        if (last != '\n')
                fputc('\n', to);
        fclose(file);
}

/* A client's own configuration, then the line that adds ours. 0600 for wgetrc: it may hold the
 * user's passwords. Apt's holds none and is read by another user. */
static int write_config(const struct choice *c, const char *bundle, const char *path)
{
        bool wget = c->variable->rule == WGET_FILE;
        FILE *file = fopen(path, "wxe");

        if (!file)
                return -errno;
        if (fchmod(fileno(file), wget ? 0600 : 0644) < 0) {
                fclose(file);
                return -EIO;
        }
        if (wget && c->users)
                copy_lines(c->users, file);
        else if (c->users)
                fprintf(file, "#include \"%s\";\n", c->users);
        fprintf(file, wget ? "ca_certificate = %s\n" : "Acquire::https::CaInfo \"%s\";\n", bundle);
        return fclose(file) == 0 ? 0 : -EIO;
}

/* Root's apt reads as user _apt: a bundle behind a private directory would break what works. The
 * scripts that read Java's options split them at spaces. */
static bool may_export(const struct choice *c, const char *dir)
{
        struct stat st;

        if (c->source->java)
                return !strpbrk(dir, " \t\n'\"\\$`*?[");
        if (c->variable->rule != APT_FILE || geteuid() != 0)
                return true;
        return stat(dir, &st) == 0 && (st.st_mode & S_IXOTH);
}

static int export_config(const struct choice *c, const char *bundle, const char *dir,
                         void (*set)(void *, const char *, const char *), void *ctx)
{
        char config[PATH_MAX];

        snprintf(config, sizeof config, "%s/%s", dir,
                 c->variable->rule == WGET_FILE ? "wgetrc" : "apt.conf");
        int error = write_config(c, bundle, config);
        if (!error)
                set(ctx, c->name, config);
        return error;
}

static int export_java(const struct choice *c, const char *store,
                       void (*set)(void *, const char *, const char *), void *ctx)
{
        char *options = java_options(store, c->users);

        if (options)
                set(ctx, c->name, options);
        free(options);
        return options ? 0 : -ENOMEM;
}

static int export_choice(const struct trust *t, const struct choice *c, const char *dir,
                         void (*set)(void *, const char *, const char *), void *ctx)
{
        char bundle[PATH_MAX];

        snprintf(bundle, sizeof bundle, "%s/bundle-%d.%s", dir, source_index(t, c->source),
                 suffix(c->source));
        if (!may_export(c, dir))
                return 0;
        if (c->source->java)
                return export_java(c, bundle, set, ctx);
        if (c->variable->rule == WGET_FILE || c->variable->rule == APT_FILE)
                return export_config(c, bundle, dir, set, ctx);
        set(ctx, c->name, bundle);
        return 0;
}

int trust_export(const struct trust *t, X509 *ca, const char *dir,
                 void (*set)(void *ctx, const char *name, const char *value), void *ctx)
{
        int error = strlen(dir) < PATH_MAX - 64 ? write_sources(t, ca, dir) : -ENAMETOOLONG;

        for (size_t i = 0; i < t->choice_count && !error; i++)
                error = export_choice(t, &t->choices[i], dir, set, ctx);
        return error;
}
