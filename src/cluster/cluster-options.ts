/** How a node comes to its cluster, and what it says of itself there. */
export interface ClusterOptions {
  /** Servers to ask, `host:port`; used while the node belongs to no cluster, and when it cannot find the others. */
  readonly join: readonly string[];
  /** Found the cluster together with so many servers, all of them named in `join`; 0: do not wait for others. */
  readonly bootstrapExpect: number;
  /** Where others reach this node, `host:port`; empty: nobody does. Asked when it is needed: ports may be chosen late. */
  readonly address: () => string;
  /** Rack or zone; empty: none. */
  readonly zone: string;
  /** Of the program. */
  readonly version: string;
}

/** A cluster of one that nobody can join. */
export const ALONE: ClusterOptions = {
  join: [],
  bootstrapExpect: 0,
  address: () => "",
  zone: "",
  version: "",
};
