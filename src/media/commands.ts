/** What an engine asks of the media core: plain data, so that it can cross to another thread. */
import type {
  HeardDigit,
  LegOptions,
  LegSettings,
  LegStatistics,
  SentDigits,
  ToneSpec,
  VoiceProcessing,
} from './engine.js';
import type { PipeMemory } from './frame-pipe.js';
import type { PacerStatistics } from './pacer.js';
import type { StageTimes } from './tick-profile.js';

/** How late the ticks ran, and what they spent their time on. */
export interface MediaClockStatistics extends PacerStatistics {
  readonly stagesMs: StageTimes;
}

/** Nodes are named by numbers which the asking side gives out. */
export type NodeId = number;

export type MediaCommand =
  | { readonly type: 'open-leg'; readonly node: NodeId; readonly options: LegOptions }
  | { readonly type: 'move-leg'; readonly node: NodeId; readonly address: string }
  | { readonly type: 'configure-leg'; readonly node: NodeId; readonly settings: LegSettings }
  | { readonly type: 'leg-statistics'; readonly node: NodeId }
  | { readonly type: 'send-digits'; readonly node: NodeId; readonly digits: SentDigits }
  | { readonly type: 'open-mix'; readonly node: NodeId; readonly speakers: number | undefined }
  | {
      readonly type: 'open-player';
      readonly node: NodeId;
      readonly file: string;
      readonly loop: boolean;
    }
  | {
      readonly type: 'open-tone';
      readonly node: NodeId;
      readonly tones: ToneSpec;
      readonly loop: boolean;
      readonly levelDbm0: number | undefined;
      readonly sampleRate: number | undefined;
    }
  | { readonly type: 'open-recorder'; readonly node: NodeId; readonly file: string }
  | {
      readonly type: 'open-pipe';
      readonly node: NodeId;
      readonly memory: PipeMemory;
      readonly rate: number;
    }
  | { readonly type: 'process'; readonly node: NodeId; readonly processing: VoiceProcessing }
  | { readonly type: 'connect'; readonly from: NodeId; readonly to: NodeId; readonly gain: number }
  | { readonly type: 'disconnect'; readonly from: NodeId; readonly to: NodeId }
  | { readonly type: 'replace'; readonly node: NodeId; readonly by: NodeId }
  | { readonly type: 'close-node'; readonly node: NodeId }
  | { readonly type: 'clock-statistics'; readonly restart: boolean };

export type CommandType = MediaCommand['type'];
export type CommandOf<T extends CommandType> = Extract<MediaCommand, { readonly type: T }>;

/** What each command resolves to. */
export interface MediaResults {
  'open-leg': { readonly port: number };
  'move-leg': { readonly port: number };
  'configure-leg': undefined;
  'leg-statistics': LegStatistics;
  'send-digits': undefined;
  'open-mix': undefined;
  'open-player': undefined;
  'open-tone': undefined;
  'open-recorder': undefined;
  'open-pipe': undefined;
  process: undefined;
  connect: undefined;
  disconnect: undefined;
  replace: undefined;
  'close-node': undefined;
  'clock-statistics': MediaClockStatistics;
}

export type MediaResult = MediaResults[CommandType];

/** What the core tells without being asked. */
export type MediaEvent =
  /** A player or tone handed on its last sample. */
  | { readonly type: 'ended'; readonly node: NodeId }
  /** In what a node brings somebody begins or ceases to speak. */
  | { readonly type: 'voice'; readonly node: NodeId; readonly speaking: boolean }
  /** A leg heard a digit. */
  | { readonly type: 'digit'; readonly node: NodeId; readonly heard: HeardDigit }
  /** A node goes on without what failed (a recorder without its disk). */
  | { readonly type: 'failed'; readonly node: NodeId; readonly error: Error };
