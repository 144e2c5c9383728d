/** Caller preferences (RFC 3841 §7.2) against what devices said they can do (RFC 3840). */
import {
  AcceptContact,
  BASE_FEATURES,
  type Params,
  RejectContact,
  type SipRequest,
} from '@sip-stack/parser';

export interface CallerPreferences {
  readonly method: string;
  readonly accept: readonly Params[];
  readonly reject: readonly Params[];
}

/** @throws {SipSyntaxError} */
export function preferencesOf({ method, headers }: SipRequest): CallerPreferences {
  return { method, accept: headers.all(AcceptContact), reject: headers.all(RejectContact) };
}

/**
 * How well a device suits the caller, 0 to 1: the mean over the Accept-Contact values of the share of
 * their features that it has.
 *
 * @param features Contact parameters
 * @returns undefined where it must not be tried
 */
export function scoreOf(
  features: Params | undefined,
  { method, accept, reject }: CallerPreferences,
): number | undefined {
  const device = featuresOf(features);
  // Who says nothing is neither preferred nor ruled out.
  if (device.size === 0) return 1;
  if (accept.length === 0 && reject.length === 0) {
    const methods = device.get('methods');
    return methods !== undefined && !haveCommonValue(methods, method) ? undefined : 1;
  }
  if (reject.some(params => isRejected(device, featuresOf(params)))) return undefined;
  let sum = 0;
  for (const params of accept) {
    const share = shareOf(device, featuresOf(params));
    const wholly = share === 1 || (share !== undefined && !params.has('explicit'));
    if (!wholly && params.has('require')) return undefined;
    if (wholly) sum += share;
  }
  return accept.length === 0 ? 1 : sum / accept.length;
}

/** A device is ruled out only by features it speaks of itself, all of them. */
function isRejected(device: Map<string, string>, wanted: Map<string, string>): boolean {
  if (wanted.size === 0) return false;
  return [...wanted].every(([tag, value]) => haveCommonValue(device.get(tag), value));
}

/** The share of features that it has; undefined where it contradicts one. */
function shareOf(device: Map<string, string>, wanted: Map<string, string>): number | undefined {
  let had = 0;
  for (const [tag, value] of wanted) {
    const own = device.get(tag);
    if (own === undefined) continue;
    if (!haveCommonValue(own, value)) return undefined;
    had++;
  }
  return wanted.size === 0 ? 1 : had / wanted.size;
}

function featuresOf(params: Params | undefined): Map<string, string> {
  const features = new Map<string, string>();
  for (const [name, value] of params ?? []) {
    const tag = name.toLowerCase();
    if (BASE_FEATURES.includes(tag) || tag.startsWith('+')) features.set(tag, value);
  }
  return features;
}

/** Both are lists of alternatives (RFC 3840 §9); a flag stands for TRUE. */
function haveCommonValue(own: string | undefined, wanted: string): boolean {
  if (own === undefined) return false;
  const values = alternatives(own);
  return alternatives(wanted).some(one => values.some(other => overlap(one, other)));
}

function alternatives(text: string): string[] {
  if (text === '') return ['true'];
  // A string is one value, commas and all, and case matters in it.
  if (text.startsWith('<')) return [text];
  return text.split(',').map(value => value.trim().toLowerCase());
}

function overlap(a: string, b: string): boolean {
  if (a.startsWith('!')) return a.slice(1) !== b;
  if (b.startsWith('!')) return b.slice(1) !== a;
  if (a.startsWith('#') && b.startsWith('#')) {
    const [lowA, highA] = range(a);
    const [lowB, highB] = range(b);
    return lowA <= highB && lowB <= highA;
  }
  return a === b;
}

/** `#=1`, `#>=1`, `#<=1`, `#1:2` */
function range(text: string): readonly [low: number, high: number] {
  const [, relation, first, second] = /^#(>=|<=|=)?([-\d.]+)(?::([-\d.]+))?$/.exec(text) ?? [];
  const value = Number(first);
  if (relation === '>=') return [value, Number.POSITIVE_INFINITY];
  if (relation === '<=') return [Number.NEGATIVE_INFINITY, value];
  return [value, second === undefined ? value : Number(second)];
}
