import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Clock } from "../base/clock.ts";
import { type HostPort, resolveAddress } from "./http-client-names.ts";

/** How a client shows who it is, and whom it trusts; PEM. */
export interface ClientTls {
  /** Default: those the system trusts. */
  readonly ca?: string | Uint8Array;
  readonly cert?: string | Uint8Array;
  readonly key?: string | Uint8Array;
}

export interface DialOptions {
  /** `host:port`, or a name of SRV records; resolved at each dial. */
  readonly address: string;
  /** Of several places of the address, the one that is tried first: counts up from dial to dial. */
  readonly attempt: number;
  readonly tls: ClientTls | undefined;
  /** For each place. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Gives the dial up. */
  readonly signal: AbortSignal;
}

/**
 * Connects to the first place of the address that answers.
 * @throws the platform's error of the last place that was tried
 */
export async function dial(options: DialOptions): Promise<Socket> {
  const { address, attempt, signal } = options;
  const places = await resolveAddress(address);
  let failure: unknown = withCode("ENOTFOUND", `No place is known of "${address}"`);
  for (const step of places.keys()) {
    const place = places[(step + attempt) % places.length];
    if (place === undefined || signal.aborted) break;
    try {
      return await connectTo(place, options);
    } catch (cause) {
      failure = cause;
    }
  }
  if (signal.aborted) throw signal.reason;
  throw failure;
}

function connectTo(place: HostPort, options: DialOptions): Promise<Socket> {
  const { clock, signal, timeoutMs, tls } = options;
  return new Promise<Socket>((resolve, reject) => {
    const socket = open(place, tls);
    const settle = (cause?: unknown) => {
      cancel();
      signal.removeEventListener("abort", giveUp);
      socket.off("error", settle);
      socket.off("close", onClose);
      socket.on("error", () => {}); // "close" follows
      if (cause === undefined) {
        resolve(socket);
        return;
      }
      socket.destroy();
      reject(cause);
    };
    const onClose = () => settle(withCode("ECONNRESET", "The connection was closed at once"));
    const giveUp = () => settle(signal.reason);
    const cancel = clock.schedule(timeoutMs, () =>
      settle(withCode("ETIMEDOUT", `No answer within ${timeoutMs} ms`)),
    );
    signal.addEventListener("abort", giveUp);
    socket.on("error", settle);
    socket.on("close", onClose);
    socket.once(tls === undefined ? "connect" : "secureConnect", () => settle());
  });
}

function open({ host, port, name }: HostPort, tls: ClientTls | undefined): Socket {
  if (tls === undefined) return connectPlain({ host, port, noDelay: true });
  const { ca, cert, key } = tls;
  const socket = connectTls({
    host,
    port,
    ALPNProtocols: ["h2"],
    // A name may be shown to servers, an address may not (RFC 6066, 3); both are checked.
    ...(isIP(name) === 0 ? { servername: name } : {}),
    ...(ca === undefined ? {} : { ca: pem(ca) }),
    ...(cert === undefined ? {} : { cert: pem(cert) }),
    ...(key === undefined ? {} : { key: pem(key) }),
  });
  socket.setNoDelay(true);
  return socket;
}

function pem(value: string | Uint8Array): string | Buffer {
  return typeof value === "string" ? value : Buffer.from(value);
}

function withCode(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
