/* Who gets the processor first where it is short: the loop before its workers. */
#ifndef BASE_PRIORITY_H
#define BASE_PRIORITY_H

/* Behind the process that started this one, and the programs that this one starts with it. */
void priority_lower(void);

/* For a child that does not belong there: as before priority_lower(), where that is allowed. */
void priority_restore(void);

#endif
