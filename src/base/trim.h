/* Memory that a process holds and does not use. */
#ifndef BASE_TRIM_H
#define BASE_TRIM_H

/*
 * To be called when a long-lived process has gone quiet: gives free heap back, and lets go of the
 * pages of programs and libraries that are as in their files; what is used again comes back from
 * the page cache. Afterwards these pages are no longer locked: code holds no secret, and a node
 * short of memory may take it. Nothing that was written to is touched. Cannot fail.
 */
void trim_process(void);

#endif
