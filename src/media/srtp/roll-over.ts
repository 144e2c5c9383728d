/** Sequence numbers have 16 bits, packet indices 48: RFC 3711 §3.3.1. */

/** The roll-over counter that brings `sequence` nearest to the highest one so far, RFC 3711 appendix A. */
export function rollOverOf(rollOver: number, highest: number, sequence: number): number {
  if (highest < 0x8000) {
    // Before the first packet there was nothing.
    return sequence - highest > 0x8000 && rollOver > 0 ? rollOver - 1 : rollOver;
  }
  return highest - 0x8000 > sequence ? rollOver + 1 : rollOver;
}
