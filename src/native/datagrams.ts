/** Batches of datagrams as the addon gives them; `DatagramBatch` is what uses them. */

/** Numbers it answers are -errno where it fails. */
export interface NativeDatagrams {
  createBatch(inbox: ArrayBuffer, outbox: ArrayBuffer): object | number;
  add(batch: object, fd: number): number;
  remove(batch: object, slot: number): number;
  setRemote(batch: object, slot: number, address: string, port: number): number;
  receive(batch: object, begin: boolean): number;
  send(batch: object, entries: number): number;
}
