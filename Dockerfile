# The gateway, built in one image and run in another: about 120 MB, without a compiler, a package manager's lists or root.
#   docker build -t featgres .
# Inside, the gateway listens beyond the container's loopback, or nobody would reach it, and says so only with a way to log in: users in a
# configuration, or, where the port is published on this machine's loopback alone, nobody asked who they are:
#   docker run -p 127.0.0.1:5433:5433 -v featgres:/var/lib/featgres -e FEATGRES_AUTH__ALLOW_INSECURE=true featgres
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock rust-toolchain.toml ./
COPY src src
COPY sql sql
COPY tests tests
COPY benches benches
# The registry's downloads and the compiled dependencies stay on the builder, so a changed source file costs minutes, not the whole.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin featgres \
    && install -D target/release/featgres /out/featgres

FROM debian:12-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/featgres featgres
COPY --from=build /out/featgres /usr/local/bin/featgres
USER 10001
# Without a configuration the embedded warehouse is served from ./featgres-data of this folder.
WORKDIR /var/lib/featgres
VOLUME /var/lib/featgres
ENV FEATGRES_LISTEN=0.0.0.0:5433
EXPOSE 5433 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/5433"]
ENTRYPOINT ["featgres"]
CMD ["serve"]
