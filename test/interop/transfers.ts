/**
 * Hold, resume and transfer with baresip, from either side: who hears whom is told by the tones in the
 * recordings, one for each phone.
 */
import { join } from 'node:path';
import {
  type BaresipOptions,
  nextSecond,
  recordingOf,
  recordingsOf,
  startBaresipCallee,
} from '../harness/baresip.js';
import { BaresipControl } from '../harness/baresip-control.js';
import type { Child } from '../harness/child.js';
import { exactly, type Figure } from '../harness/figures.js';
import { progress } from '../harness/program.js';
import { Ringline } from '../harness/ringline.js';
import { freePort } from '../harness/udp.js';
import { IN_TIME_MS, type Site } from './site.js';
import { heard, shown, soundOf, type Voice, withoutStall, writeVoices } from './voices.js';

interface Peer {
  readonly options: BaresipOptions;
  readonly child: Child;
  readonly control: BaresipControl;
  /** Where it is called. */
  readonly uri: string;
  /** The recording of its nth call, from 0. */
  heard(call: number): () => string | undefined;
}

export function measureTransfers(site: Site): Promise<Figure[]> {
  return withoutStall(site, measure);
}

async function measure(site: Site): Promise<Figure[]> {
  writeVoices(site);
  const checks = [
    holdBothWays,
    peerTransfersUs,
    weTransferPeer,
    weTransferAttended,
    weTransferFromThePhone,
  ];
  return (await Promise.all(checks.map(check => check(site)))).flat();
}

async function holdBothWays(site: Site): Promise<Figure[]> {
  progress('interop: hold and resume with baresip');
  const peer = await startPeer(site, 'held', 'peer');
  const { call, recording } = await startCall(site, 'holds', peer.uri);
  await shown(recording, 'peer');
  await shown(peer.heard(0), 'ours');
  await call.type('hold');
  await shown(recording, 'nobody');
  await call.type('resume');
  await shown(recording, 'peer');
  await peer.control.command('hold');
  await shown(recording, 'nobody');
  await peer.control.command('resume');
  await shown(recording, 'peer');
  await call.type('hangup');
  const status = Number(await call.child.ended);
  await peer.child.stop();
  return [
    exactly(0, 'hold both ways with baresip, exit status', status, ''),
    heard('hold both ways, what we hear', recording, ['peer', 'nobody', 'peer', 'nobody', 'peer']),
    heard('hold both ways, what baresip hears', await recordingOf(peer.options.directory), [
      'ours',
    ]),
  ];
}

async function peerTransfersUs(site: Site): Promise<Figure[]> {
  progress('interop: baresip transfers us');
  const peer = await startPeer(site, 'transferor', 'peer');
  const other = await startPeer(site, 'its-target', 'other');
  const { call, recording } = await startCall(site, 'transferee', peer.uri);
  await shown(recording, 'peer');
  await peer.control.command('transfer', other.uri);
  await call.heard('transferred', IN_TIME_MS);
  await peer.control.heard('CALL_CLOSED');
  await shown(recording, 'other');
  await shown(other.heard(0), 'ours');
  await call.type('hangup');
  const status = Number(await call.child.ended);
  await Promise.all([peer.child.stop(), other.child.stop()]);
  const name = 'baresip transfers us';
  return [
    exactly(0, `${name}, exit status`, status, ''),
    heard(`${name}, what we hear`, recording, ['peer', 'other']),
    heard(`${name}, what the new one hears`, await recordingOf(other.options.directory), ['ours']),
  ];
}

async function weTransferPeer(site: Site): Promise<Figure[]> {
  progress('interop: we transfer baresip');
  const peer = await startPeer(site, 'transferred', 'peer');
  const other = await startPeer(site, 'our-target', 'other');
  const { call } = await startCall(site, 'transferor', peer.uri);
  await shown(peer.heard(0), 'ours');
  await nextSecond();
  await call.type(`transfer ${other.uri}`);
  const status = Number(await call.child.ended);
  await shown(peer.heard(1), 'other');
  await shown(other.heard(0), 'peer');
  await Promise.all([peer.child.stop(), other.child.stop()]);
  const name = 'we transfer baresip';
  const [before, after] = recordingsOf(peer.options.directory);
  return [
    exactly(0, `${name}, exit status`, status, ''),
    heard(`${name}, what it hears first`, before, ['ours']),
    heard(`${name}, what it hears then`, after, ['other']),
    heard(`${name}, what the new one hears`, await recordingOf(other.options.directory), ['peer']),
  ];
}

