import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { CODEC_NAMES, DEFAULT_CODECS, parseCodecName } from '../../src/calling/audio-codecs.js';
import { CodedError } from '../../src/core/errors.js';
import { isPhoneName } from '../../src/discovery/phone-name.js';
import { loadConfig, loadSettings } from '../../src/runtime/config.js';
import schema from '../../src/runtime/config.schema.json' with { type: 'json' };
import { parsePortChoice } from '../../src/runtime/config-listen.js';
import {
  type Config,
  defaultDataDirectory,
  defaultName,
  LOG_LEVELS,
  parseLogLevel,
} from '../../src/runtime/config-settings.js';
import { selfSigned } from '../sip/certificate.js';

const directory = mkdtempSync(join(tmpdir(), 'ringline-config-'));
t.teardown(() => rmSync(directory, { recursive: true, force: true }));
const path = join(directory, 'ringline.yaml');

/** The lines of the error the text deserves, without the file's name. */
async function errorsOf(text: string): Promise<string[]> {
  writeFileSync(path, text);
  try {
    return [`none: ${JSON.stringify(await loadConfig(path))}`];
  } catch (error) {
    if (!(error instanceof CodedError) || error.code !== 'BAD_CONFIG') throw error;
    return error.message.split('\n').map(line => line.replace(`${path}:`, ''));
  }
}

t.test('a whole file is understood', async t => {
  writeFileSync(
    path,
    'name: küche\nlisten: "[::]:5070"\ndata: state # beside this file\nlog: debug\ncodecs: [g722, pcma]\n',
  );
  t.same(await loadConfig(path), {
    name: 'küche',
    listen: { address: '::', port: 5070 },
    data: join(directory, 'state'),
    log: 'debug',
    codecs: ['g722', 'pcma'],
  });
  for (const empty of ['', '# nothing but a comment\n', '---\n']) {
    writeFileSync(path, empty);
    t.same(await loadConfig(path), {});
  }
});

t.test('where super-nodes are looked for', async t => {
  const secret = Buffer.from('a secret of thirty-two octets ..').toString('base64');
  const dynamic = (key: string, server = 'ns.example.net') =>
    `overlay:\n  dynamicDns:\n    zone: home.example.net\n    server: "${server}"\n    key: ${key}\n`;
  const goodKey = `{ name: k.example.net, secret: "${secret}" }`;
  writeFileSync(
    path,
    `${dynamic(goodKey)}  bootstrap: [ring.example.net, "[2001:db8::1]:5080;transport=tcp"]\n  domain: example.net\n  flood: false\n`,
  );
  t.same(await loadConfig(path), {
    overlaySearch: {
      bootstrap: [
        { host: 'ring.example.net', port: 5061, transport: 'tls' },
        { host: '2001:db8::1', port: 5080, transport: 'tcp' },
      ],
      domain: 'example.net',
      flood: false,
      dynamicDns: {
        zone: 'home.example.net',
        server: 'ns.example.net',
        port: 53,
        key: { name: 'k.example.net', secret: Buffer.from(secret, 'base64') },
      },
    },
  });
  writeFileSync(path, dynamic(goodKey, '[::1]:5353'));
  t.match((await loadConfig(path)).overlaySearch?.dynamicDns, { server: '::1', port: 5353 });
  t.same(await errorsOf('overlay:\n  bootstrap: ["bob@example.net"]\n'), [
    '2:15: overlay.bootstrap.0: expected HOST or HOST:PORT, found "bob@example.net"',
  ]);
  t.same(await errorsOf('overlay: { domain: "a..b" }'), [
    '1:20: overlay.domain: expected a domain such as example.net, found "a..b"',
  ]);
  const [told = ''] = await errorsOf(dynamic('{ name: k.example.net, secret: hunter2 }'));
  t.match(told, /secret: expected a secret of 16 octets or more in base64, found one of 7$/);
  t.notMatch(told, 'hunter2', 'secrets stay out of logs');
});

