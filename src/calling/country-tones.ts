/**
 * What lines sound like, by country: the values of ITU-T E.180 Supplement 2 as telephone systems have them, in the
 * notation of `media/tone-notation.ts`. Where a country warbles one tone by another, the two that result are added.
 */
import { CodedError } from '../core/errors.js';

export interface CountryTones {
  readonly country: string;
  readonly dial: string;
  /** Heard by who calls while it rings there. */
  readonly ringback: string;
  readonly busy: string;
  /** No way through; also: the connection is over. */
  readonly congestion: string;
  /** Heard amid a call when another one comes. */
  readonly waiting: string;
  /** Not a number, or no longer one. */
  readonly information: string;
  /** How a bell rings: on and off in turn, in ms. */
  readonly ring: readonly number[];
}

const INFORMATION = '950/330,1400/330,1800/330,0/1000';

const TONES = {
  at: {
    country: 'Austria',
    dial: '420',
    ringback: '420/1000,0/5000',
    busy: '420/400,0/400',
    congestion: '420/200,0/200',
    waiting: '420/40,0/1960',
    information: '950/330,1450/330,1850/330,0/1000',
    ring: [1000, 5000],
  },
  au: {
    country: 'Australia',
    dial: '413+438',
    ringback: '413+438/400,0/200,413+438/400,0/2000',
    busy: '425/375,0/375',
    congestion: '425/375,0/375,420/375,0/375',
    waiting: '425/200,0/200,425/200,0/4400',
    information: '425/2500,0/500',
    ring: [400, 200, 400, 2000],
  },
  be: {
    country: 'Belgium',
    dial: '425',
    ringback: '425/1000,0/3000',
    busy: '425/500,0/500',
    congestion: '425/167,0/167',
    waiting: '1400/175,0/175,1400/175,0/3500',
    information: '900/330,1400/330,1800/330,0/1000',
    ring: [1000, 3000],
  },
  br: {
    country: 'Brazil',
    dial: '425',
    ringback: '425/1000,0/4000',
    busy: '425/250,0/250',
    congestion: '425/250,0/250,425/750,0/250',
    waiting: '425/50,0/1000',
    information: INFORMATION,
    ring: [1000, 4000],
  },
  ch: {
    country: 'Switzerland',
    dial: '425',
    ringback: '425/1000,0/4000',
    busy: '425/500,0/500',
    congestion: '425/200,0/200',
    waiting: '425/200,0/200,425/200,0/4000',
    information: INFORMATION,
    ring: [1000, 4000],
  },
  cn: {
    country: 'China',
    dial: '450',
    ringback: '450/1000,0/4000',
    busy: '450/350,0/350',
    congestion: '450/700,0/700',
    waiting: '450/400,0/4000',
    information: '450/100,0/100,450/100,0/100,450/100,0/100,450/400,0/400',
    ring: [1000, 4000],
  },
  cz: {
    country: 'Czech Republic',
    dial: '425/330,0/330,425/660,0/660',
    ringback: '425/1000,0/4000',
    busy: '425/330,0/330',
    congestion: '425/165,0/165',
    waiting: '425/330,0/9000',
    information: '950/330,0/30,1400/330,0/30,1800/330,0/1000',
    ring: [1000, 4000],
  },
  de: {
    country: 'Germany',
    dial: '425',
    ringback: '425/1000,0/4000',
    busy: '425/480,0/480',
    congestion: '425/240,0/240',
    waiting: '425/200,0/200,425/200,0/5000',
    information: INFORMATION,
    ring: [1000, 4000],
  },
  dk: {
    country: 'Denmark',
    dial: '425',
    ringback: '425/1000,0/4000',
    busy: '425/500,0/500',
    congestion: '425/200,0/200',
    waiting: '425/200,0/600,425/200,0/3000',
    information: INFORMATION,
    ring: [1000, 4000],
  },
  es: {
    country: 'Spain',
    dial: '425',
    ringback: '425/1500,0/3000',
    busy: '425/200,0/200',
    congestion: '425/200,0/200,425/200,0/200,425/200,0/600',
    waiting: '425/175,0/175,425/175,0/3500',
    information: INFORMATION,
    ring: [1500, 3000],
  },
  fi: {
    country: 'Finland',
    dial: '425',
    ringback: '425/1000,0/4000',
    busy: '425/300,0/300',
    congestion: '425/200,0/200',
    waiting: '425/150,0/150,425/150,0/8000',
    information: '950/650,0/325,950/325,0/30,1400/1300,0/2600',
    ring: [1000, 4000],
  },
  fr: {
    country: 'France',
    dial: '440',
    ringback: '440/1500,0/3500',
    busy: '440/500,0/500',
    congestion: '440/250,0/250',
    waiting: '440/300,0/10000',
    information: INFORMATION,
    ring: [1500, 3500],
  },
  it: {
    country: 'Italy',
    dial: '425/200,0/200,425/600,0/1000',
    ringback: '425/1000,0/4000',
    busy: '425/500,0/500',
    congestion: '425/200,0/200',
    waiting: '425/400,0/100,425/250,0/100,425/150,0/14000',
    information: INFORMATION,
    ring: [1000, 4000],
  },
  jp: {
    country: 'Japan',
    dial: '400',
    ringback: '384+416/1000,0/2000',
    busy: '400/500,0/500',
    congestion: '400/500,0/500',
    waiting: '384+416/500,0/8000',
    information: INFORMATION,
    ring: [1000, 2000],
  },
  nl: {
    country: 'Netherlands',
    dial: '425',
    ringback: '425/1000,0/4000',
    busy: '425/500,0/500',
    congestion: '425/250,0/250',
    waiting: '425/500,0/9500',
    information: INFORMATION,
    ring: [1000, 4000],
  },
  no: {
    country: 'Norway',
    dial: '425',
    ringback: '425/1000,0/4000',
    busy: '425/500,0/500',
    congestion: '425/200,0/200',
    waiting: '425/200,0/600,425/200,0/10000',
    information: INFORMATION,
    ring: [1000, 4000],
  },
  nz: {
    country: 'New Zealand',
    dial: '400',
    ringback: '400+450/400,0/200,400+450/400,0/2000',
    busy: '400/500,0/500',
    congestion: '400/250,0/250',
    waiting: '400/200,0/3000',
    information: '400/750,0/100,400/750,0/100,400/750,0/100,400/750,0/400',
    ring: [400, 200, 400, 2000],
  },
  se: {
    country: 'Sweden',
    dial: '425',
    ringback: '425/1000,0/5000',
    busy: '425/250,0/250',
    congestion: '425/250,0/750',
    waiting: '425/200,0/500,425/200,0/9100',
    information: '950/332,0/24,1400/332,0/24,1800/332,0/2024',
    ring: [1000, 5000],
  },
  uk: {
    country: 'United Kingdom',
    dial: '350+440',
    ringback: '400+450/400,0/200,400+450/400,0/2000',
    busy: '400/375,0/375',
    congestion: '400/400,0/350,400/225,0/525',
    waiting: '400/100,0/4000',
    information: '950/330,0/15,1400/330,0/15,1800/330,0/1000',
    ring: [400, 200, 400, 2000],
  },
  us: {
    country: 'United States and Canada',
    dial: '350+440',
    ringback: '440+480/2000,0/4000',
    busy: '480+620/500,0/500',
    congestion: '480+620/250,0/250',
    waiting: '440/300,0/10000',
    information: '!950/330,!1400/330,!1800/330,0',
    ring: [2000, 4000],
  },
} as const satisfies Record<string, CountryTones>;

export type Country = keyof typeof TONES;

export const COUNTRIES = Object.keys(TONES) as readonly Country[];
/** Where nobody says otherwise. */
export const DEFAULT_COUNTRY: Country = 'us';

export function tonesOf(country: Country): CountryTones {
  return TONES[country];
}

/** @throws {CodedError} `UNKNOWN_COUNTRY` */
export function parseCountry(text: string): Country {
  const country = COUNTRIES.find(known => known === text.toLowerCase());
  if (country) return country;
  const message = `expected one of ${COUNTRIES.join(', ')}, found "${text}"`;
  throw new CodedError('UNKNOWN_COUNTRY', message, {
    remedy: 'Take one whose tones are alike; most of Europe sounds like de.',
  });
}
