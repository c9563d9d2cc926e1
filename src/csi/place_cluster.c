/*
 * Local volumes on the nodes of a cluster: the controller writes down what is wanted, the agent of
 * the node does it and says so (agent/). A call that did not see the end of it is repeated by
 * external-provisioner and goes on where it was.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "csi/place.h"
#include "engine/condition.h"
#include "store/store_kube.h"

/* A call gives its worker back after this, so that a node that is away does not hold them all. */
enum { WAIT_MS = 20 * 1000, FIRST_PAUSE_MS = 50, LAST_PAUSE_MS = 1000, REPLY_MS = 500 };

/* What is waited for, as the object shows it. */
typedef bool is_done_fn(const struct luksvolume *volume, uint64_t bytes);

struct waiting {
	const char *id;
	is_done_fn *is_done;
	uint64_t bytes;
	int64_t deadline_ms;
};

static void pause_ms(int64_t ms)
{
	struct timespec left = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&left, NULL);
}

/* The node has answered to what is wanted now, and not to what was wanted before. */
static bool is_answered(const struct luksvolume *v)
{
	return v->observed >= v->generation && v->phase != LUKSVOLUME_PENDING;
}

/* What passes by itself is no answer: the node tries again. */
static bool is_refused(const struct luksvolume *v)
{
	return is_answered(v) && v->phase != LUKSVOLUME_READY && v->why.code != ERR_ABORTED &&
	       v->why.code != ERR_UNAVAILABLE && v->why.code != ERR_DEADLINE_EXCEEDED;
}

static bool is_made(const struct luksvolume *v, uint64_t bytes)
{
	(void)bytes;
	return v->phase == LUKSVOLUME_READY && v->record.state != VOLUME_CREATING;
}

static bool is_grown(const struct luksvolume *v, uint64_t bytes)
{
	return v->record.capacity_bytes >= bytes;
}

static bool is_gone(const struct luksvolume *v, uint64_t bytes)
{
	(void)v;
	(void)bytes;
	return false; /* NOT_FOUND tells */
}

/* How waiting ended. */
enum end {
	END_DONE,
	END_REFUSED, /* the node cannot do it */
	END_LATE,    /* the next call goes on */
	END_GONE,    /* there is no such node any more */
	END_ERROR,   /* the API does not answer, or the object is gone */
};

static enum end say_late(const struct csi_service *service, const struct luksvolume *v,
			 struct err *e)
{
	const char *node = v->record.node;

	if (cluster_node_is_gone(service, node)) {
		err_set(e, ERR_FAILED_PRECONDITION,
			"node '%s', which has the data of volume '%s', is no longer in the "
			"cluster: bring it back, or, if its disk is lost for ever, run `lcw volume "
			"forget %s --node-is-gone`",
			node, v->record.id, v->record.id);
		return END_GONE;
	}
	if (v->why.code != ERR_OK)
		err_set(e, ERR_DEADLINE_EXCEEDED, "node '%s' tries again: %s", node, v->why.msg);
	else
		err_set(e, ERR_DEADLINE_EXCEEDED,
			"node '%s' has not answered for volume '%s' yet: does the driver's pod run "
			"there? (kubectl get luksnode %s)",
			node, v->record.id, node);
	return END_LATE;
}

/* The volume as it was seen last is *ret_volume (release its record), but after END_ERROR. */
static enum end wait_for(const struct csi_service *service, const struct waiting *waiting,
			 struct luksvolume *ret_volume, struct err *e)
{
	int64_t end = clock_ms() + WAIT_MS, pause = FIRST_PAUSE_MS;

	if (end > waiting->deadline_ms - REPLY_MS)
		end = waiting->deadline_ms - REPLY_MS;
	for (;;) {
		if (store_kube_look(service->kube, waiting->id, ret_volume, e) < 0)
			return END_ERROR;
		if (waiting->is_done(ret_volume, waiting->bytes))
			return END_DONE;
		if (is_refused(ret_volume)) {
			*e = ret_volume->why;
			err_wrap(e, "node '%s'", ret_volume->record.node);
			return END_REFUSED;
		}
		if (clock_ms() + pause >= end)
			return say_late(service, ret_volume, e);
		volume_record_done(&ret_volume->record);
		*ret_volume = (struct luksvolume){ 0 };
		pause_ms(pause);
		pause = pause * 2 < LAST_PAUSE_MS ? pause * 2 : LAST_PAUSE_MS;
	}
}

static int find(const struct csi_service *service, const char *id, struct volume_record *ret_record,
		struct err *e)
{
	return store_get(service->store, id, ret_record, e);
}

/*
 * Nothing may stay behind of what cannot be made: another node may be chosen for it. A node that is
 * gone cannot say that there is nothing; but nobody has ever had data in such a volume.
 */
static void take_back(const struct csi_service *service, const struct luksvolume *volume,
		      bool is_gone)
{
	const char *id = volume->record.id;
	struct err e = { 0 };

	if (store_kube_take_back(service->kube, volume, &e) < 0 ||
	    (is_gone && store_kube_let_go(service->kube, id, &e) < 0))
		log_warn("cannot take back a volume that cannot be made", KV("volume", id),
			 KV("error", e.msg));
}

/* A node that is gone for ever must not keep a claim from another one. */
static int move_away(const struct csi_service *service, const struct volume_record *known,
		     struct err *e)
{
	bool is_gone = cluster_node_is_gone(service, known->node);
	struct luksvolume now = { 0 };