t.test('each error tells where it is, what was expected and what was found', async t => {
  const cases: [string, string[]][] = [
    [
      'name: alice\n\nlisten: "5060:0.0.0.0"\n',
      ['3:9: listen: expected ADDRESS:PORT, found "5060:0.0.0.0"'],
    ],
    ['listen: 0.0.0.0:65536', ['1:9: listen: expected ADDRESS:PORT, found "0.0.0.0:65536"']],
    ['name: 7', ['1:7: name: expected a name that can be dialled, found the number 7']],
    ['name: the hall', ['1:7: name: expected a name that can be dialled, found "the hall"']],
    ['name:\n', ['1:6: name: expected a name that can be dialled, found nothing']],
    ['data: ""', ['1:7: data: expected a directory, found ""']],
    ['data: [a]', ['1:7: data: expected a directory, found a list']],
    ['log: loud', ['1:6: log: expected one of error, warn, info, debug, found "loud"']],
    ['Listne: 1', ['1:1: Listne: unknown setting; did you mean "listen"?']],
    [
      'colour: red',
      [
        '1:1: colour: unknown setting; expected one of name, listen, tls, websocket, data, log, codecs, country, srtp, silence, mediaThreads, accounts, watchers, overlay, limits, users, clickToDial',
      ],
    ],
    [
      'codecs: [pcmu, opuss, 7]',
      [
        '1:16: codecs.1: expected one of opus, opus-fullband, g722, pcmu, pcma, l16, found "opuss"',
        '1:23: codecs.2: expected one of opus, opus-fullband, g722, pcmu, pcma, l16, found the number 7',
      ],
    ],
    ['codecs: []', ['1:9: codecs: expected a list of codecs such as [g722, pcmu], found a list']],
    ['- name', ['1:1: expected settings such as "name: kitchen", found a list']],
    ['name', ['1:1: expected settings such as "name: kitchen", found "name"']],
    [
      'log: loud\nnam: alice\nname: ""\nlisten: here\n',
      [
        '1:6: log: expected one of error, warn, info, debug, found "loud"',
        '2:1: nam: unknown setting; did you mean "name"?',
        '3:7: name: expected a name that can be dialled, found ""',
        '4:9: listen: expected ADDRESS:PORT, found "here"',
      ],
    ],
  ];
  for (const [text, expected] of cases) t.same(await errorsOf(text), expected, text);
});

t.test('what is no YAML is told with its place, too', async t => {
  t.match(await errorsOf('name: alice\nname: bob\n'), [/^2:1: .*unique/]);
  t.match(await errorsOf('name: "alice\n'), [/^\d+:\d+: .*quote/i]);
  t.match(await errorsOf('name: [a\nlog: }\n'), [/^\d:\d+: /]);
  t.match(await errorsOf('\tname: alice\n'), [/^1:\d+: .*tab/i]);
});

t.test('a file that cannot be read is named', async t => {
  await t.rejects(loadConfig(join(directory, 'none.yaml')), {
    code: 'BAD_CONFIG',
    message: /none\.yaml: there is no such file/,
  });
  await t.rejects(loadConfig(directory), { code: 'BAD_CONFIG', message: /EISDIR/ });
});

t.test('flags come before the file, the file before the defaults', async t => {
  const data = join(directory, 'data');
  mkdirSync(data);
  t.same(await loadSettings({ data }), {
    name: defaultName(),
    listen: { address: '::', port: 5060 },
    listenToo: { TLS: { address: '::', port: 5061 } },
    tls: {},
    data,
    log: 'warn',
    codecs: DEFAULT_CODECS,
    country: 'us',
    srtp: 'auto',
    silence: 'send',
    mediaThreads: 1,
    accounts: [],
    users: [],
    watchers: 'anybody',
    overlayRole: 'auto',
    overlaySearch: {},
  });
  writeFileSync(join(data, 'ringline.yaml'), 'name: hall\nlog: warn\n');
  const inData = await loadSettings({ data, name: 'attic' });
  t.match(inData, { name: 'attic', log: 'warn', data });
  writeFileSync(path, 'data: elsewhere\n');
  t.match(await loadSettings({}, path), { data: join(directory, 'elsewhere'), log: 'warn' });
  t.match(await loadSettings({ data }, path), { data, log: 'warn' });
  await t.rejects(loadSettings({}, join(directory, 'none.yaml')), { code: 'BAD_CONFIG' });
});

