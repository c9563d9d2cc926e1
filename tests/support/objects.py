"""What a test asks of a cluster and of a call."""
import json

import grpc


def look(cluster, kind, name):
    """The object, or None."""
    text = cluster.kubectl("get", kind, name, "-o", "json", "--ignore-not-found")
    return json.loads(text) if text else None


def objects(cluster, kind):
    return [one["metadata"]["name"] for one in cluster.get(kind)["items"]]


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
