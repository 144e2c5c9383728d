import t from 'tap';
import { tlsSettings, trustPolicy, webSocketOptions } from '../../src/runtime/tls-policy.js';
import { selfSigned } from '../sip/certificate.js';

t.test('a server called by name proves it, whoever has only an address does not', async t => {
  const trust = trustPolicy({});
  t.same(trust('example.net'), { type: 'authorities' });
  t.equal(
    trust('example.net'),
    trust('sip.example.org'),
    'the same trust for each: connections are shared',
  );
  for (const name of [undefined, 'kitchen.local', 'kitchen']) {
    t.same(trust(name), { type: 'anybody' }, `${name}`);
  }
});

t.test('with authorities of one’s own names of the LAN prove themselves too', async t => {
  const certificates = ['PEM'];
  const trust = trustPolicy({ authorities: certificates });
  for (const name of ['example.net', 'pbx.local', 'pbx']) {
    t.same(trust(name), { type: 'authorities', certificates }, name);
  }
  t.same(trust(undefined), { type: 'anybody' });
});

t.test('who believes anybody does so by name too', async t => {
  const trust = trustPolicy({ trust: 'anybody', authorities: ['PEM'] });
  t.same(trust('example.net'), { type: 'anybody' });
});

t.test('a certificate from the configuration is shown instead of the phone’s own', async t => {
  const own = selfSigned('own');
  const given = selfSigned('given');
  const settings = (identity?: typeof given) =>
    tlsSettings({ ...(identity && { identity }) }, async () => own).identity();
  t.equal(await settings(), own);
  t.equal(await settings(given), given);
});

t.test('pages of other origins stay out, programs that are none do not', async t => {
  t.equal(webSocketOptions(undefined).acceptOrigin, undefined);
  const { acceptOrigin } = webSocketOptions(['https://panel.example']);
  t.equal(acceptOrigin?.('https://panel.example'), true);
  t.equal(acceptOrigin?.('https://evil.example'), false);
  t.equal(acceptOrigin?.(undefined), true);
});
