"""Built twice, the second time of a copy of the tree at another place and time: the same image to the last bit."""
import hashlib


def contents(image):
    return {place: (member.mode, member.uid, member.gid, member.mtime, member.linkname,
                    hashlib.sha256(image.read(place)).hexdigest() if member.isfile() else "")
            for place, member in image.members().items()}


def test_two_builds_give_the_same_digest(image, again):
    first, second = contents(image), contents(again)
    differ = sorted(place for place in first.keys() | second.keys() if first.get(place) != second.get(place))
    assert differ == []
    assert image.config == again.config
    assert image.manifest["Config"] == again.manifest["Config"]
    assert image.manifest["Layers"] == again.manifest["Layers"]


def test_every_time_stamp_is_the_commits(image):
    assert len({member.mtime for member in image.members().values()}) == 1
    assert all(step["created"] == image.config["created"] for step in image.config["history"])