t.test(
  'TLS is one port above the others, WebSocket off, unless file or flags say otherwise',
  async t => {
    const listenToo = async (text: string, flags: Config = {}) => {
      writeFileSync(path, text);
      const { listen, listenToo } = await loadSettings(flags, path);
      t.ok(Object.values(listenToo).every(({ address }) => address === listen.address));
      return Object.fromEntries(Object.entries(listenToo).map(([key, { port }]) => [key, port]));
    };
    t.same(await listenToo('listen: "[::1]:5070"'), { TLS: 5071 });
    t.same(await listenToo('listen: 192.0.2.7:0'), { TLS: 0 }, 'any free port, as for the others');
    t.same(await listenToo('listen: 192.0.2.7:65535'), { TLS: 0 });
    t.same(await listenToo('tls:\n  port: off'), {});
    const file = 'tls:\n  port: 7061\nwebsocket:\n  ws: 8080\n  wss: 8443\n';
    t.same(await listenToo(file), { TLS: 7061, WS: 8080, WSS: 8443 });
    t.same(await listenToo(file, { ports: { TLS: 'off', WS: 0 } }), { WS: 0, WSS: 8443 });
    t.same(await listenToo(file, { listen: { address: '127.0.0.1', port: 0 } }), {
      TLS: 7061,
      WS: 8080,
      WSS: 8443,
    });
    t.equal(parsePortChoice('off'), 'off');
    t.equal(parsePortChoice('0'), 0);
    for (const text of ['', 'on', '-1', '65536', '1e3', ':5061', '0.0.0.0:5061']) {
      t.throws(() => parsePortChoice(text), { code: 'BAD_PORT', remedy: /--listen/ }, text);
    }
  },
);

const badTls: readonly [text: string, error: RegExp][] = [
  ['tls: 5061', /^1:6: tls: expected settings of TLS such as "port: 5061", found the number 5061/],
  ['tls:\n  port: on', /2:9: tls.port: expected a port from 0 to 65535, or off, found "on"/],
  ['tls:\n  port: 65536', /2:9: tls.port: expected a port/],
  ['tls:\n  port: 5.5', /2:9: tls.port: expected a port/],
  ['tls:\n  prot: 5061', /2:3: tls.prot: unknown setting; did you mean "port"/],
  ['tls:\n  key: k.pem', /2:3: tls.key: expected certificate beside it, found none/],
  ['tls:\n  certificate: c.pem', /2:3: tls.certificate: expected key beside it/],
  ['tls:\n  trust: me', /2:10: tls.trust: expected one of authorities, anybody, found "me"/],
  ['websocket:\n  ws: true', /2:7: websocket.ws: expected a port.*, found the boolean true/],
  ['websocket:\n  origins: ["*"]', /2:13: websocket.origins.0: expected an origin such as/],
];
for (const [text, error] of badTls) {
  t.test(`what cannot be listened for: ${JSON.stringify(text)}`, async t => {
    t.match((await errorsOf(text)).join('\n'), error);
  });
}

t.test('PEM files are read with the configuration, from where it lies', async t => {
  const own = selfSigned('kitchen');
  writeFileSync(join(directory, 'own.pem'), own.cert);
  writeFileSync(join(directory, 'own.key'), own.key);
  const names = 'certificate: own.pem\n  key: own.key';
  writeFileSync(path, `tls:\n  ${names}\n  authorities: own.pem\n  trust: anybody\n`);
  t.same((await loadConfig(path)).tls, {
    files: { certificate: join(directory, 'own.pem'), key: join(directory, 'own.key') },
    identity: { key: own.key, cert: own.cert },
    authorities: [own.cert],
    trust: 'anybody',
  });
  const wrong: [text: string, error: RegExp][] = [
    [
      'certificate: none.pem\n  key: own.key',
      /^2:16: tls.certificate: .*none.pem: there is no such/,
    ],
    ['certificate: own.pem\n  key: own.pem', /^3:8: tls.key: expected a private key in .*own.pem/],
    ['port: 1\n  authorities: own.key', /^3:16: tls.authorities: expected a certificate in/],
  ];
  for (const [text, error] of wrong) t.match((await errorsOf(`tls:\n  ${text}`))[0], error);
  await t.rejects(loadConfig(path), { code: 'BAD_CONFIG', remedy: /PEM file/ });
});

t.test('the data directory is where the environment says', async t => {
  t.equal(defaultDataDirectory({ RINGLINE_DATA: '/a', XDG_STATE_HOME: '/b' }), '/a');
  t.equal(defaultDataDirectory({ RINGLINE_DATA: '', XDG_STATE_HOME: '/b' }), '/b/ringline');
  t.match(defaultDataDirectory({}), /\/\.local\/state\/ringline$/);
});

t.test('any host name makes a name that can be dialled', async t => {
  t.equal(defaultName('kitchen.example.net'), 'kitchen');
  t.equal(defaultName('raspberry pi (2)'), 'raspberry-pi-2');
  for (const host of ['', '...', 'ü'.repeat(63), '-', 'a'.repeat(64)])
    t.ok(isPhoneName(defaultName(host)));
});

