/* Rights that a process does without. */
#ifndef BASE_PRIVILEGES_H
#define BASE_PRIVILEGES_H

/*
 * Gives up every capability, now and for whatever this process executes, and the way back through
 * set-user-ID programs. It stays root by its number: what root owns it can use.
 */
void privileges_drop(void);

#endif
