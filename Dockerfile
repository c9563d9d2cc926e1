# The image of all three roles: `make docker-build` (docker, podman or buildah). What runs is collected
# file by file into an empty image: no shell, no package manager.
#   BASE         what compiles; nothing of it is in the result but the packages' own files.
#                A release passes it with a digest (.github/workflows/release.yml).
#   TARGETARCH   amd64 or arm64; the builders set it from --platform. Compiled across, not emulated.
ARG BASE=docker.io/library/debian:bookworm-slim

FROM --platform=${BUILDPLATFORM} ${BASE} AS build
ARG TARGETARCH
ARG SOURCE_DATE_EPOCH=0
WORKDIR /source
COPY scripts/lib.sh scripts/install-deps scripts/tools scripts/
COPY scripts/image.d/prepare scripts/image.d/target scripts/image.d/
COPY tests/requirements.txt tests/
RUN scripts/image.d/prepare
COPY . .
RUN scripts/image.d/compile && scripts/image.d/collect /out

FROM scratch
COPY --from=build /out/ /
ENV PATH=/usr/bin:/usr/sbin
ENTRYPOINT ["/usr/bin/lukscryptwalker-csi"]
LABEL org.opencontainers.image.title="lukscryptwalker-csi" \
      org.opencontainers.image.source="https://github.com/Algonomia/lukscryptwalker-csi" \
      org.opencontainers.image.licenses="Apache-2.0"
