// A TCP proxy whose connections can be cut, for what a client does when the network fails. TLS goes through untouched.
import { connect, createServer } from "node:net";

export async function cuttingProxy(port) {
  const open = new Set();
  const proxy = { accepted: 0, port: 0, cut, close, loseNextAnswer };
  let losing = false;
  const server = createServer((near) => {
    proxy.accepted += 1;
    const far = connect(port, "127.0.0.1");
    for (const [source, target] of [
      [near, far],
      [far, near],
    ]) {
      open.add(source);
      source.on("error", () => target.destroy());
      source.on("close", () => open.delete(source));
      source.on("data", (data) => {
        if (losing && source === far) return close();
        target.write(data);
      });
      source.on("end", () => target.end());
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  proxy.port = server.address().port;
  return proxy;

  function cut() {
    for (const socket of open) socket.destroy();
  }
  /** What the target says next is passed on to nobody: all connections end, and no new one is taken. */
  function loseNextAnswer() {
    losing = true;
  }
  function close() {
    server.close();
    cut();
  }
}
