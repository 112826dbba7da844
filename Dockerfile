# syntax=docker/dockerfile:1
# The broker as an image: no shell, no package manager, no root. docs/CONTAINER.md says how to run it.
# Built for the machine that builds, whatever the target: the only part that differs is koffi's ready-built file.

FROM --platform=$BUILDPLATFORM node:24-trixie-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit
COPY tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
COPY src ./src
RUN node scripts/build.mjs

FROM --platform=$BUILDPLATFORM node:24-trixie-slim AS dependencies
ARG TARGETARCH
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# npm says x64 where Docker says amd64.
RUN npm ci --no-audit --omit=dev --os=linux --libc=glibc --cpu="$(echo "$TARGETARCH" | sed s/amd64/x64/)"

FROM gcr.io/distroless/nodejs24-debian13:nonroot
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="memorystreamer" \
      org.opencontainers.image.description="In-memory message-streaming broker for one Linux machine" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
WORKDIR /app
COPY package.json LICENSE ./
COPY --from=dependencies /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
# Of the image's own user nonroot, by number: Kubernetes cannot tell from a name that it is not root.
USER 65532:65532
# Loopback would be the container's own. Who may reach the port is decided where it is published, and whoever
# starts it says by MEMORYSTREAMER_LISTEN_INSECURE=true that this was thought of.
ENV NODE_ENV=production \
    MEMORYSTREAMER_LISTEN_HOST=0.0.0.0
EXPOSE 7878/tcp
VOLUME /etc/memorystreamer
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
  CMD ["/nodejs/bin/node", "/app/dist/main.js", "ping", "--timeout", "2000"]
ENTRYPOINT ["/nodejs/bin/node", "/app/dist/main.js"]
CMD ["serve"]
