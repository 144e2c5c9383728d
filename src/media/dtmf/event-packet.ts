/** The payload of telephone-event, RFC 4733 §2.3. */

export const EVENT_OCTETS = 4;
/** The longest duration a packet can tell, in timestamp units: longer events come in segments (§2.5.1.3). */
export const MAX_DURATION_UNITS = 0xffff;
/** In -dBm0. */
const MAX_VOLUME = 63;

export class EventReport {
  event = 0;
  /** The event is over. */
  end = false;
  /** In -dBm0, 0 to 63. */
  volume = 0;
  /** Since the packet's timestamp, in timestamp units. */
  duration = 0;
}

/** Writes `report` to the first four octets of `out`. */
export function writeEvent(report: EventReport, out: Uint8Array): void {
  out[0] = report.event;
  out[1] = (report.end ? 0x80 : 0) | Math.min(MAX_VOLUME, report.volume);
  out[2] = report.duration >>> 8;
  out[3] = report.duration;
}

/** Reads the four octets at `at`. */
export function readEvent(data: Uint8Array, at: number, report: EventReport): void {
  report.event = data[at]!;
  report.end = data[at + 1]! >= 0x80;
  report.volume = data[at + 1]! & MAX_VOLUME;
  report.duration = (data[at + 2]! << 8) | data[at + 3]!;
}
