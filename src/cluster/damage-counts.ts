/** What was found and done about damaged records since the start, for all topics of a node. */
export interface DamageCounts {
  /** Bytes of closed segments that were read to look for damage. */
  scrubbedBytes: number;
  /** Ranges of offsets that were found damaged. */
  found: number;
  /** Of them, those that another replica made good. */
  repaired: number;
}

export function noDamage(): DamageCounts {
  return { scrubbedBytes: 0, found: 0, repaired: 0 };
}
