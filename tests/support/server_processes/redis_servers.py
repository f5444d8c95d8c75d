"""Redis servers for the tests: alone, behind a sentinel, in a cluster."""

from __future__ import annotations

import functools
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from servers import Server, free_port, program, wait_until

__all__ = ["Cluster", "RedisServer", "Watched", "pass_time"]


class RedisServer(Server):
    """A ``redis-server`` that keeps nothing on disk.

    :param folder: where it runs.
    :param options: more of its options, as on its command line.
    """

    def __init__(self, folder: Path, *options: str | Path, password: str | None = None) -> None:
        self.port = free_port()
        self.password = password
        command: list[str | Path] = [program("redis-server"), "--port", str(self.port)]
        command += ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        # A replica is served at once, not after the seconds in which others might join it.
        command += ["--repl-diskless-sync-delay", "0"]
        if password:
            command += ["--requirepass", password]
        super().__init__([*command, *options], folder)

    @functools.cached_property
    def admin(self) -> Any:
        """A redis-py client, whose connections are closed with the server.

        It tries nothing again: that takes seconds while a server is started, or is gone.
        """
        return redis.Redis(
            port=self.port,
            password=self.password,
            socket_timeout=30,
            retry=Retry(NoBackoff(), 0),
        )

    def is_ready(self) -> bool:
        try:
            return bool(self.admin.ping())
        except redis.RedisError:
            return False

    def kill(self) -> None:
        if self.process is not None:
            # A paused one does not notice that it is being killed before it goes on.
            self.resume()
        super().kill()
        self.admin.close()


def pass_time(client: Any, seconds: float) -> None:
    """Let time pass for the entries of a server, by taking it off their lifetimes."""
    client.eval(
        """
        for _, key in ipairs(redis.call('KEYS', '*')) do
            local left = redis.call('PTTL', key)
            if left > tonumber(ARGV[1]) then
                redis.call('PEXPIRE', key, left - ARGV[1])
            elseif left >= 0 then
                redis.call('DEL', key)
            end
        end
        """,
        0,
        int(seconds * 1000),
    )


class Watched:
    """A master and a replica, watched by one sentinel.

    :param folder: where they run.
    :param password: of master and replica; the sentinel wants "sentinel " and that.
    """

    name = "the-master"

    def __init__(self, folder: Path, password: str | None = None) -> None:
        auth = ("--masterauth", password) if password else ()
        self.master = RedisServer(folder / "master", *auth, password=password)
        self.replica = RedisServer(
            folder / "replica",
            *("--replicaof", f"127.0.0.1 {self.master.port}"),
            *auth,
            password=password,
        )
        self.sentinel = _Sentinel(folder / "sentinel", self.name, self.master)

    def start(self) -> None:
        self.master.start()
        self.replica.start()
        wait_until(
            lambda: self.replica.admin.info("replication")["master_link_status"] == "up",
            "the replica to follow its master",
        )
        self.sentinel.start()
        wait_until(self._is_known, "the sentinel to know the replica")

    def _is_known(self) -> bool:
        found = self.sentinel.admin.execute_command("SENTINEL REPLICAS", self.name)
        return bool(found) and "ok" in str(found)

    def replicate(self) -> None:
        """Wait until the replica has what the master has."""
        # `WAIT` asks about what its own connection has sent: something that leaves no key.
        self.master.admin.publish("replicated", "")
        assert self.master.admin.wait(1, 30_000) == 1

    def fail_over(self) -> None:
        """Kill the master, and wait until the replica is one."""
        admin = self.sentinel.admin
        admin.execute_command("SENTINEL SET", self.name, "down-after-milliseconds", 500)
        self.master.kill()
        wait_until(self._is_failed_over, "the failover")

    def _is_failed_over(self) -> bool:
        try:
            return bool(self.replica.admin.info("replication")["role"] == "master")
        except redis.ConnectionError:
            # A sentinel has the clients of a new master look for it anew.
            return False

    def kill(self) -> None:
        for server in (self.sentinel, self.replica, self.master):
            server.kill()


