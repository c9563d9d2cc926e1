"""The image's SBOM (SPDX 2.3): each file with its hashes, and the package that it was taken from."""
import functools
import hashlib
import re
import subprocess
import urllib.parse

HOME = "https://github.com/Algonomia/lukscryptwalker-csi"


def merged(path):
    """Since the merge of /usr a package may list a file below /lib or below /usr/lib."""
    return re.sub("^/?(usr/)?", "", str(path))


class Package:
    """A package of Debian, as its file says it is."""

    def __init__(self, path):
        listed = subprocess.run(["dpkg-deb", "-c", path], check=True, capture_output=True, text=True).stdout
        self.files = {merged(line.split()[5].removeprefix(".")) for line in listed.splitlines() if len(line.split()) > 5}
        self.control = subprocess.run(["dpkg-deb", "-f", path], check=True, capture_output=True, text=True).stdout
        self.field = dict(re.findall(r"^([\w-]+): (.*)$", self.control, re.M))
        self.name = self.field["Package"]
        self.path = path

    @functools.cached_property
    def sha256(self):
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


def spdx_id(kind, name):
    return f"SPDXRef-{kind}-{re.sub('[^A-Za-z0-9.-]', '-', name)}"


def entry(identifier, name, version, **more):
    return {"SPDXID": identifier, "name": name, "versionInfo": version, "filesAnalyzed": False, "downloadLocation": "NOASSERTION",
            "licenseConcluded": "NOASSERTION", "copyrightText": "NOASSERTION", **more}


def purl(locator):
    return [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": locator}]


def debian(package):
    field = package.field
    version = urllib.parse.quote(field["Version"], safe="")
    return entry(spdx_id("deb", package.name), package.name, field["Version"], supplier="Organization: Debian",
                 sourceInfo=f"built by Debian from its source package {field.get('Source', package.name)}",
                 checksums=[{"algorithm": "SHA256", "checksumValue": package.sha256}], externalRefs=purl(
                     f"pkg:deb/debian/{package.name}@{version}?arch={field['Architecture']}&distro=debian-12"))


def files_of(out, excluded):
    for path in sorted(path for path in out.rglob("*") if path.is_file() and not path.is_symlink() and path != excluded):
        content, place = path.read_bytes(), str(path.relative_to(out))
        yield place, {"SPDXID": spdx_id("file", place), "fileName": f"./{place}", "licenseConcluded": "NOASSERTION",
                      "copyrightText": "NOASSERTION",
                      "checksums": [{"algorithm": "SHA1", "checksumValue": hashlib.sha1(content).hexdigest()},
                                    {"algorithm": "SHA256", "checksumValue": hashlib.sha256(content).hexdigest()}]}


def document(out, place, origin, version, rclone, arch, created):
    """Of all files below `out` but the SBOM itself, at `place`. origin: file -> Package, "rclone" or nothing, where it is
    of the driver's own source."""
    files = dict(files_of(out, out / place))
    sums = sorted(file["checksums"][0]["checksumValue"] for file in files.values())
    code = hashlib.sha1("".join(sums).encode()).hexdigest()
    packages = [
        entry("SPDXRef-image", "ghcr.io/algonomia/lukscryptwalker-csi", f"v{version}", primaryPackagePurpose="CONTAINER",
              filesAnalyzed=True, packageVerificationCode={"packageVerificationCodeValue": code,
                                                           "packageVerificationCodeExcludedFiles": [f"./{place}"]}),
        entry("SPDXRef-driver", "lukscryptwalker-csi", version, licenseConcluded="Apache-2.0",
              downloadLocation=f"git+{HOME}@v{version}"),
        entry("SPDXRef-rclone", "rclone", rclone, licenseConcluded="MIT",
              downloadLocation=f"git+https://github.com/rclone/rclone@{rclone}",
              sourceInfo=f"changed by scripts/tools.d/rclone-{rclone}.patch of the driver's source",
              externalRefs=purl(f"pkg:golang/github.com/rclone/rclone@{rclone}"))]
    debs = {package.name: package for package in origin.values() if isinstance(package, Package)}
    packages += [debian(debs[name]) for name in sorted(debs)]
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-image")]
    relations += [("SPDXRef-image", "CONTAINS", package["SPDXID"]) for package in packages[1:]]
    for name, file in files.items():
        relations.append(("SPDXRef-image", "CONTAINS", file["SPDXID"]))
        source = origin.get(name, "driver")
        source = spdx_id("deb", source.name) if isinstance(source, Package) else f"SPDXRef-{source}"
        relations.append((file["SPDXID"], "GENERATED_FROM", source))
    return {"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
            "name": f"lukscryptwalker-csi-{version}-{arch}", "documentNamespace": f"{HOME}/sbom/{version}/{arch}/{code}",
            "creationInfo": {"created": created, "creators": ["Tool: lukscryptwalker-csi-image.d-collect"]},
            "packages": packages, "files": list(files.values()),
            "relationships": [{"spdxElementId": left, "relationshipType": kind, "relatedSpdxElement": right}
                              for left, kind, right in relations]}
