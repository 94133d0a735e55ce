/* The functions of the library that one of our callers is linked to. Not those of RTLD_NEXT: an
 * interpreter loads libssl with RTLD_LOCAL, where that finds nothing, and a process may hold
 * several copies (the system's, a wheel's own). So they are looked up through the object that holds
 * the hook's return address, and kept by call site. */
#ifndef PRELOAD_CALLER_H
#define PRELOAD_CALLER_H

/* The real function `name` as the object that holds `address` sees it, or NULL. name is a literal.
 * Keeps errno. The first look at a call site takes the linker's lock, later ones take none. */
void *caller_find(void *address, const char *name);

/* The same, with the type of a function that is declared here. */
#define CALLER_REAL(address, name) ((__typeof__(&(name)))caller_find((address), #name))

/* A hook's own caller. */
#define CALLER_ADDRESS __builtin_return_address(0)

#endif
