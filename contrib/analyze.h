/* What the analyzers are shown of uthash: a hash is some number, and its tables come from
 * elsewhere. Its own unrolled hash made gcc follow every path through it (minutes for a file), and
 * its tables hang where both lose sight of them. Included first by analyze.py, in no build. */
#ifndef ANALYZE_H
#define ANALYZE_H

unsigned analyzed_hash(const void *key, unsigned long len) __attribute__((pure));
void *analyzed_table(unsigned long len);
void analyzed_table_free(void *table);

#define HASH_FUNCTION(key, len, hash) ((hash) = analyzed_hash((key), (len)))
#define uthash_malloc(len)            analyzed_table(len)
#define uthash_free(table, len)       analyzed_table_free(table)

#endif
