/* rclone's log lines into sentences. */
#include "s3/rclone_error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first line that fits counts: words of the server come before those of the client. */
static const struct {
	const char *words;
	enum s3_fault fault;
} signs[] = {
	{ "RequestTimeTooSkewed", S3_FAULT_CLOCK },
	{ "PreconditionFailed", S3_FAULT_EXISTS },
	{ "InvalidAccessKeyId", S3_FAULT_CREDENTIALS },
	{ "SignatureDoesNotMatch", S3_FAULT_CREDENTIALS },
	{ "InvalidToken", S3_FAULT_CREDENTIALS },
	{ "ExpiredToken", S3_FAULT_CREDENTIALS },
	{ "InvalidClientTokenId", S3_FAULT_CREDENTIALS },
	{ "NoSuchBucket", S3_FAULT_BUCKET },
	{ "AuthorizationHeaderMalformed", S3_FAULT_REGION },
	{ "PermanentRedirect", S3_FAULT_REGION },
	{ "IllegalLocationConstraint", S3_FAULT_REGION },
	{ "AccessDenied", S3_FAULT_ACCESS },
	{ "StatusCode: 301", S3_FAULT_REGION },
	{ "StatusCode: 403", S3_FAULT_ACCESS },
	{ "StatusCode: 401", S3_FAULT_CREDENTIALS },
	{ "StatusCode: 5", S3_FAULT_SERVER },
	{ "StatusCode: 429", S3_FAULT_SERVER },
	{ "SlowDown", S3_FAULT_SERVER },
	{ "no such host", S3_FAULT_DNS },
	{ "server misbehaving", S3_FAULT_DNS },
	{ "Temporary failure in name resolution", S3_FAULT_DNS },
	{ "x509:", S3_FAULT_TLS },
	{ "tls:", S3_FAULT_TLS },
	{ "HTTP response to HTTPS client", S3_FAULT_TLS },
	{ "connection refused", S3_FAULT_NETWORK },
	{ "connection reset", S3_FAULT_NETWORK },
	{ "no route to host", S3_FAULT_NETWORK },
	{ "network is unreachable", S3_FAULT_NETWORK },
	{ "i/o timeout", S3_FAULT_NETWORK },
	{ "deadline exceeded", S3_FAULT_NETWORK },
	{ "Client.Timeout", S3_FAULT_NETWORK },
	{ "broken pipe", S3_FAULT_NETWORK },
	{ "dial tcp", S3_FAULT_NETWORK }, /* whatever else the kernel said to a connect */
	{ "EOF", S3_FAULT_NETWORK },
};

enum s3_fault rclone_fault(const char *log)
{
	for (size_t i = 0; i < ARRAY_LEN(signs); i++)
		if (strstr(log, signs[i].words))
			return signs[i].fault;
	return S3_FAULT_UNKNOWN;
}

/* What the server or the network said: behind "api error ", else the end of the log. */
static void cause_of(const char *log, char ret_cause[300])
{
	static const char *const marks[] = { "api error ", "dial tcp", "x509:", "tls:", "http: " };
	const char *found = NULL;

	for (size_t i = 0; i < ARRAY_LEN(marks) && !found; i++)
		found = strstr(log, marks[i]);
	if (found && strncmp(found, marks[0], strlen(marks[0])) == 0)
		found += strlen(marks[0]);
	if (!found)
		found = strlen(log) > 250 ? log + strlen(log) - 250 : log;
	snprintf(ret_cause, 300, "%.250s", found);
	/* The same error is logged twice, the second time as rclone's last word. */
	for (const char *const *cut = (const char *const[]){ " ERROR :", " NOTICE:", NULL }; *cut;
	     cut++) {
		char *end = strstr(ret_cause, *cut);

		/* In front of it stands the time: "2026/11/23 09:03:48". */
		if (end && end - ret_cause > 20)
			end[-20] = '\0';
	}
}

static int refuse(enum s3_fault fault, const char *where, const char *bucket, const char *cause,
		  struct err *e)
{
	switch (fault) {
	case S3_FAULT_DNS:
		return err_set(e, ERR_UNAVAILABLE,
			       "the S3 server's name '%s' is not known to DNS on this node: %s",
			       where, cause);
	case S3_FAULT_TLS:
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "no trusted TLS connection to the S3 server '%s' (is its "
			       "certificate's authority known on this node, and s3-endpoint's "
			       "scheme right?): %s",
			       where, cause);
	case S3_FAULT_NETWORK:
		return err_set(e, ERR_UNAVAILABLE, "the S3 server '%s' cannot be reached: %s",
			       where, cause);
	case S3_FAULT_CREDENTIALS:
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "the S3 server '%s' does not accept the keys of the Secret "
			       "(s3-access-key-id, s3-secret-access-key): %s",
			       where, cause);
	case S3_FAULT_ACCESS:
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "the keys of the Secret are not allowed to use bucket '%s' on '%s': "
			       "%s",
			       bucket, where, cause);
	case S3_FAULT_BUCKET:
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "bucket '%s' does not exist on '%s': create it, or mend "
			       "s3-bucket",
			       bucket, where);
	case S3_FAULT_REGION:
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "s3-region or s3-endpoint is wrong for bucket '%s' on '%s': %s",
			       bucket, where, cause);
	case S3_FAULT_CLOCK:
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "the clock of this node differs too much from that of the S3 server "
			       "'%s': set it (NTP): %s",
			       where, cause);
	case S3_FAULT_EXISTS:
		return err_set(e, ERR_ALREADY_EXISTS, "the object is in bucket '%s' already",
			       bucket);
	case S3_FAULT_SERVER:
		return err_set(e, ERR_UNAVAILABLE, "the S3 server '%s' reports a failure: %s",
			       where, cause);
	default:
		return err_set(e, ERR_UNAVAILABLE, "bucket '%s' on '%s' cannot be used: %s", bucket,
			       where, *cause ? cause : "rclone gave no reason");
	}
}

int rclone_refused(const char *log, const char *where, const char *bucket, struct err *e)
{
	enum s3_fault fault = rclone_fault(log);
	char cause[300];

	cause_of(log, cause);
	refuse(fault, where ? where : "AWS", bucket, cause, e);
	if (fault == S3_FAULT_CREDENTIALS || fault == S3_FAULT_ACCESS)
		e->sys = EACCES;
	return -1;
}
