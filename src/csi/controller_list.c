/* ListVolumes: a page of records, in the order of their ids. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "csi/reply.h"
#include "csi/service.h"
#include "rpc/call.h"

/* "after:ID": the page goes on behind this id, whether or not that volume still exists. */
static const char token_prefix[] = "after:";

struct page_entry {
	struct volume_record record;
	struct volume_message volume;
	struct condition_message condition;
	Csi__V1__ListVolumesResponse__VolumeStatus status;
	Csi__V1__ListVolumesResponse__Entry entry;
};

struct page {
	char **ids;
	size_t id_count;
	struct page_entry *entries;
	Csi__V1__ListVolumesResponse__Entry **list;
	size_t count;
};

static void page_done(struct page *page)
{
	for (size_t i = 0; i < page->count; i++)
		volume_record_done(&page->entries[i].record);
	free(page->entries);
	free(page->list);
	store_ids_free(page->ids, page->id_count);
}

static int parse_token(const char *token, const char **ret_after, struct err *e)
{
	size_t length = strlen(token_prefix);
	struct err ignored;

	*ret_after = "";
	if (!*token)
		return 0;
	*ret_after = token + length;
	if (strncmp(token, token_prefix, length) != 0 || volume_id_check(*ret_after, &ignored) < 0)
		return err_set(e, ERR_ABORTED,
			       "starting_token was not made by this driver: begin the list anew");
	return 0;
}

static void add_entry(struct page *page, const struct csi_service *service, const char *id)
{
	struct page_entry *at = &page->entries[page->count];
	struct err e;

	if (store_get(service->store, id, &at->record, &e) < 0) {
		/* Deleted since it was listed, or damaged: neither may hide the other volumes. */
		if (e.code != ERR_NOT_FOUND)
			log_warn("a record cannot be listed", KV("volume", id), KV("error", e.msg));
		return;
	}
	volume_message_fill(&at->volume, &at->record);
	condition_message_fill(&at->condition, service, &at->record);
	csi__v1__list_volumes_response__volume_status__init(&at->status);
	at->status.volume_condition = &at->condition.message;
	csi__v1__list_volumes_response__entry__init(&at->entry);
	at->entry.volume = &at->volume.volume;
	at->entry.status = &at->status;
	page->list[page->count++] = &at->entry;
}

int controller_list_volumes(struct rpc_call *call, struct err *e)
{
	const Csi__V1__ListVolumesRequest *request =
		(const Csi__V1__ListVolumesRequest *)call->request;
	struct csi_service *service = call->service;
	__attribute__((cleanup(page_done))) struct page page = { 0 };
	Csi__V1__ListVolumesResponse reply = CSI__V1__LIST_VOLUMES_RESPONSE__INIT;
	char token[VOLUME_NAME_SIZE] = "";
	const char *after;
	bool more;

	if (request->max_entries < 0)
		return err_set(e, ERR_INVALID_ARGUMENT, "max_entries is negative");
	if (parse_token(request->starting_token, &after, e) < 0 ||
	    store_list(service->store, after, (size_t)request->max_entries, &page.ids,
		       &page.id_count, &more, e) < 0)
		return -1;
	page.entries = xcalloc(page.id_count, sizeof(*page.entries));
	page.list = xcalloc(page.id_count, sizeof(*page.list));
	for (size_t i = 0; i < page.id_count; i++)
		add_entry(&page, service, page.ids[i]);
	if (more)
		snprintf(token, sizeof(token), "%s%s", token_prefix, page.ids[page.id_count - 1]);
	reply.n_entries = page.count;
	reply.entries = page.list;
	reply.next_token = token;
	return rpc_call_reply(call, &reply.base, e);
}
