"""What a test asks of a cluster and of a call."""
import json

import grpc


def look(cluster, kind, name):
    """The object, or None."""
    text = cluster.kubectl("get", kind, name, "-o", "json", "--ignore-not-found")
    return json.loads(text) if text else None


def objects(cluster, kind):
    return [one["metadata"]["name"] for one in cluster.get(kind)["items"]]


def healthy(cluster, volume):
    """The condition of a LUKSVolume: True, False, Unknown or None."""
    conditions = look(cluster, "luksvolume", volume)["status"].get("conditions")
    return conditions[0]["status"] if conditions else None


def fall_silent(cluster, node):
    """As if the node, which does not run, had reported last long ago."""
    cluster.kubectl("patch", "luksnode", node, "--subresource=status", "--type=merge", "-p",
                    '{"status": {"heartbeat": "2026-01-01T00:00:00Z"}}')


def refused(code, *words):
    class Check:
        def __enter__(self):
            return self

        def __exit__(self, kind, error, _):
            assert kind, "it was not refused"
            if not issubclass(kind, grpc.RpcError):
                return False
            assert error.code() == getattr(grpc.StatusCode, code), error.details()
            for word in words:
                assert word in error.details(), error.details()
            return True
    return Check()
