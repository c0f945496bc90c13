/** Until a leadership that came back is offered to the same server again; twice as long each time. */
const AGAIN_MS_MIN = 60_000;
const AGAIN_MS_MAX = 15 * 60_000;

interface Gift {
  readonly nodeId: string;
  readonly atMs: number;
  readonly againMs: number;
}

/**
 * Leaderships that this server has given to others so that they are spread. Whoever does not keep one, because its
 * disk is full or hangs or its machine comes and goes, is not given it again and again: each time costs its writers a
 * moment.
 */
export class Gifts {
  /** The last one of each topic. */
  readonly #gifts = new Map<number, Gift>();

  /** To be asked by who leads the topic; notes that it is given when it may be. */
  mayGive(topicId: number, nodeId: string, nowMs: number): boolean {
    const last = this.#gifts.get(topicId);
    let againMs = AGAIN_MS_MIN;
    if (last?.nodeId === nodeId) {
      if (nowMs < last.atMs + last.againMs) return false;
      againMs = Math.min(2 * last.againMs, AGAIN_MS_MAX);
    }
    this.#gifts.set(topicId, { nodeId, atMs: nowMs, againMs });
    return true;
  }
}
