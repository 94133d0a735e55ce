/* Trust in the run's CA, where a program loads its roots. The hooks in trust_openssl.c and
 * trust_gnutls.c call the real function, tell the relay what was loaded (it verifies origins
 * against just that), and add the CA through the same library's own API. Nothing happens in a run
 * that does not inspect. */
#ifndef PRELOAD_TRUST_H
#define PRELOAD_TRUST_H

#include <stdbool.h>
#include <stddef.h>

/* Does the run inspect, and is this program one to be watched? */
bool trust_is_wanted(void);

/* The hook is about to call the real function, which may call others that are hooked. Returns true
 * if it is the outermost: then trust_end must follow, and the work is this hook's. */
bool trust_begin(void);
/* Returns outermost, for a condition. */
bool trust_end(bool outermost);

/* Tell the relay. path may be NULL (nothing is told) or relative; a list of directories has colons
 * between. Keeps errno. */
void trust_tell_file(const char *path);
void trust_tell_directory(const char *path);
void trust_tell_system(void);
/* This thread's handshake begins, and roots may be loaded during it; or that is over. */
void trust_tell_loading(bool begins);
/* One certificate in DER, or PEM text with any number of them. */
void trust_tell_certificates(const void *data, size_t len);

#endif
