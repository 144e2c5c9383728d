/** linphone phones registered at ours: calls both ways, hold, a digit, and transfers from either side. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exactly, type Figure } from '../harness/figures.js';
import { Linphone } from '../harness/linphone.js';
import { progress } from '../harness/program.js';
import { Ringline } from '../harness/ringline.js';
import { IN_TIME_MS, type Site } from './site.js';
import { heard, shown, soundOf, talked, withoutStall, writeVoices } from './voices.js';

const PASSWORD = 'what-linphone-says';
/** linphone refers to whom it asked by host alone: that means this port, at a host of its own in each run. */
const WELL_KNOWN_PORT = 5060;
const USERS = ['called', 'calling', 'sending', 'sent'] as const;

interface House {
  readonly site: Site;
  /** `HOST:PORT` of the phone they register at. */
  readonly place: string;
  readonly data: string;
}

export function measureLinphone(site: Site): Promise<Figure[]> {
  return withoutStall(site, measure);
}

async function measure(site: Site): Promise<Figure[]> {
  progress('interop: linphone phones registered at ours');
  writeVoices(site);
  const data = join(site.directory, 'house');
  mkdirSync(data);
  const users = USERS.map(name => ({ name, password: PASSWORD }));
  // JSON is YAML.
  writeFileSync(join(data, 'ringline.yaml'), JSON.stringify({ users }));
  const args = ['answer', '--name', 'house', '--listen', '127.0.0.1:0'];
  const files = ['--play', soundOf(site, 'ours'), '--record', join(data, 'heard.wav')];
  const phone = new Ringline([...args, ...files], { cleanup: site.cleanup, data });
  const place = String((await phone.heard('ready', IN_TIME_MS)).listen);
  const house = { site, place, data };
  const figures = await Promise.all([
    linphoneCalls(house, phone),
    linphoneIsCalled(house),
    linphoneTransfers(house),
    linphoneIsTransferred(house),
  ]);
  await phone.stop();
  return figures.flat();
}

/** The phone it is registered at: hold from either side, and a digit. */
async function linphoneCalls(house: House, phone: Ringline): Promise<Figure[]> {
  const { linphone, recording } = await startLinphone(house, 'calling', 'peer');
  linphone.say(`call sip:house@${house.place}`);
  await linphone.heard(/Media streams established/);
  const ours = join(house.data, 'heard.wav');
  await shown(ours, 'peer');
  await talked(ours);
  linphone.say('pause');
  await linphone.heard(/is now paused/);
  // It plays its file to whom it holds.
  linphone.say('resume');
  await linphone.heard(/Media streams established/);
  await shown(ours, 'peer');
  linphone.say('5');
  const { digit } = await phone.heard('digit', IN_TIME_MS);
  const held = await press(house, 'hold');
  await shown(ours, 'nobody');
  const resumed = await press(house, 'resume');
  await shown(ours, 'peer');
  linphone.say('terminate');
  await linphone.heard(/ended \(No error\)/);
  const ended = await phone.heard('ended', IN_TIME_MS);
  await linphone.stop();
  const name = 'linphone calls';
  return [
    exactly(0, `${name}, our hold and resume, exit statuses`, held + resumed, ''),
    exactly(1, `${name}, it hangs up`, ended.code === 'REMOTE_HUNG_UP' ? 1 : 0, 'call'),
    exactly(1, `${name}, we hear its digit`, digit === '5' ? 1 : 0, 'digit'),
    heard(`${name}, we hear it but where we hold it`, ours, ['peer', 'nobody', 'peer']),
    heard(`${name}, it hears us`, recording, ['ours']),
  ];
}

/** By way of the phone it is registered at, by another. */
async function linphoneIsCalled(house: House): Promise<Figure[]> {
  const { linphone, recording } = await startLinphone(house, 'called', 'peer');
  const { call, recording: ours } = await startCall(house, 'caller', `sip:called@${house.place}`);
  await shown(ours, 'peer');
  await talked(ours);
  await call.type('hangup');
  const status = Number(await call.child.ended);
  await linphone.heard(/ended \(No error\)/);
  await linphone.stop();
  const name = 'linphone is called';
  return [
    exactly(0, `${name}, exit status`, status, ''),
    heard(`${name}, we hear it`, ours, ['peer']),
    heard(`${name}, it hears us`, recording, ['ours']),
  ];
}

