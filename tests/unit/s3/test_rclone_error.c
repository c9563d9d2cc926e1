/* s3/rclone_error: what rclone 1.76.0 printed against real servers, and what a person reads. */
#include "s3/rclone_error.h"

#include <string.h>

#include "unit.h"

#define HEAD "2026/11/23 09:03:49 ERROR : error listing: operation error S3: ListObjects, "
#define LAST " 2026/11/23 09:03:49 NOTICE: Failed to lsf with 2 errors: last error was: "

static const struct {
	const char *log;
	enum s3_fault fault;
	enum err_code code;
	const char *says;
} cases[] = {
	{ HEAD "https response error StatusCode: 403, RequestID: G, HostID: f=, api error "
	       "SignatureDoesNotMatch: The request signature we calculated does not match." LAST
	       "error in ListJSON",
	  S3_FAULT_CREDENTIALS, ERR_FAILED_PRECONDITION, "does not accept the keys" },
	{ HEAD "https response error StatusCode: 400, api error AuthorizationHeaderMalformed: the "
	       "region \"eu-1\" is wrong; expecting \"us-east-1\"" LAST "x",
	  S3_FAULT_REGION, ERR_FAILED_PRECONDITION, "expecting \"us-east-1\"" },
	{ HEAD "exceeded maximum number of attempts, 2, https response error StatusCode: 0, "
	       "RequestID: , HostID: , request send failed, Get \"http://127.0.0.1:7172/b\": dial "
	       "tcp 127.0.0.1:7172: connect: connection refused" LAST "x",
	  S3_FAULT_NETWORK, ERR_UNAVAILABLE, "connection refused" },
	{ HEAD "Get \"http://127.0.0.1:7172/b\": dial tcp 127.0.0.1:7172: connect: broken pipe" LAST
	       "x",
	  S3_FAULT_NETWORK, ERR_UNAVAILABLE, "cannot be reached" },
	{ HEAD "Get \"http://no.such.host.invalid/\": dial tcp: lookup no.such.host.invalid on "
	       "10.0.0.53:53: no such host" LAST "x",
	  S3_FAULT_DNS, ERR_UNAVAILABLE, "not known to DNS" },
	{ HEAD "Get \"https://127.0.0.1:7171/\": http: server gave HTTP response to HTTPS client",
	  S3_FAULT_TLS, ERR_FAILED_PRECONDITION, "TLS" },
	{ HEAD "tls: failed to verify certificate: x509: certificate signed by unknown authority",
	  S3_FAULT_TLS, ERR_FAILED_PRECONDITION, "unknown authority" },
	{ HEAD "https response error StatusCode: 403, api error RequestTimeTooSkewed: The "
	       "difference between the request time and the server's time is too large.",
	  S3_FAULT_CLOCK, ERR_FAILED_PRECONDITION, "clock" },
	{ HEAD "https response error StatusCode: 403, api error AccessDenied: Access Denied.",
	  S3_FAULT_ACCESS, ERR_FAILED_PRECONDITION, "not allowed to use bucket 'bucket'" },
	{ HEAD "https response error StatusCode: 404, api error NoSuchBucket: The specified "
	       "bucket does not exist",
	  S3_FAULT_BUCKET, ERR_FAILED_PRECONDITION, "does not exist" },
	{ HEAD "https response error StatusCode: 503, api error SlowDown: reduce your rate",
	  S3_FAULT_SERVER, ERR_UNAVAILABLE, "reports a failure" },
	{ "operation error S3: PutObject, https response error StatusCode: 412, api error "
	  "PreconditionFailed: At least one",
	  S3_FAULT_EXISTS, ERR_ALREADY_EXISTS, "already" },
	{ "something else", S3_FAULT_UNKNOWN, ERR_UNAVAILABLE, "something else" },
	{ "", S3_FAULT_UNKNOWN, ERR_UNAVAILABLE, "no reason" },
};

static void each_fault_has_its_own_sentence(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err e = { 0 };

		assert_int_equal(rclone_fault(cases[i].log), cases[i].fault);
		assert_int_equal(rclone_refused(cases[i].log, "s3.example.com", "bucket", &e), -1);
		assert_int_equal(e.code, cases[i].code);
		if (!strstr(e.msg, cases[i].says))
			fail_msg("'%s' does not say '%s'", e.msg, cases[i].says);
	}
}

static void one_error_is_told_once_and_without_log_marks(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(rclone_refused(cases[0].log, NULL, "bucket", &e), -1);
	assert_null(strstr(e.msg, "NOTICE"));
	assert_null(strstr(e.msg, "2026"));
	assert_null(strstr(e.msg, "RequestID"));
	assert_non_null(strstr(e.msg, "'AWS'"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fault_has_its_own_sentence),
		cmocka_unit_test(one_error_is_told_once_and_without_log_marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
