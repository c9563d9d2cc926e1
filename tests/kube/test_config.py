"""What a kubeconfig may say, and how what it may not say is explained."""

import json
import subprocess

import pytest
from conftest import built

GOOD = {"current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": "t"}}]}


def said(folder, text):
    path = folder / "kubeconfig"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    done = subprocess.run([built("tests/kube/kubetool"), path], input="", capture_output=True, text=True, timeout=30)
    assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr
    return done.stdout.strip(), done.returncode


def changed(**parts):
    return json.dumps({**GOOD, **parts})


def with_user(**user):
    return changed(users=[{"name": "u", "user": user}])


def with_cluster(**cluster):
    return changed(clusters=[{"name": "c", "cluster": {"server": "https://h", **cluster}}])


def test_a_good_one(folder):
    assert said(folder, json.dumps(GOOD)) == ("ready", 0)
    assert said(folder, "# comment\n---\ncurrent-context: 'x'\ncontexts: [{name: x, context: {cluster: c}}]\n"
                "clusters:\n- cluster: {server: \"https://[::1]:6443/prefix/\", extra: null}\n  name: c\n") == ("ready", 0)
    assert said(folder, with_cluster(server="http://127.0.0.1:8001"))[0] == "ready"


@pytest.mark.parametrize("text, words", [
    ("", "does not hold a mapping"), ("a", "does not hold a mapping"), ("- a", "does not hold a mapping"),
    ("a: [", "line"), ("a: 1\na: 2", "twice"), ("a: &b 1\nc: *b", "alias"), ("? [a]\n: b", "key"),
    ("a: " + "[" * 100 + "]" * 100, "deeply"), (b"a: \xff", "line"), ("{}", "current-context"),
    (changed(contexts=[]), "context 'x'"), (changed(clusters=[]), "cluster 'c'"), (changed(users=[]), "user 'u'"),
    (changed(users="text"), "user 'u'"), (with_cluster(server="http://10.0.0.1"), "https://"),
    (with_cluster(server=""), "https://"), (with_cluster(**{"insecure-skip-tls-verify": True}), "insecure"),
    (with_cluster(**{"tls-server-name": "x"}), "tls-server-name"),
    (with_cluster(**{"certificate-authority-data": "%%"}), "certificate-authority-data"),
    (with_cluster(**{"certificate-authority-data": "AAAA"}), "certificate-authority-data"),
    (with_user(exec={"command": "aws"}), "exec"), (with_user(username="a"), "username"),
    (with_user(token="a\nb"), "white space"), (with_user(**{"client-key-data": "!"}), "client-key-data")])
def test_a_bad_one_is_explained(folder, text, words):
    sentence, status = said(folder, text)
    assert status == 1 and words in sentence and "kubeconfig'" in sentence


def test_no_file_and_no_pod(folder):
    tool = built("tests/kube/kubetool")
    done = subprocess.run([tool, folder / "none"], capture_output=True, text=True, timeout=30)
    assert "none" in done.stdout and "No such file" in done.stdout
    done = subprocess.run([tool, ""], capture_output=True, text=True, timeout=30, env={})
    assert "KUBERNETES_SERVICE_HOST" in done.stdout and "$KUBECONFIG" in done.stdout
    done = subprocess.run([tool, folder, "1.2.3.4", "443"], capture_output=True, text=True, timeout=30)
    assert "service account" in done.stdout and done.returncode == 1
