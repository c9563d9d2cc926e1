"""The SBOM of the image: valid SPDX, and true."""
import hashlib
import json
import pathlib
import re

import pytest
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

VERSION = (pathlib.Path(__file__).resolve().parents[2] / "VERSION").read_text().strip()
PLACE = "usr/share/lukscryptwalker/sbom.spdx.json"


@pytest.fixture
def sbom(image):
    return json.loads(image.read(PLACE))


def packages(sbom):
    return {package["SPDXID"]: package for package in sbom["packages"]}


def related(sbom, kind):
    return {(one["spdxElementId"], one["relatedSpdxElement"]) for one in sbom["relationships"] if one["relationshipType"] == kind}


def test_it_is_valid_spdx(image):
    wrong = validate_full_spdx_document(parse_file(image.path(PLACE)))
    assert [one.validation_message for one in wrong] == []


def test_it_lists_every_file_with_its_hash_and_the_package_that_it_is_from(image, sbom):
    listed = {file["fileName"].removeprefix("./"): file for file in sbom["files"]}
    assert set(listed) == set(image.files) - {PLACE}
    known, sources = packages(sbom), dict(related(sbom, "GENERATED_FROM"))
    for place, file in listed.items():
        sums = {one["algorithm"]: one["checksumValue"] for one in file["checksums"]}
        assert sums["SHA256"] == hashlib.sha256(image.read(place)).hexdigest(), place
        source = known[sources[file["SPDXID"]]]
        wanted = {"rclone": ["usr/bin/rclone"], "lukscryptwalker-csi": ["usr/bin/lukscryptwalker-csi", "usr/bin/lcw",
                  "etc/passwd", "etc/group", "etc/nsswitch.conf"]}.get(source["name"])
        assert place in wanted if wanted else source["SPDXID"].startswith("SPDXRef-deb-"), f"{place} is from {source['name']}"


def test_files_are_of_the_packages_that_their_names_say(image, sbom):
    names = {file["SPDXID"]: file["fileName"] for file in sbom["files"]}
    source = {names[file].removeprefix("./"): packages(sbom)[package]["name"]
              for file, package in related(sbom, "GENERATED_FROM")}
    for place, package in {"usr/bin/mke2fs": "e2fsprogs", "usr/bin/mkfs.xfs": "xfsprogs", "usr/lib/libc.so.6": "libc6",
                           "usr/lib/libcryptsetup.so.12": "libcryptsetup12", "usr/bin/dmsetup": "dmsetup",
                           "usr/lib/libcurl.so.4": "libcurl4", "etc/ssl/certs/ca-certificates.crt": "ca-certificates"}.items():
        assert source[place] == package


def test_its_versions_are_those_of_dpkg_and_of_the_programs(image, sbom):
    by_name = {package["name"]: package["versionInfo"] for package in sbom["packages"]}
    debs = [package["name"] for package in sbom["packages"] if package["SPDXID"].startswith("SPDXRef-deb-")]
    assert len(debs) > 20
    for name in debs:
        control = image.read(f"var/lib/dpkg/status.d/{name}").decode()
        assert re.search(r"^Version: (.*)$", control, re.M).group(1) == by_name[name]
        assert re.search(r"^Architecture: (.*)$", control, re.M).group(1) in (image.arch, "all")
    assert by_name["lukscryptwalker-csi"] == VERSION
    for name, words in {"rclone": ["/usr/bin/rclone", "version"], "e2fsprogs": ["/usr/bin/mke2fs", "-V"],
                        "xfsprogs": ["/usr/bin/mkfs.xfs", "-V"], "lukscryptwalker-csi": ["/usr/bin/lcw", "--version"]}.items():
        upstream = re.sub("^.*:|-[^-]*$", "", by_name[name])
        assert re.search(rf"(?<![\d.]){re.escape(upstream)}(?![\d.])", image.run(*words)), name


def test_it_says_where_things_are_from_in_names_that_hold_everywhere(sbom):
    """Source repositories, Debian's and Go's own package names: no mirror or proxy that the builder happened to use."""
    for package in sbom["packages"]:
        where = package["downloadLocation"]
        assert where == "NOASSERTION" or re.match(r"git\+https://github\.com/\S+@v\d", where), where
        for link in package.get("externalRefs", []):
            assert re.match(r"pkg:(deb/debian|golang/github\.com/rclone)/", link["referenceLocator"])
        if package["SPDXID"].startswith("SPDXRef-deb-"):
            assert re.fullmatch("[0-9a-f]{64}", package["checksums"][0]["checksumValue"])
