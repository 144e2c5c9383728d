/** Whether packets are lost one by one or in bursts, RFC 3611 §4.7.2 and appendix A.2. Nothing is allocated. */

/** So many packets in a row that arrived end a burst, RFC 3611 §4.7.2. */
export const GAP_MINIMUM = 16;

export interface Bursts {
  /** Of packets lost within bursts, and within the gaps between them; 0 to 1. */
  readonly burstDensity: number;
  readonly gapDensity: number;
  /** Mean length in packets. */
  readonly burstPackets: number;
  readonly gapPackets: number;
}

export class LossPattern {
  /** Received since the last loss, and losses since the last gap. */
  #run = 0;
  #losses = 0;
  /** Received in gaps; lost there, one by one. */
  #gapReceived = 0;
  #gapLost = 0;
  /** Gaps that a burst ended. */
  #bursts = 0;
  /** Within bursts: received after received, lost after received, lost after lost. */
  #burstReceived = 0;
  #lostAfterReceived = 0;
  #lostAfterLost = 0;

  /** A packet arrived, and `lost` before it did not. */
  arrived(lost: number): void {
    for (let i = 0; i < lost; i++) this.#lose();
    this.#run++;
  }

  bursts(): Bursts {
    const inGap = this.#inGap;
    const gapLost = this.#gapLost + (inGap && this.#losses === 1 ? 1 : 0);
    const gap = this.#gapReceived + (inGap ? this.#run : 0) + gapLost;
    const lost = this.#lostAfterReceived + this.#lostAfterLost + this.#bursts;
    const burst = lost + this.#burstReceived;
    return {
      burstDensity: burst === 0 ? 0 : lost / burst,
      gapDensity: gap === 0 ? 0 : gapLost / gap,
      burstPackets: this.#bursts === 0 ? 0 : burst / this.#bursts,
      gapPackets: gap / (this.#bursts + 1),
    };
  }

  get #inGap(): boolean {
    return this.#losses === 0 || this.#run >= GAP_MINIMUM;
  }

  #lose(): void {
    if (this.#inGap) {
      this.#gapReceived += this.#run;
      // The loss before stood alone, or was the last of a burst.
      if (this.#losses === 1) this.#gapLost++;
      this.#losses = 1;
    } else {
      if (this.#losses === 1) this.#bursts++;
      this.#losses++;
      if (this.#run === 0) this.#lostAfterLost++;
      else {
        this.#lostAfterReceived++;
        this.#burstReceived += this.#run;
      }
    }
    this.#run = 0;
  }
}
