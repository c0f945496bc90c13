/**
 * The first offset in [first, next) whose record was appended at or after
 * `timeUs`; `next` when there is none.
 *
 * Append times never go back, so this halves the range: about 30 reads for a
 * billion records.
 *
 * @param appendTimeOf gives the append time of the record at an offset
 */
export async function findTime(
  range: { readonly first: number; readonly next: number; readonly timeUs: number },
  appendTimeOf: (offset: number) => Promise<number>,
): Promise<number> {
  let low = range.first;
  let high = range.next;
  while (low < high) {
    const middle = low + Math.floor((high - low) / 2);
    if ((await appendTimeOf(middle)) < range.timeUs) low = middle + 1;
    else high = middle;
  }
  return low;
}
