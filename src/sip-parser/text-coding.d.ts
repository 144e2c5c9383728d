/** What of the Encoding standard is used: in Node and every browser, in no language library of TypeScript. */
declare class TextEncoder {
  encode(text: string): Uint8Array;
  encodeInto(text: string, into: Uint8Array): { read: number; written: number };
}

declare class TextDecoder {
  constructor(label: string, options: { ignoreBOM: boolean });
  decode(octets: Uint8Array): string;
}