class _Sentinel(RedisServer):
    def __init__(self, folder: Path, name: str, master: RedisServer) -> None:
        password = f"sentinel {master.password}" if master.password else None
        super().__init__(folder, password=password)
        folder.mkdir(parents=True)
        lines = [
            f"port {self.port}",
            "bind 127.0.0.1",
            f"dir {folder}",
            f"sentinel monitor {name} 127.0.0.1 {master.port} 1",
            # Until a test wants one, nobody is failed over who only waits for a processor.
            f"sentinel down-after-milliseconds {name} 60000",
            f"sentinel failover-timeout {name} 2000",
        ]
        if password:
            lines.append(f'requirepass "{password}"')
            lines.append(f'sentinel auth-pass {name} "{master.password}"')
        config = folder / "sentinel.conf"
        config.write_text("\n".join([*lines, ""]))
        self.command = [program("redis-sentinel"), str(config)]


class Cluster:
    """A cluster of three masters, each with a replica.

    :param folder: where they run.
    :param password: the password of all nodes.
    """

    def __init__(self, folder: Path, password: str | None = None) -> None:
        self.password = password
        self.nodes = [self._node(folder / f"node{number}") for number in range(6)]

    def _node(self, folder: Path) -> RedisServer:
        return RedisServer(
            folder,
            *(("--masterauth", self.password) if self.password else ()),
            *("--cluster-enabled", "yes", "--cluster-node-timeout", "1000"),
            *("--cluster-port", str(free_port()), "--cluster-replica-validity-factor", "0"),
            *("--cluster-replica-no-failover", "yes"),
            password=self.password,
        )

    @property
    def addresses(self) -> str:
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        masters, replicas = self.nodes[:3], self.nodes[3:]
        bounds = [0, 5461, 10923, 16384]
        for place, master in enumerate(masters):
            master.admin.execute_command(
                "CLUSTER ADDSLOTSRANGE", bounds[place], bounds[place + 1] - 1
            )
            master.admin.execute_command("CLUSTER SET-CONFIG-EPOCH", place + 1)
        first = self.nodes[0]
        bus = first.command[first.command.index("--cluster-port") + 1]
        for node in self.nodes[1:]:
            node.admin.execute_command("CLUSTER MEET", "127.0.0.1", first.port, bus)
        wait_until(
            lambda: all(len(node.admin.cluster("NODES")) >= 6 for node in self.nodes),
            "the nodes to meet",
        )
        for replica, master in zip(replicas, masters, strict=True):
            replica.admin.execute_command("CLUSTER REPLICATE", self.id(master))
        wait_until(lambda: all(self._is_up(node) for node in self.nodes), "the cluster")
        # They agree soon where they ask often; now nobody is failed over who only waits for a
        # processor.
        self._take_for_lost_after(30_000)

    def _take_for_lost_after(self, milliseconds: int) -> None:
        for node in self.nodes:
            node.admin.config_set("cluster-node-timeout", milliseconds)

    def lose(self, node: RedisServer) -> None:
        """Kill a node, and have the others see it soon."""
        for each in self.nodes:
            each.admin.config_set("cluster-replica-no-failover", "no")
        self._take_for_lost_after(1000)
        node.kill()

    def _is_up(self, node: RedisServer) -> bool:
        info = node.admin.cluster("INFO")
        roles = [flags["flags"] for flags in node.admin.cluster("NODES").values()]
        return info["cluster_state"] == "ok" and sum("slave" in role for role in roles) == 3

    def id(self, node: RedisServer) -> str:
        found: str = node.admin.execute_command("CLUSTER MYID").decode()
        return found

    def owner(self, key: str) -> RedisServer:
        """The master that is in charge of ``key``, of those that are up."""
        up = [node for node in self.nodes if node.process is not None]
        slot = up[0].admin.cluster("KEYSLOT", key)
        for first, last, master, *_ in up[0].admin.execute_command("CLUSTER SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == master[1])
        raise AssertionError(f"nobody is in charge of slot {slot}")

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()


@contextmanager
def speaking(reply: bytes) -> Iterator[int]:
    """A server that answers whatever it is asked with ``reply``; its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    open_sockets: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            open_sockets.append(peer)
            threading.Thread(target=answer, args=(peer,), daemon=True).start()

    def answer(peer: socket.socket) -> None:
        try:
            while peer.recv(65536):
                peer.sendall(reply)
        except OSError:
            return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for peer in open_sockets:
            peer.close()


def commands_run(client: Any) -> dict[str, int]:
    """How often each command was run by a server since :func:`reset_commands`."""
    stats: Sequence[Any] = client.info("commandstats").items()
    return {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats}