	if (known->state != VOLUME_CREATING && is_gone)
		return err_set(
			e, ERR_ALREADY_EXISTS,
			"volume '%s' exists on node '%s', where it may not lie now; the "
			"node is no longer in the cluster: if its disk is lost for ever, run "
			"`lcw volume forget %s --node-is-gone`",
			known->id, known->node, known->id);
	if (known->state != VOLUME_CREATING)
		return err_set(e, ERR_ALREADY_EXISTS,
			       "volume '%s' exists on node '%s', where it may not lie now",
			       known->id, known->node);
	if (store_kube_look(service->kube, known->id, &now, e) < 0)
		return -1;
	if (now.record.state == VOLUME_CREATING && luksvolume_is_on(&now, known->node))
		take_back(service, &now, is_gone);
	volume_record_done(&now.record);
	return err_set(e, ERR_ABORTED,
		       "volume '%s' was to lie on node '%s' and is taken away there first",
		       known->id, known->node);
}

static int check_known(const struct csi_service *service, const struct place_nodes *nodes,
		       const struct volume_record *known, struct err *e)
{
	if (volume_is_going(known))
		return err_set(e, ERR_ABORTED,
			       "an earlier volume '%s' is still being deleted on node '%s'",
			       known->id, known->node);
	return place_allows(nodes, known->node) ? 0 : move_away(service, known, e);
}

static int create(const struct csi_service *service, const struct place_nodes *nodes,
		  const struct volume_record *known, const struct volume_record *wanted,
		  int64_t deadline_ms, struct volume_record *ret_made, struct err *e)
{
	auto_record struct volume_record placed = { 0 };
	struct waiting waiting = { .id = wanted->id,
				   .is_done = is_made,
				   .deadline_ms = deadline_ms };
	struct luksvolume volume = { 0 };

	if (known) {
		if (check_known(service, nodes, known, e) < 0)
			return -1;
	} else {
		volume_record_copy(wanted, &placed);
		placed.state = VOLUME_CREATING;
		if (cluster_choose(service, nodes, &placed, e) < 0 ||
		    store_put(service->store, &placed, e) < 0)
			return -1;
	}
	enum end end = wait_for(service, &waiting, &volume, e);
	/* It was to be taken back, and that was cut off: nobody may come to depend on it. */
	if (end == END_DONE && volume.may_destroy) {
		take_back(service, &volume, false);
		err_set(e, ERR_ABORTED, "volume '%s' is taken away on node '%s' first", wanted->id,
			volume.record.node);
		end = END_LATE;
	}
	if (end == END_DONE)
		volume_record_copy(&volume.record, ret_made);
	if ((end == END_REFUSED || end == END_GONE) && volume.record.state == VOLUME_CREATING)
		take_back(service, &volume, end == END_GONE);
	volume_record_done(&volume.record);
	return end == END_DONE ? 0 : -1;
}

static int take_away(const struct csi_service *service, struct volume_record *record,
		     int64_t deadline_ms, struct err *e)
{
	struct waiting waiting = { .id = record->id,
				   .is_done = is_gone,
				   .deadline_ms = deadline_ms };
	struct luksvolume volume = { 0 };

	record->state = VOLUME_DELETING;
	if (store_put(service->store, record, e) < 0)
		return -1;
	enum end end = wait_for(service, &waiting, &volume, e);
	volume_record_done(&volume.record);
	return end == END_ERROR && e->code == ERR_NOT_FOUND ? 0 : -1;
}

/* What did not fit is not wanted any more, or it would be tried for ever. */
static void want_no_more(const struct csi_service *service, const struct volume_record *record)
{
	struct err e = { 0 };

	if (store_put(service->store, record, &e) < 0)
		log_warn("cannot take back the new size of a volume", KV("volume", record->id),
			 KV("error", e.msg));
}

static int grow(const struct csi_service *service, const struct volume_record *record,
		uint64_t bytes, int64_t deadline_ms, struct volume_record *ret_grown, struct err *e)
{
	auto_record struct volume_record wanted = { 0 };
	struct waiting waiting = {
		.id = record->id, .is_done = is_grown, .bytes = bytes, .deadline_ms = deadline_ms
	};
	struct luksvolume volume = { 0 };

	volume_record_copy(record, &wanted);
	wanted.capacity_bytes = bytes;
	if (store_put(service->store, &wanted, e) < 0)
		return -1;
	enum end end = wait_for(service, &waiting, &volume, e);
	if (end == END_DONE)
		volume_record_copy(&volume.record, ret_grown);
	if (end == END_REFUSED)
		want_no_more(service, &volume.record);
	volume_record_done(&volume.record);
	return end == END_DONE ? 0 : -1;
}

static void condition(const struct csi_service *service, const struct volume_record *record,
		      struct condition *ret_condition)
{
	struct luksvolume volume = { 0 };
	struct err e = { 0 };

	*ret_condition = (struct condition){ 0 };
	if (store_kube_look(service->kube, record->id, &volume, &e) < 0) {
		condition_say(ret_condition, true, "%s", e.msg);
		return;
	}
	bool is_silent = params_backend(&record->params) == BACKEND_LOCAL &&
			 cluster_node_is_silent(service, record->node, ret_condition);
	if (!is_silent && volume.why.code != ERR_OK)
		condition_say(ret_condition, true, "%s", volume.why.msg);
	else if (!is_silent && *volume.condition)
		condition_say(ret_condition, volume.is_abnormal, "%s", volume.condition);
	else if (!is_silent)
		condition_say(ret_condition, false, "no node has said anything of it yet");
	volume_record_done(&volume.record);
}

const struct place place_cluster = {
	.find = find,
	.create = create,
	.remove = take_away,
	.grow = grow,
	.room = cluster_room,
	.condition = condition,
};
