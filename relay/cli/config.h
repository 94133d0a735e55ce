/* The configuration file (libconfig): sets the options that neither command line nor environment
 * have. */
#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H

#include "cli/options.h"

/* Read o->config, else the user's file, else /etc/tapline.conf; no file at all is fine unless it
 * was named. Keys of other commands are checked and passed over. Prints "file:line: ..." and
 * returns -1 on bad input, else 0. */
int tapline_config_read(struct options *o, unsigned command);

#endif
