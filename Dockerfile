# One image for each package: docker build --build-arg PACKAGE=services/inventory .
#
# The last stage holds Node, the libraries it is linked to, and the package: no shell, no package manager, no npm.
# "make images" builds all images (tools/images/src/list.ts) and passes npm's own configuration as secrets.

# A Debian with Node 24 and npm.
ARG BASE_IMAGE=node:24-bookworm-slim

FROM ${BASE_IMAGE} AS base

# What the package needs of the repository, and every package.json, without which npm refuses the lock file.
FROM base AS selection
ARG PACKAGE
WORKDIR /repository
COPY . .
RUN ["node", "tools/images/src/select.ts", "/selection"]

# Depends on manifests only: a change in sources leaves this layer as it is.
FROM base AS dependencies
ARG PACKAGE
WORKDIR /app
COPY --from=selection /selection/manifests ./
# Root's packages (compilers, linters, Node itself as npm packages) are not the workspace's, so npm leaves them out.
RUN --mount=type=secret,id=npmrc,target=/run/secrets/npmrc \
    --mount=type=secret,id=npm-ca,target=/run/secrets/npm-ca \
    --mount=type=cache,target=/var/cache/npm \
    npm ci --workspace="${PACKAGE:?give --build-arg PACKAGE=operator, or another package of the repository}" \
      --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund --loglevel=error \
      --cache=/var/cache/npm --userconfig=/run/secrets/npmrc
COPY --from=selection /selection/prune.ts /run/prune.ts
RUN ["node", "/run/prune.ts", "/app/node_modules"]

# Node and what the linker loads for it. Debian's records of these packages stay, so that scanners know their versions.
FROM base AS runtime
COPY tools/images/runtime.sh /run/runtime.sh
RUN ["sh", "/run/runtime.sh", "/runtime"]

FROM scratch
# The same layer in all images.
COPY --from=runtime /runtime /
COPY --from=dependencies /app/node_modules /app/node_modules
COPY --from=selection /selection/sources /app
ENV PATH=/usr/local/bin NODE_ENV=production HOME=/tmp HOST=0.0.0.0 DATA_DIR=/data
WORKDIR /app
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["node"]
# What changes most comes last.
ARG PACKAGE
ARG TITLE=mercato
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG INPUTS=unknown
LABEL org.opencontainers.image.title="${TITLE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      dev.mercato.package="${PACKAGE}" \
      dev.mercato.inputs="${INPUTS}"
