/*
 * What the volumes of this node look like, as metrics. Looking may hang with the disk, so a worker
 * does it; a scrape gets what the last one found, and starts the next one when that is old.
 */
#ifndef OPS_SURVEY_H
#define OPS_SURVEY_H

#include "engine/local.h"
#include "rpc/server.h"
#include "store/store.h"

struct survey;

/* All borrowed; the server must be freed before the survey. Never NULL. */
struct survey *survey_new(struct rpc_server *server, const struct node *node, struct store *store);
void survey_free(struct survey *survey);

/* In the text format of Prometheus, "" before the first one has ended. Owned by the caller. */
char *survey_text(struct survey *survey);

/*
 * Looks, and writes what was found to `out`. Blocks. What cannot be read is left out of the sums
 * and counted as lukscryptwalker_unreadable_records. -1 with `e` when the store cannot be listed.
 */
int survey_look(const struct node *node, struct store *store, FILE *out, struct err *e) MUST_CHECK;

#endif
