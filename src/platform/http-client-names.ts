import { promises as dns } from "node:dns";
import { isIP } from "node:net";

/** A place that can be dialled. */
export interface HostPort {
  /** An IP address. */
  readonly host: string;
  readonly port: number;
  /** The name it was found by: whose certificate is expected. */
  readonly name: string;
}

/** `host:port`; an IPv6 address in brackets. */
const WITH_PORT = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/;
/** A name of SRV records, such as `_peer._tcp.proglog.example`: they say the port. */
const SERVICE = /^_[^.:]+\._[^.:]+\.[^:]+$/;
const PORT_MAX = 65_535;

/**
 * Where `address` leads now: all places of a name, in the resolver's order. Asked anew each time,
 * since names get other places when machines are replaced; Bun would remember for 30 s where a name
 * led that is given to its sockets.
 *
 * @param address `host:port`, or a name of SRV records
 * @throws the platform's error when the name cannot be resolved; ERR_INVALID_URL when it is no address
 */
export async function resolveAddress(address: string): Promise<readonly HostPort[]> {
  if (SERVICE.test(address)) return resolveService(address);
  const [, bracketed, plain, digits = ""] = WITH_PORT.exec(address) ?? [];
  const name = bracketed ?? plain;
  const port = Number(digits);
  if (name === undefined || port < 1 || port > PORT_MAX) throw unreadable(address);
  return placesOf(name, port);
}

async function resolveService(service: string): Promise<readonly HostPort[]> {
  const records = await dns.resolveSrv(service);
  records.sort((left, right) => left.priority - right.priority || right.weight - left.weight);
  const found: HostPort[] = [];
  let failure: unknown;
  for (const { name, port } of records) {
    try {
      found.push(...(await placesOf(name, port)));
    } catch (cause) {
      failure = cause; // others may lead somewhere
    }
  }
  if (found.length === 0 && failure !== undefined) throw failure;
  return found;
}

async function placesOf(name: string, port: number): Promise<readonly HostPort[]> {
  if (isIP(name) !== 0) return [{ host: name, port, name }];
  const places = await dns.lookup(name, { all: true });
  return places.map(({ address: host }) => ({ host, port, name }));
}

function unreadable(address: string): Error {
  return Object.assign(new Error(`Cannot read "${address}" as an address: write host:port`), {
    code: "ERR_INVALID_URL",
  });
}