/** We ask the one before we send the other to it. */
async function weTransferAttended(site: Site): Promise<Figure[]> {
  progress('interop: we transfer baresip, attended');
  const peer = await startPeer(site, 'waiting', 'peer');
  const other = await startPeer(site, 'consulted', 'other');
  const { call, recording } = await startCall(site, 'attendant', peer.uri);
  const consulting = recording.replace('.wav', '-2.wav');
  await shown(recording, 'peer');
  await call.type(`consult ${other.uri}`);
  await shown(recording, 'nobody');
  await shown(consulting, 'other');
  await shown(other.heard(0), 'ours');
  await nextSecond();
  await call.type('transfer');
  const status = Number(await call.child.ended);
  await shown(peer.heard(1), 'other');
  await shown(other.heard(1), 'peer');
  await Promise.all([peer.child.stop(), other.child.stop()]);
  const name = 'we transfer baresip, attended';
  const [consulted, after] = recordingsOf(other.options.directory);
  return [
    exactly(0, `${name}, exit status`, status, ''),
    heard(`${name}, what we hear of it`, recording, ['peer', 'nobody']),
    heard(`${name}, what we hear of the new one`, consulting, ['other']),
    heard(`${name}, what the new one hears of us`, consulted, ['ours']),
    heard(`${name}, what it hears then`, recordingsOf(peer.options.directory)[1], ['other']),
    heard(`${name}, what the new one hears then`, after, ['peer']),
  ];
}

/** The phone that runs is called, and its calls are handled by commands of their own. */
async function weTransferFromThePhone(site: Site): Promise<Figure[]> {
  progress('interop: a phone that runs holds and transfers baresip');
  const data = join(site.directory, 'running');
  const peer = await startPeer(site, 'caller', 'peer');
  const other = await startPeer(site, 'phones-target', 'other');
  const recording = join(site.directory, 'running.wav');
  const phone = new Ringline(
    [
      ...['answer', '--name', 'running', '--listen', '127.0.0.1:0'],
      ...['--play', soundOf(site, 'ours'), '--record', recording],
    ],
    { cleanup: site.cleanup, data },
  );
  const target = String((await phone.heard('ready', IN_TIME_MS)).listen);
  const press = async (...key: string[]) => {
    const pressed = new Ringline(key, { cleanup: site.cleanup, data });
    return Number(await pressed.child.ended);
  };
  const nobody = await press('hold');
  await peer.control.command('dial', `sip:running@${target}`);
  await phone.heard('connected', IN_TIME_MS);
  await shown(recording, 'peer');
  const statuses = [await press('hold')];
  await shown(recording, 'nobody');
  statuses.push(await press('resume'));
  await shown(recording, 'peer');
  await nextSecond();
  statuses.push(await press('transfer', other.uri));
  await phone.heard('ended', IN_TIME_MS);
  await shown(other.heard(0), 'peer');
  await shown(peer.heard(1), 'other');
  await Promise.all([phone.stop(), peer.child.stop(), other.child.stop()]);
  const name = 'a phone that runs transfers baresip';
  const failed = statuses.filter(status => status !== 0).length;
  return [
    exactly(1, `${name}, exit status without a call`, nobody, ''),
    exactly(0, `${name}, keys that failed`, failed, 'keys'),
    heard(`${name}, what it hears`, recording, ['peer', 'nobody', 'peer']),
    heard(`${name}, what the new one hears`, await recordingOf(other.options.directory), ['peer']),
    heard(`${name}, what baresip hears then`, recordingsOf(peer.options.directory)[1], ['other']),
  ];
}

async function startPeer(site: Site, name: string, voice: Voice): Promise<Peer> {
  const [port, controlPort] = [await freePort(), await freePort()];
  const options: BaresipOptions = {
    cleanup: site.cleanup,
    directory: join(site.directory, name),
    port,
    controlPort,
    codec: 'PCMU',
    sound: soundOf(site, voice),
  };
  const child = await startBaresipCallee(options);
  const control = await BaresipControl.open(site.cleanup, controlPort);
  const heardIn = (call: number) => () => recordingsOf(options.directory)[call];
  return { options, child, control, uri: `sip:peer@127.0.0.1:${port}`, heard: heardIn };
}

/** `ringline call --keys`, connected. */
async function startCall(site: Site, name: string, uri: string) {
  const recording = join(site.directory, `${name}.wav`);
  const call = new Ringline(
    [
      ...['call', uri, '--keys', '--listen', '127.0.0.1:0', '--seconds', '60'],
      ...['--play', soundOf(site, 'ours'), '--record', recording],
    ],
    { cleanup: site.cleanup, data: join(site.directory, `${name}-phone`) },
  );
  await call.heard('connected', IN_TIME_MS);
  return { call, recording };
}
