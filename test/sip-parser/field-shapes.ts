/** What fields of one shape read, write and refuse. */
import type { HeaderField } from '@sip-stack/parser';

export interface Cases {
  readonly field: HeaderField<unknown>;
  /** Values, each with what is written when it is put together anew, where that differs. */
  readonly good: readonly (string | readonly [read: string, written: string])[];
  /** Texts that are refused, and where. */
  readonly bad: readonly (readonly [text: string, position: number])[];
}

export const DIGEST_CHALLENGE =
  'Digest realm="a, \\"b\\"", domain="sip:a sip:b", nonce="n==", opaque="", stale=TRUE, algorithm=SHA-512-256, qop="auth,auth-int", userhash=true';
const DIGEST_CREDENTIALS =
  'Digest username="a b", realm="r", nonce="n", uri="sip:h;x=1,2", response="0f", algorithm=MD5, cnonce="c", opaque="o", qop=auth, nc=00000001, userhash=false';

export const challenge = (field: HeaderField<unknown>): Cases => ({
  field,
  good: [
    DIGEST_CHALLENGE,
    [
      'digest  realm = token ,nonce="1"\t,QOP=auth, charset=UTF-8',
      'digest realm="token", nonce="1", QOP="auth", charset=UTF-8',
    ],
    'Bearer authz_server="https://h/", scope=x',
    'Negotiate dGVzdA==',
  ],
  bad: [
    ['', 0],
    ['Digest', 6],
    ['Digest ', 7],
    ['Digest realm', 12],
    ['Digest realm=', 13],
    ['Digest realm="a', 13],
    ['Digest realm="a" nonce="b"', 17],
    ['Digest realm="a",', 17],
    ['Digest realm="a",,nonce="b"', 17],
    ['Digest realm="a", Realm="b"', 7],
    ['Digest dGVzdA==', 14],
    ['Digest realm="a";nonce="b"', 16],
  ],
});

export const credentials = (field: HeaderField<unknown>): Cases => ({
  field,
  good: [
    DIGEST_CREDENTIALS,
    [
      'Digest qop="auth", nc="00000001", algorithm="MD5"',
      'Digest qop=auth, nc=00000001, algorithm=MD5',
    ],
    [
      "Digest username*=UTF-8''J%C3%A4s%C3%B8n, username=x",
      'Digest username*=UTF-8\'\'J%C3%A4s%C3%B8n, username="x"',
    ],
    'Basic QWxhZGRpbg==',
    'Bearer a.b-c_~+/',
  ],
  bad: [
    ['Digest username="a" , uri=sip:a@b', 31],
    ['Digest username="a", uri="x', 25],
    ['Digest uri', 10],
  ],
});

export const address = (field: HeaderField<unknown>, many: boolean): Cases => ({
  field,
  good: [
    '<sip:a@h>',
    '"A, \\"b\\" <c>" <sip:a@h;lr;x=y?z=1>;p=1;q;r="a b"',
    ['Ann  Smith<sips:a@h> ; p = 1', '"Ann  Smith" <sips:a@h>;p=1'],
    ['sip:a@h;p=1', '<sip:a@h>;p=1'],
    '<tel:+1-2;ext=3>;p',
    '<urn:service:sos>',
    '<sip:[fe80::1%25eth0]>',
    ...(many ? ['<sip:a;lr>, "b" <sip:b>;x=1'] : []),
  ],
  bad: [
    ['', 0],
    ['<sip:a@h', 8],
    ['<sip:a@h>;p=1;P=2', 9],
    ['<sip:a@h;x;X>', 8],
    ['<sip:a b>', 6],
    ['"a" sip:b', 4],
    ['"a', 0],
    ['a', 0],
    ['<sip:h> x', 8],
    ['<sip:h>;=x', 8],
    ['<sip:h>;x=', 10],
    ['sip:h?x=y', 5],
    many ? ['<sip:a>,', 8] : ['<sip:a>, <sip:b>', 7],
  ],
});

