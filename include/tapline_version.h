/* The version, in one place: the program, the record and the packages read it from here. */
#ifndef TAPLINE_VERSION_H
#define TAPLINE_VERSION_H

#define TAPLINE_VERSION "0.1.0"

#endif
