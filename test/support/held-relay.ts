import net, { type AddressInfo } from "node:net";
import type { TestContext } from "node:test";

/** Something before the server at `address` that passes nothing on while it is held. */
export async function startRelay(t: TestContext, address: string) {
  const sockets: net.Socket[] = [];
  let isHeld = false;
  let held: (() => void)[] = [];
  const pass = (from: net.Socket, to: net.Socket) => {
    from.on("error", () => {});
    from.on("data", (bytes) => {
      if (isHeld) held.push(() => to.write(bytes));
      else to.write(bytes);
    });
  };
  const server = net.createServer((near) => {
    const [host = "", port] = address.split(":");
    const far = net.connect(Number(port), host);
    sockets.push(near, far);
    pass(near, far);
    pass(far, near);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    heldCount: () => held.length,
    hold: () => {
      isHeld = true;
    },
    letGo: () => {
      isHeld = false;
      for (const write of held) write();
      held = [];
    },
  };
}
