/** A clock that differs by more from what most peers say is not to be trusted with the age of records. */
const CLOCK_FAR_US = 60_000_000;

/**
 * True when this node's clock is far from those of most peers that it has heard of: who is right nobody knows, but records
 * that are removed do not come back.
 *
 * @param offsetsUs what peers' clocks are ahead of ours, in microseconds
 */
export function isClockFar(offsetsUs: readonly number[]): boolean {
  const far = offsetsUs.filter((offsetUs) => Math.abs(offsetUs) > CLOCK_FAR_US);
  return far.length > offsetsUs.length / 2;
}
