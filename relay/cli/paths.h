/* Where tapline keeps things: XDG directories, the private directory of a run, the library and the
 * catalogue. All returned strings are owned by the caller; NULL: no such place, or out of memory.
 */
#ifndef CLI_PATHS_H
#define CLI_PATHS_H

/* "$XDG_CONFIG_HOME/tapline/NAME" or "~/.config/tapline/NAME". */
char *path_config(const char *name);

/* The default control socket; its directory is made (0700) and checked to be the user's own. */
char *path_default_socket(void);

/* Make a private directory (0700) for a run. */
char *path_make_run_dir(void);
/* Remove it and the plain files in it. */
void path_remove_run_dir(const char *dir);

/* path as an absolute one; it need not exist. */
char *path_absolute(const char *path);

/* A name for a new record in the state directory; where that cannot be written, in a temp
 * directory that can (then *fallback is 1). */
char *path_new_record(int *fallback);
/* The newest record of this user. */
char *path_newest_record(void);

/* libtapline.so: beside the program, else where it was installed. Absolute. */
char *path_library(void);
/* catalogue.conf: beside the program, else where it was installed. */
char *path_catalogue(void);

#endif
