/* Compiler attributes and small macros used everywhere. */
#ifndef BASE_MACROS_H
#define BASE_MACROS_H

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF(fmt_index, args_index) __attribute__((format(printf, fmt_index, args_index)))
#define NORETURN __attribute__((noreturn))
#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define STRINGIFY_(x) #x
#define STRINGIFY(x) STRINGIFY_(x)

#endif