export const info = (field: HeaderField<unknown>): Cases => ({
  field,
  good: [
    '<http://h/a,b;c>;purpose=icon, <sip:a@h>;x="1;2"',
    '<http://www.notused.com>;info=alert-autoanswer;delay=0',
    '<urn:alert:source:internal>',
  ],
  bad: [
    ['', 0],
    ['http://h/', 0],
    ['<http://h/', 10],
    ['<>', 1],
    ['<http://h/>;x;x', 11],
    ['<http://h/> <http://h/>', 12],
  ],
});

export const tokens = (field: HeaderField<unknown>): Cases => ({
  field,
  good: ['', 'one', ['one ,two,\tthree', 'one, two, three']],
  bad: [
    ['one,,two', 4],
    ['one two', 4],
    ['a,', 2],
    ['"a"', 0],
  ],
});

export const number = (field: HeaderField<unknown>, max: number): Cases => ({
  field,
  good: ['0', ['007', '7'], String(max)],
  bad: [
    ['', 0],
    ['-1', 0],
    ['1 2', 2],
    ['1.5', 1],
    [String(max + 1), 0],
    ['9'.repeat(400), 0],
  ],
});

export const seconds = (field: HeaderField<unknown>): Cases => ({
  field,
  good: ['90', ['1800 ;Refresher=uac; x', '1800;Refresher=uac;x']],
  bad: [
    ['', 0],
    ['soon', 0],
    ['4294967296', 0],
    ['1;x=1;x=2', 1],
    ['1 2', 2],
  ],
});

export const token = (field: HeaderField<unknown>): Cases => ({
  field,
  good: ['urgent', 'a.b-c'],
  bad: [
    ['', 0],
    ['a b', 2],
    ['"a"', 0],
  ],
});

export const features = (field: HeaderField<unknown>): Cases => ({
  field,
  good: [
    '*;audio;require, *;mobility="fixed";methods="INVITE,BYE";explicit',
    ['* ; mobility=fixed', '*;mobility="fixed"'],
    '*;+sip.instance="<urn:uuid:1>"',
    '*',
  ],
  bad: [
    ['', 0],
    ['audio', 0],
    ['*audio', 1],
    ['*;audio;AUDIO', 1],
    ['*,', 2],
  ],
});

export const dialogs = (field: HeaderField<unknown>): Cases => ({
  field,
  good: [
    'a@h;to-tag=1;from-tag=2',
    ['abc ; from-tag = 2;To-Tag=1;early-only', 'abc;from-tag=2;To-Tag=1;early-only'],
  ],
  bad: [
    ['', 0],
    ['a@h', 3],
    ['a@h;to-tag=1', 12],
    ['a@h;from-tag=1', 14],
    ['a@h;to-tag;from-tag=1', 21],
    ['a@h;to-tag=1;to-tag=2;from-tag=3', 3],
    ['a@b@c;to-tag=1;from-tag=2', 3],
  ],
});

export const acceptParams = (field: HeaderField<unknown>): Cases => ({
  field,
  good: ['', '*', ['gzip ;q=0.5,identity', 'gzip;q=0.5, identity'], 'en-gb;q=1'],
  bad: [
    ['gzip,,x', 5],
    ['gzip;q=1;q=0', 4],
    ['a b', 2],
  ],
});

export const people = (field: HeaderField<unknown>): Cases => ({
  field,
  good: ['', 'Desk/1 (x, "y")', ['  Two  words ', 'Two  words']],
  bad: [],
});

export const authInfo = (field: HeaderField<unknown>): Cases => ({
  field,
  good: [
    'nextnonce="n", qop=auth, rspauth="0a", cnonce="c", nc=00000001',
    ['qop="auth-int" , nextnonce=n', 'qop=auth-int, nextnonce="n"'],
  ],
  bad: [
    ['', 0],
    ['nextnonce', 9],
    ['qop=a, QOP=b', 0],
    ['qop=a,', 6],
  ],
});