/** It asks another phone of ours, and has the two of us talk (Replaces). */
async function linphoneTransfers(house: House): Promise<Figure[]> {
  const { linphone } = await startLinphone(house, 'sending', 'peer');
  const other = await startOther(house, 'asked', `${nextHost()}:${WELL_KNOWN_PORT}`);
  const { call, recording } = await startCall(house, 'passed', `sip:sending@${house.place}`);
  await shown(recording, 'peer');
  linphone.say('pause');
  await linphone.heard(/is now paused/);
  linphone.say(`call ${other.uri}`);
  await linphone.heard(/Media streams established with sip:asked/);
  await shown(other.recording, 'peer');
  linphone.say('transfer 1 --to-call 2');
  await call.heard('transferred', IN_TIME_MS);
  await shown(recording, 'other');
  await shown(other.recording, 'ours');
  await call.type('hangup');
  const status = Number(await call.child.ended);
  await linphone.stop();
  await other.phone.stop();
  const name = 'linphone transfers us, attended';
  return [
    exactly(0, `${name}, exit status`, status, ''),
    heard(`${name}, what we hear`, recording, ['peer', 'other']),
    heard(`${name}, what the other hears`, other.recording, ['peer', 'ours']),
  ];
}

/** We ask another phone of ours, and send it there. */
async function linphoneIsTransferred(house: House): Promise<Figure[]> {
  const { site } = house;
  const { linphone, recording } = await startLinphone(house, 'sent', 'peer');
  const other = await startOther(house, 'target');
  const { call, recording: ours } = await startCall(house, 'attendant', `sip:sent@${house.place}`);
  await shown(ours, 'peer');
  await talked(ours);
  await call.type(`consult ${other.uri}`);
  await shown(other.recording, 'ours');
  // It records one call to a file.
  const second = join(site.directory, 'sent-further.wav');
  linphone.say(`record ${second}`);
  await linphone.heard(/sent-further\.wav/);
  await call.type('transfer');
  const status = Number(await call.child.ended);
  await shown(other.recording, 'peer');
  await talked(other.recording);
  linphone.say('terminate');
  await linphone.heard(/ended \(No error\)/);
  await linphone.stop();
  await other.phone.stop();
  const name = 'we transfer linphone, attended';
  return [
    exactly(0, `${name}, exit status`, status, ''),
    heard(`${name}, what it hears first`, recording, ['ours']),
    heard(`${name}, what it hears then`, second, ['other']),
    heard(`${name}, what the other hears`, other.recording, ['ours', 'peer']),
  ];
}

async function startLinphone({ site, place }: House, user: string, voice: 'peer' | 'other') {
  const directory = join(site.directory, `linphone-${user}`);
  const account = { address: `${user}@${place}`, password: PASSWORD };
  const sound = soundOf(site, voice);
  const linphone = await Linphone.start({ cleanup: site.cleanup, directory, sound, account });
  const recording = join(directory, 'heard.wav');
  linphone.say(`record ${recording}`);
  return { linphone, recording };
}

/** A phone of ours that answers, and can be called by address. */
async function startOther({ site }: House, name: string, listen = '127.0.0.1:0') {
  const data = join(site.directory, name);
  const recording = join(site.directory, `${name}.wav`);
  const args = ['answer', '--name', name, '--listen', listen];
  const files = ['--play', soundOf(site, 'other'), '--record', recording];
  const phone = new Ringline([...args, ...files], { cleanup: site.cleanup, data });
  const ready = await phone.heard('ready', IN_TIME_MS);
  return { phone, recording, uri: `sip:${name}@${ready.listen}` };
}

async function startCall({ site }: House, name: string, uri: string) {
  const recording = join(site.directory, `${name}.wav`);
  const args = ['call', uri, '--keys', '--listen', '127.0.0.1:0', '--seconds', '60'];
  const files = ['--play', soundOf(site, 'ours'), '--record', recording];
  const data = join(site.directory, `${name}-phone`);
  const call = new Ringline([...args, ...files], { cleanup: site.cleanup, data });
  await call.heard('connected', IN_TIME_MS);
  return { call, recording };
}

let hosts = 0;

/** Of loopback, used by nobody else. */
function nextHost(): string {
  const { pid } = process;
  return `127.${1 + ++hosts}.${(pid >> 8) % 256}.${1 + (pid % 254)}`;
}

async function press({ site, data }: House, key: string): Promise<number> {
  const pressed = new Ringline([key], { cleanup: site.cleanup, data });
  const status = Number(await pressed.child.ended);
  if (status !== 0) progress(`ringline ${key}: ${pressed.child.output()}`);
  return status;
}
