/** One message of each kind, and the octets RFC 2608 gives it, written out by hand. */
import type { SlpMessage } from 'slp-js';

export interface Sample {
  readonly message: SlpMessage;
  /** Hexadecimal, a field a word; text in quotes. */
  readonly octets: string;
}

/** Version, function, length, flags, next extension offset, XID, language tag. */
function header(functionId: string, length: number, flags = '0000', extension = '000000'): string {
  const octets = length.toString(16).padStart(6, '0');
  return `02 ${functionId} ${octets} ${flags} ${extension} 1234 0002 'en'`;
}

const shared = { xid: 0x1234, language: 'en' } as const;
const LPR = 'service:printer:lpr://pr1:515';
const SIGNED = [
  { descriptor: 2, timestamp: 0x65000000, spi: 'k1', data: Uint8Array.of(0xde, 0xad) },
] as const;
const SIGNED_OCTETS = "0002 000e 65000000 0002 'k1' dead";

export const SAMPLES: Readonly<Record<SlpMessage['kind'], Sample>> = {
  SrvRqst: {
    message: {
      ...shared,
      kind: 'SrvRqst',
      multicast: true,
      previousResponders: ['192.0.2.1', '192.0.2.2'],
      serviceType: 'service:printer',
      scopes: ['DEFAULT', 'a,b'],
      predicate: '(ppm>=12)',
      spi: 'k1',
    },
    octets: `${header('01', 84, '2000')} 0013 '192.0.2.1,192.0.2.2' 000f 'service:printer'
      000d 'DEFAULT,a\\2cb' 0009 '(ppm>=12)' 0002 'k1'`,
  },
  SrvRply: {
    message: {
      ...shared,
      kind: 'SrvRply',
      error: 0,
      urls: [
        { lifetime: 10800, url: LPR, authentication: [] },
        { lifetime: 65535, url: 'http://pr1/', authentication: SIGNED },
      ],
    },
    octets: `${header('02', 86)} 0000 0002 00 2a30 001d '${LPR}' 00
      00 ffff 000b 'http://pr1/' 01 ${SIGNED_OCTETS}`,
  },
  SrvReg: {
    message: {
      ...shared,
      kind: 'SrvReg',
      fresh: true,
      url: { lifetime: 300, url: LPR, authentication: [] },
      serviceType: 'service:printer:lpr',
      scopes: ['DEFAULT'],
      attributes: '(ppm=12),duplex',
      authentication: SIGNED,
    },
    octets: `${header('03', 113, '4000')} 00 012c 001d '${LPR}' 00 0013 'service:printer:lpr'
      0007 'DEFAULT' 000f '(ppm=12),duplex' 01 ${SIGNED_OCTETS}`,
  },
  SrvDeReg: {
    message: {
      ...shared,
      kind: 'SrvDeReg',
      scopes: ['DEFAULT'],
      url: { lifetime: 0, url: LPR, authentication: [] },
      tags: ['ppm', 'x-*'],
    },
    octets: `${header('04', 69)} 0007 'DEFAULT' 00 0000 001d '${LPR}' 00 0007 'ppm,x-*'`,
  },
  SrvAck: {
    message: { ...shared, kind: 'SrvAck', error: 0 },
    octets: `${header('05', 18)} 0000`,
  },
  AttrRqst: {
    message: {
      ...shared,
      kind: 'AttrRqst',
      previousResponders: [],
      url: LPR,
      scopes: ['DEFAULT'],
      tags: ['ppm'],
      spi: '',
    },
    octets: `${header('06', 65)} 0000 001d '${LPR}' 0007 'DEFAULT' 0003 'ppm' 0000`,
  },
  AttrRply: {
    message: {
      ...shared,
      kind: 'AttrRply',
      error: 0,
      attributes: '(ppm=12)',
      authentication: SIGNED,
    },
    octets: `${header('07', 43)} 0000 0008 '(ppm=12)' 01 ${SIGNED_OCTETS}`,
  },
  DAAdvert: {
    message: {
      ...shared,
      kind: 'DAAdvert',
      error: 0,
      bootTimestamp: 0x65000001,
      url: 'service:directory-agent://192.0.2.3',
      scopes: ['DEFAULT'],
      attributes: '(min-refresh-interval=60)',
      spis: ['k1'],
      authentication: [],
    },
    octets: `${header('08', 100)} 0000 65000001 0023 'service:directory-agent://192.0.2.3'
      0007 'DEFAULT' 0019 '(min-refresh-interval=60)' 0002 'k1' 00`,
  },
  SrvTypeRqst: {
    message: {
      ...shared,
      kind: 'SrvTypeRqst',
      previousResponders: ['192.0.2.9'],
      namingAuthority: undefined,
      scopes: ['DEFAULT'],
    },
    octets: `${header('09', 38)} 0009 '192.0.2.9' ffff 0007 'DEFAULT'`,
  },
  SrvTypeRply: {
    message: {
      ...shared,
      kind: 'SrvTypeRply',
      error: 0,
      serviceTypes: ['service:printer:lpr', 'service:supernode.ringline:sip'],
    },
    octets: `${header('0a', 70)} 0000 0032 'service:printer:lpr,service:supernode.ringline:sip'`,
  },
  SAAdvert: {
    message: {
      ...shared,
      kind: 'SAAdvert',
      url: 'service:service-agent://192.0.2.4',
      scopes: ['DEFAULT'],
      attributes: '(service-type=service:printer:lpr)',
      authentication: [],
      extensions: [
        { id: 0x0002, data: Uint8Array.of(1, 2) },
        { id: 0x8001, data: Uint8Array.of(3) },
      ],
    },
    // Extensions at 97 and 104.
    octets: `${header('0b', 110, '0000', '000061')} 0021 'service:service-agent://192.0.2.4'
      0007 'DEFAULT' 0022 '(service-type=service:printer:lpr)' 00 0002 000068 0102 8001 000000 03`,
  },
};

/** Octets written as in the samples. */
export function fromWords(words: string): Uint8Array {
  const parts = words.match(/'[^']*'|[0-9a-f]+/g) ?? [];
  return Buffer.concat(
    parts.map(part =>
      part.startsWith("'") ? Buffer.from(part.slice(1, -1)) : Buffer.from(part, 'hex'),
    ),
  );
}
