/* engine/target: what the paths of kubelet are for. */
#include "engine/target.h"

#include "base/macros.h"
#include "unit.h"

#define CSI "/plugins/kubernetes.io/csi"

static const struct kubelet_dir kubelet = {
	.given = "/var/lib/kubelet",
	.resolved = "/disk/kubelet",
	.fd = -1,
};

static void what_kubelet_binds_of_a_raw_device_is_its_own(void **state)
{
	(void)state;
	assert_true(
		target_is_of_kubelet(&kubelet, "/disk/kubelet" CSI "/volumeDevices/pv/dev/uid"));
	assert_true(
		target_is_of_kubelet(&kubelet, "/disk/kubelet" CSI "/volumeDevices/staging/pv"));
	assert_true(
		target_is_of_kubelet(&kubelet,
				     "/disk/kubelet/pods/uid/volumeDevices/kubernetes.io~csi/pv"));
	/* What it gives to the driver, and what only looks like it. */
	assert_false(target_is_of_kubelet(&kubelet,
					  "/disk/kubelet" CSI "/volumeDevices/publish/pv/uid"));
	assert_false(
		target_is_of_kubelet(&kubelet,
				     "/disk/kubelet/pods/uid/volumes/kubernetes.io~csi/pv/mount"));
	assert_false(target_is_of_kubelet(&kubelet, "/disk/kubelet"));
	assert_false(target_is_of_kubelet(&kubelet, "/disk/kubelet-2" CSI "/volumeDevices/pv"));
	assert_false(target_is_of_kubelet(&kubelet, "/other" CSI "/volumeDevices/pv"));
}

static void a_pod_has_its_folder(void **state)
{
	(void)state;
	assert_true(target_is_of_pod(&kubelet, "/disk/kubelet/pods/uid/x"));
	assert_false(target_is_of_pod(&kubelet, "/disk/kubelet/podsies/uid/x"));
	assert_false(target_is_of_pod(&kubelet, "/disk/kubelet" CSI "/pv"));
	assert_false(target_is_of_pod(&kubelet, "/pods/uid/x"));
}

/* Both spellings of kubelet's folder are understood. */
static void nothing_is_published_where_kubelet_stages(void **state)
{
	static const char *const staged[] = {
		"/var/lib/kubelet" CSI "/lukscryptwalker.csi.k8s.io/0a1b/globalmount",
		"/disk/kubelet" CSI "/pv/pvc-1/globalmount",
		"/var/lib/kubelet" CSI "/volumeDevices/staging/pvc-1",
	};
	static const char *const published[] = {
		"/var/lib/kubelet/pods/uid/volumes/kubernetes.io~csi/pvc-1/mount",
		"/var/lib/kubelet" CSI "/volumeDevices/publish/pvc-1/uid",
		"/var/lib/kubelet/globalmount",
	};
	struct target target;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(staged); i++) {
		struct err e = { 0 };

		assert_int_equal(target_parse_for_pod(&kubelet, staged[i], &target, &e), -1);
		assert_int_equal(e.code, ERR_INVALID_ARGUMENT);
		assert_int_equal(target_parse_for_pod(&kubelet, published[i], &target, &e), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_kubelet_binds_of_a_raw_device_is_its_own),
		cmocka_unit_test(a_pod_has_its_folder),
		cmocka_unit_test(nothing_is_published_where_kubelet_stages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
