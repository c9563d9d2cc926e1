/*
 * libcurl, loaded by the process that talks to the Kubernetes API: linking it would cost the idle
 * event loop megabytes for OpenSSL. Each function is reached as http_library()->curl_...
 */
#ifndef KUBE_HTTP_LIBRARY_H
#define KUBE_HTTP_LIBRARY_H

#define CURL_DISABLE_TYPECHECK /* its macros do not know functions that are pointers */
#include <curl/curl.h>

#include "base/err.h"

#define HTTP_LIBRARY_FUNCTIONS(X)                                                                  \
	X(curl_global_init)                                                                        \
	X(curl_easy_init)                                                                          \
	X(curl_easy_setopt)                                                                        \
	X(curl_easy_perform)                                                                       \
	X(curl_easy_getinfo)                                                                       \
	X(curl_easy_reset)                                                                         \
	X(curl_easy_cleanup)                                                                       \
	X(curl_easy_strerror)                                                                      \
	X(curl_slist_append)                                                                       \
	X(curl_slist_free_all)                                                                     \
	X(curl_multi_init)                                                                         \
	X(curl_multi_setopt)                                                                       \
	X(curl_multi_add_handle)                                                                   \
	X(curl_multi_remove_handle)                                                                \
	X(curl_multi_socket_action)                                                                \
	X(curl_multi_info_read)                                                                    \
	X(curl_multi_cleanup)

struct http_library {
#define HTTP_LIBRARY_MEMBER(name) __typeof__(&name) name;
	HTTP_LIBRARY_FUNCTIONS(HTTP_LIBRARY_MEMBER)
#undef HTTP_LIBRARY_MEMBER
};

/*
 * The library, loaded at the first call. NULL with `e` filled (FAILED_PRECONDITION) when it is
 * not installed or too old.
 */
const struct http_library *http_library(struct err *e);

#endif
