"""The watch, told what a healthy API server cannot be made to say."""

import json
import threading

import pytest

AGAIN = "following objects of Kubernetes again"


def page(version, *names, following=""):
    return 200, {}, json.dumps({"kind": "List", "metadata": {"resourceVersion": str(version), "continue": following},
                                "items": [{"metadata": {"name": n, "resourceVersion": str(version)}} for n in names]})


class Held(str):
    """A body that the server sends when it may."""

    def __new__(cls, event, text):
        one = super().__new__(cls, text)
        one.event = event
        return one

    def encode(self, *words):
        self.event.wait(30)
        return super().encode(*words)


def events(*pairs):
    return 200, {}, "".join(json.dumps({"type": kind, "object": thing}) + "\n" for kind, thing in pairs)


def thing(name, version):
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


def gone(code=410):
    return {"kind": "Status", "code": code, "reason": "Expired", "message": "too old resource version"}


@pytest.fixture
def told(cluster, fake, watch):
    def start(*answers):
        fake.answers = [*answers, *[page(99)] * 50]
        path = cluster.write_kubeconfig("fakewatch.kubeconfig", {"token": "t"}, server=fake.address)
        return watch(path, "/apis/g/v1/things")
    return start


def asked(fake, at):
    return fake.seen[at][1].split("?")[1]


def test_pages(fake, told):
    told(page(5, "a", following="to/ken"), page(5, "b"), events()).sees(
        "begin", "present a 5", "present b 5", "listed")
    assert asked(fake, 0) == "limit=100" and asked(fake, 1) == "limit=100&continue=to%2Fken"


def test_a_bookmark_is_where_the_next_watch_begins(fake, told):
    one = told(page(5), events(("ADDED", thing("a", 7)), ("BOOKMARK", thing(None, 77))))
    one.sees("listed", "present a 7")
    one.wait(lambda lines: len(fake.seen) > 2)
    assert "resourceVersion=5" in asked(fake, 1) and "allowWatchBookmarks=true" in asked(fake, 1)
    assert "timeoutSeconds=300" in asked(fake, 1) and "resourceVersion=77" in asked(fake, 2)


@pytest.mark.parametrize("answer", [events(("ERROR", gone())), (410, {}, json.dumps(gone()))])
def test_a_version_that_is_too_old_lists_again(fake, told, answer):
    one = told(page(5, "a"), answer, page(9, "b"), events())
    one.sees("begin", "present a 5", "listed", "begin", "present b 9", "listed")
    assert "limit=100" == asked(fake, 2) and "trying again" not in one.log()


def test_a_list_that_expires_between_pages_begins_anew(fake, told):
    one = told(page(5, "a", following="x"), (410, {}, json.dumps(gone())), page(6, "a", "b"), events())
    one.sees("begin", "present a 5", "begin", "present a 6", "present b 6", "listed")
    assert asked(fake, 2) == "limit=100"


@pytest.mark.parametrize("answer, words", [
    ((500, {}, "oops"), "500"), ((403, {}, json.dumps({"message": "no rights", "code": 403})), "no rights"),
    ((429, {"Retry-After": "1"}, "{}"), "429"), ((200, {}, "{"), "broken"), ((None, {}, ""), "reach")])
def test_a_list_that_fails_is_tried_again(fake, told, answer, words):
    one = told(answer, page(5, "a"), events())
    one.sees("begin", "begin", "present a 5", "listed")
    assert words in one.log() and one.log().count("trying again") == 1


@pytest.mark.parametrize("text", ['{"type":"ADDED"', "garbage\n", '{"type":"ADDED"}\n', "[]\n", "\n",
                                  '{"type":"ERROR","object":{"code":500,"message":"etcd is gone"}}\n'])
def test_a_watch_that_is_broken_goes_on(fake, told, text):
    one = told(page(5, "a"), (200, {}, text), events(("ADDED", thing("b", 6))))
    one.sees("present a 5", "listed", "present b 6")


def test_a_version_that_means_nothing_lists_again(fake, told):
    no = (400, {}, json.dumps({"message": "Invalid resource version", "code": 400}))
    one = told(page(5, "a"), no, page(9, "b"), events(("ADDED", thing("c", 10))))
    one.sees("listed", "begin", "present b 9", "listed", "present c 10")
    assert "Invalid resource version" in one.log() and asked(fake, 2) == "limit=100"


def test_an_error_without_end_is_an_error(fake, told):
    one = told((500, {}, "x" * 300000), page(5, "a"), events())
    one.sees("begin", "begin", "present a 5", "listed")
    assert "HTTP status 500" in one.log()


@pytest.mark.parametrize("nothing", ["{}", '{"metadata": {"resourceVersion": ""}, "items": []}'])
def test_a_list_without_version(fake, told, nothing):
    one = told((200, {}, nothing), page(5, "a"), events())
    one.sees("begin", "begin", "present a 5", "listed")
    assert "no resourceVersion" in one.log()


def test_a_watch_that_is_refused_does_not_hurry(fake, told):
    """The list is granted, the watch is not: that is one trouble, not one for each try."""
    no = (403, {}, json.dumps({"message": "no watch", "code": 403}))
    one = told(page(5, "a"), *[no] * 5, *[(404, {}, "{}"), page(6)] * 3, events(("ADDED", thing("b", 7))))
    one.sees("listed", "present b 7")
    assert one.log().count("trying again") == 1 and "no watch" in one.log()
    assert AGAIN not in one.log().split("HTTP status 404")[0]


def test_the_token_of_each_request_is_that_of_its_file(cluster, fake, watch, folder):
    token, new = folder / "token", folder / "token.new"
    token.write_text("first")
    fake.answers = [page(5)]
    hold = threading.Event()
    fake.answers.append((200, {}, Held(hold, events(("ADDED", thing("a", 6)))[2])))
    fake.answers += [events()] * 50
    path = cluster.write_kubeconfig("rotated.kubeconfig", {"tokenFile": str(token)}, server=fake.address)
    one = watch(path, "/apis/g/v1/things")
    one.wait(lambda lines: len(fake.seen) == 2)
    new.write_text("second")
    new.rename(token)
    hold.set()
    one.sees("present a 6")
    one.wait(lambda lines: len(fake.seen) > 2)
    assert [seen[2]["Authorization"] for seen in fake.seen[:3]] == ["Bearer first"] * 2 + ["Bearer second"]


def test_a_line_without_end(fake, told):
    one = told(page(5, "a"), (200, {}, '{"a":"' + "x" * (9 << 20)), events(("ADDED", thing("b", 6))))
    one.sees("listed", "present b 6")
    assert "8 MiB" in one.log()