t.test('every setting is explained to whoever edits the file', async t => {
  const { tls, websocket } = schema.properties;
  const settings = { ...schema.properties, ...tls.properties, ...websocket.properties };
  for (const [key, property] of Object.entries(settings)) {
    t.ok(property.description.length > 20, key);
  }
  t.same(schema.properties.log.enum, LOG_LEVELS);
  t.equal(parseLogLevel('warn'), 'warn');
  t.throws(() => parseLogLevel('loud'), { code: 'BAD_LOG_LEVEL' });
});

t.test('accounts are read, with the part before the @ as user where none is given', async t => {
  writeFileSync(
    path,
    'accounts:\n  - address: alice@example.net\n    password: secret\n  - address: sip:bob@example.org\n    user: robert\n    password: x\n    server: 192.0.2.5:5080\n    expires: 120\n',
  );
  const { accounts = [] } = await loadConfig(path);
  t.match(accounts[0], { aor: { user: 'alice', host: 'example.net' }, user: 'alice' });
  t.match(accounts[1], {
    aor: { user: 'bob' },
    user: 'robert',
    server: { host: '192.0.2.5', port: 5080 },
    expires: 120,
  });
});

const badAccounts: readonly [text: string, error: RegExp][] = [
  ['accounts: alice@example.net', /1:11: accounts: expected a list of accounts/],
  [
    'accounts:\n  - address: example.net\n    password: x',
    /2:14: accounts.0.address: expected an address/,
  ],
  [
    'accounts:\n  - address: a@b.c',
    /2:5: accounts.0: expected an account with at least an address/,
  ],
  ['accounts:\n  - address: a@b.c\n    pasword: x', /3:5: accounts.0.pasword: .*"password"/],
  ['accounts:\n  - address: a@b.c\n    password: x\n    expires: 5', /4:14: .*60 to 86400/],
];
for (const [text, error] of badAccounts) {
  t.test(`an account that is none: ${JSON.stringify(text)}`, async t => {
    t.match((await errorsOf(text)).join('\n'), error);
  });
}

t.test('the role in the overlay is read, and checked', async t => {
  writeFileSync(path, 'overlay: {role: never}');
  t.match(await loadConfig(path), { overlayRole: 'never' });
  writeFileSync(path, 'overlay: {role: king}');
  await t.rejects(loadConfig(path), { message: /1:17: overlay.role: expected .*auto/ });
});

t.test('limits are read, and checked', async t => {
  writeFileSync(path, 'limits: {calls: 3}');
  t.equal((await loadConfig(path)).maxCalls, 3);
  writeFileSync(path, 'limits: {calls: 0}');
  await t.rejects(loadConfig(path), { message: /1:17: limits.calls: expected a number of calls/ });
});

t.test('users are read as they stand there', async t => {
  const users = [
    { name: 'anna', password: 'long enough' },
    { name: '101', password: '12345678' },
  ];
  writeFileSync(path, JSON.stringify({ users }));
  t.same((await loadConfig(path)).users, users);
});

const badUsers: readonly [text: string, error: RegExp][] = [
  ['users: anna', /1:8: users: expected a list of users/],
  ['users:\n  - name: anna', /2:5: users.0: expected a user with a name and a password/],
  ['users:\n  - name: a b\n    password: long-enough', /2:11: users.0.name: expected letters and/],
  [
    'users:\n  - name: anna\n    password: long-enough\n  - name: Anna\n    password: long-enough',
    /4:11: users.1.name: expected a name of its own, found "anna" twice/,
  ],
  ['users:\n  - name: anna\n    password: hidden', /3:15: .*8 characters or more, found one of 6/],
  [
    'users:\n  - name: anna\n    password: 271828182',
    /3:15: .*found a number \(put it in quotes\)/,
  ],
];
for (const [text, error] of badUsers) {
  t.test(`a user that is none: ${JSON.stringify(text)}`, async t => {
    const told = (await errorsOf(text)).join('\n');
    t.match(told, error);
    t.notMatch(told, /hidden|271828182/, 'passwords are not repeated');
  });
}

t.test('the schema knows the codecs there are, and what they are by default', async t => {
  t.same(schema.properties.codecs.items.enum, CODEC_NAMES);
  t.same(schema.properties.codecs.default, DEFAULT_CODECS);
  t.equal(parseCodecName('G722'), 'g722');
  t.throws(() => parseCodecName('g729'), {
    code: 'UNKNOWN_CODEC',
    message: 'expected one of opus, opus-fullband, g722, pcmu, pcma, l16, found "g729"',
  });
});
