//! A database: Debian's redis, as its usual image has it.

use super::Appliance;

/// The server under the name of the program that checks its files: its package starts nothing on this machine.
const SERVER: &str = "/usr/bin/redis-check-rdb";
const DOCKERFILE: &str = "
FROM busybox:1
RUN ln -s /usr/bin/redis-check-rdb /bin/redis-server && ln -s /usr/bin/redis-cli /bin/redis-cli
VOLUME /data
WORKDIR /data
EXPOSE 6379
CMD [\"redis-server\", \"--protected-mode\", \"no\"]
";

/// The images `redis:7` and `busybox:1`.
pub fn load_redis(at: &Appliance) {
    at.load_busybox_with(&[SERVER, "/usr/bin/redis-cli"]);
    let directory = at.build_context(DOCKERFILE);
    at.docker(&["build", "-t", "redis:7", &directory]).ok("build redis");
    at.load_busybox();
}
