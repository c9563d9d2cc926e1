/* Secrets of the cluster, value by value: nothing else of them stays in memory. */
#ifndef KUBE_SECRET_H
#define KUBE_SECRET_H

#include "base/secret.h"
#include "kube/client.h"

/*
 * Reads `count` values of a Secret; a key that it does not have gives NULL. The values are the
 * caller's: secret_free(). NOT_FOUND when there is no such Secret, PERMISSION_DENIED when the
 * driver may not read it, FAILED_PRECONDITION when a value is not base64.
 */
int kube_get_secret(struct kube_client *client, const char *name_space, const char *name,
		    const char *const keys[], struct secret *ret_values[], size_t count,
		    struct err *e) MUST_CHECK;

#endif
