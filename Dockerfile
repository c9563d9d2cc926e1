# The image of all three roles: `make docker-build` (docker, podman or buildah). What runs is collected
# file by file into an empty image: no shell, no package manager.
#   BASE         what compiles, by digest; nothing of it is in the result, whose files are from Debian's packages.
#                This is the index of bookworm-20260824-slim; docs/image.md says how to take a newer one.
#   TARGETARCH   amd64 or arm64; the builders set it from --platform. Compiled across, not emulated.
ARG BASE=docker.io/library/debian:bookworm-slim@sha256:88200866dfff7ea7f5cbcb6ec7c8a701889efe6fe859fe64d6990e4b07ea4171

FROM --platform=${BUILDPLATFORM} ${BASE} AS build
ARG TARGETARCH
WORKDIR /source
COPY scripts/lib.sh scripts/install-deps scripts/tools scripts/
COPY scripts/image.d/prepare scripts/image.d/target scripts/image.d/
# The secret: a machine's own certificate authorities, where it needs them to reach anything.
RUN --mount=type=secret,id=authorities scripts/image.d/prepare
COPY . .
# Here and not above, or each commit would fetch all packages again.
ARG SOURCE_DATE_EPOCH=0
RUN scripts/image.d/compile && scripts/image.d/collect /out

FROM scratch
COPY --from=build /out/ /
ENV PATH=/usr/bin:/usr/sbin
ENTRYPOINT ["/usr/bin/lukscryptwalker-csi"]
LABEL org.opencontainers.image.title="lukscryptwalker-csi" \
      org.opencontainers.image.source="https://github.com/Algonomia/lukscryptwalker-csi" \
      org.opencontainers.image.licenses="Apache-2.0"
