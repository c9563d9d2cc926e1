/*
 * The store of the controller inside a cluster: one LUKSVolume per volume. It writes their specs;
 * what the nodes write of the data comes back in the records. UNAVAILABLE when the API server does
 * not answer.
 */
#ifndef STORE_STORE_KUBE_H
#define STORE_STORE_KUBE_H

#include "kube/client.h"
#include "store/store.h"
#include "volume/luksvolume.h"

/*
 * The client is borrowed for the life of the store. Never NULL.
 *
 * store_put() of a volume that exists writes what only the controller decides: the capacity that
 * is wanted, and that the volume goes (VOLUME_DELETING: the object is deleted and stays until
 * store_remove()).
 */
struct store *store_kube_new(struct kube_client *client);

/*
 * The object of a volume. NOT_FOUND when there is none; FAILED_PRECONDITION with e->sys ENODEV when
 * the cluster does not have the kind. Release *ret_object with json_decref().
 */
int store_kube_object(struct kube_client *client, const char *id, json_t **ret_object,
		      struct err *e) MUST_CHECK;

/* What it says; release ret_volume->record. NOT_FOUND when there is none. */
int store_kube_look(struct kube_client *client, const char *id, struct luksvolume *ret_volume,
		    struct err *e) MUST_CHECK;

/*
 * Deletes the object of a volume that cannot be made, as long as it says what `volume` was read
 * from: another controller may have begun the volume anew. ABORTED when it says something else.
 */
int store_kube_take_back(struct kube_client *client, const struct luksvolume *volume,
			 struct err *e) MUST_CHECK;

/* Takes our finalizer away: the object of a volume that is deleted goes. Gone is success. */
int store_kube_let_go(struct kube_client *client, const char *id, struct err *e) MUST_CHECK;

#endif
