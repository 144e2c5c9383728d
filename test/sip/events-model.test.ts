/**
 * Every state a subscription can reach, at both of its ends, and every event in each, against tables one
 * can read beside RFC 6665; `test/harness/explore.ts` says how.
 */
import t from 'tap';
import {
  COMPOSITOR_LIMITS,
  type CompositorAction,
  type CompositorEvent,
  type CompositorState,
  newCompositor,
  publicationsOf,
  stepCompositor,
} from '../../src/sip/events/compositor-machine.js';
import {
  type NotifierAction,
  type NotifierEvent,
  type NotifierState,
  type NotifierTimer,
  newNotifierState,
  stepNotifier,
} from '../../src/sip/events/notifier-machine.js';
import {
  newPublisher,
  type PublishAnswer,
  type PublisherAction,
  type PublisherEvent,
  type PublisherState,
  stepPublisher,
} from '../../src/sip/events/publisher-machine.js';
import {
  type NotifiedState,
  newSubscription,
  type SubscriberAction,
  type SubscriberEvent,
  type SubscriberState,
  type SubscriberTimer,
  type SubscriptionAnswer,
  type SubscriptionKind,
  stepSubscriber,
} from '../../src/sip/events/subscriber-machine.js';
import { explore, sameTable, type Walk } from '../harness/explore.js';

const LASTING = `
idle: start: -> subscribing +notify subscribe
idle: unsubscribe: -> ended finish
idle: - network changed
idle: ! granted, granted alone, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503, active, active for a while, pending, deactivated, probation for an hour, timed out there, given up there, rejected, no resource, invariant, terminated without a reason, timer notify, timer refresh, timer expire, timer pause
subscribing: granted: -> accepted +refresh +expire
subscribing: too brief, 423 with more: +notify subscribe | -> ended finish 423
subscribing: too brief, 423 with less: -> ended finish 423
subscribing: bad event 489: -> ended finish 489
subscribing: forbidden 403: -> ended finish 403
subscribing: no answer 408, gone 481, come back in an hour 503, timer notify: -> waiting +pause
subscribing: active, active for a while: -> active (subscribe) +refresh +expire deliver
subscribing: pending: -> pending (subscribe) +refresh +expire deliver
subscribing: deactivated, timed out there: -> waiting deliver +pause | -> waiting deliver +pause 0
subscribing: probation for an hour, given up there, terminated without a reason: -> waiting deliver +pause
subscribing: rejected: -> ended deliver finish (rejected)
subscribing: no resource: -> ended deliver finish (noresource)
subscribing: invariant: -> ended deliver finish (invariant)
subscribing: unsubscribe: -> subscribing, to leave
subscribing: - network changed
subscribing: ! start, granted alone, timer refresh, timer expire, timer pause
ended: - network changed, unsubscribe
ended: ! start, granted, granted alone, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503, active, active for a while, pending, deactivated, probation for an hour, timed out there, given up there, rejected, no resource, invariant, terminated without a reason, timer notify, timer refresh, timer expire, timer pause
accepted: active, active for a while: -> active +refresh +expire deliver
accepted: pending: -> pending +refresh +expire deliver
accepted: deactivated, timed out there: -> waiting deliver +pause | -> waiting deliver +pause 0
accepted: probation for an hour, given up there, terminated without a reason: -> waiting deliver +pause
accepted: rejected: -> ended deliver finish (rejected)
accepted: no resource: -> ended deliver finish (noresource)
accepted: invariant: -> ended deliver finish (invariant)
accepted: timer notify: -> waiting +pause
accepted: unsubscribe: -> accepted, to leave
accepted: - timer refresh, timer expire, network changed
accepted: ! start, granted, granted alone, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503, timer pause
waiting: timer pause, network changed: -> subscribing +notify subscribe
waiting: unsubscribe: -> ended finish
waiting: ! start, granted, granted alone, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503, active, active for a while, pending, deactivated, probation for an hour, timed out there, given up there, rejected, no resource, invariant, terminated without a reason, timer notify, timer refresh, timer expire
active (subscribe): granted: -> active (refresh) +refresh +expire refresh | -> active +refresh +expire
active (subscribe): too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503: -> active | -> active (refresh) refresh
active (subscribe): active: deliver
active (subscribe): active for a while: +refresh +expire deliver
active (subscribe): pending: -> pending (subscribe) +refresh +expire deliver
active (subscribe): deactivated, timed out there: -> waiting deliver +pause | -> waiting deliver +pause 0
active (subscribe): probation for an hour, given up there, terminated without a reason: -> waiting deliver +pause
active (subscribe): rejected: -> ended deliver finish (rejected)
active (subscribe): no resource: -> ended deliver finish (noresource)
active (subscribe): invariant: -> ended deliver finish (invariant)
active (subscribe): timer expire: -> waiting +pause | -> waiting +pause 0
active (subscribe): unsubscribe: -> active (subscribe), to leave
active (subscribe): - timer refresh, network changed
active (subscribe): ! start, granted alone, timer notify, timer pause
pending (subscribe): granted: -> pending (refresh) +refresh +expire refresh | -> pending +refresh +expire
pending (subscribe): too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503: -> pending | -> pending (refresh) refresh
pending (subscribe): active: -> active (subscribe) deliver
pending (subscribe): active for a while: -> active (subscribe) +refresh +expire deliver
pending (subscribe): pending: +refresh +expire deliver
pending (subscribe): deactivated, timed out there: -> waiting deliver +pause | -> waiting deliver +pause 0
pending (subscribe): probation for an hour, given up there, terminated without a reason: -> waiting deliver +pause
pending (subscribe): rejected: -> ended deliver finish (rejected)
pending (subscribe): no resource: -> ended deliver finish (noresource)
pending (subscribe): invariant: -> ended deliver finish (invariant)
pending (subscribe): timer expire: -> waiting +pause | -> waiting +pause 0
pending (subscribe): unsubscribe: -> pending (subscribe), to leave
pending (subscribe): - timer refresh, network changed
pending (subscribe): ! start, granted alone, timer notify, timer pause
subscribing, to leave: granted: -> accepted, to leave +refresh +expire
subscribing, to leave: too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503, deactivated, probation for an hour, timed out there, given up there, rejected, no resource, invariant, terminated without a reason, timer notify: -> ended finish
subscribing, to leave: active, active for a while: -> active (subscribe), to leave +refresh +expire
subscribing, to leave: pending: -> pending (subscribe), to leave +refresh +expire
subscribing, to leave: - network changed, unsubscribe
subscribing, to leave: ! start, granted alone, timer refresh, timer expire, timer pause
active: active: deliver
active: active for a while: +refresh +expire deliver
active: pending: -> pending +refresh +expire deliver
active: deactivated, timed out there: -> waiting deliver +pause | -> waiting deliver +pause 0
active: probation for an hour, given up there, terminated without a reason: -> waiting deliver +pause
active: rejected: -> ended deliver finish (rejected)
active: no resource: -> ended deliver finish (noresource)
active: invariant: -> ended deliver finish (invariant)
active: timer refresh, network changed: -> active (refresh) refresh
active: timer expire: -> waiting +pause | -> waiting +pause 0
active: unsubscribe: -> leaving +notify remove
active: ! start, granted, granted alone, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503, timer notify, timer pause
pending: active: -> active deliver
pending: active for a while: -> active +refresh +expire deliver
pending: pending: +refresh +expire deliver
pending: deactivated, timed out there: -> waiting deliver +pause | -> waiting deliver +pause 0
pending: probation for an hour, given up there, terminated without a reason: -> waiting deliver +pause
pending: rejected: -> ended deliver finish (rejected)
pending: no resource: -> ended deliver finish (noresource)
pending: invariant: -> ended deliver finish (invariant)
pending: timer refresh, network changed: -> pending (refresh) refresh
pending: timer expire: -> waiting +pause | -> waiting +pause 0
pending: unsubscribe: -> leaving +notify remove
pending: ! start, granted, granted alone, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503, timer notify, timer pause
accepted, to leave: active, active for a while, pending: -> leaving +refresh +expire +notify remove
accepted, to leave: deactivated, probation for an hour, timed out there, given up there, rejected, no resource, invariant, terminated without a reason, timer notify: -> ended finish
accepted, to leave: - timer refresh, timer expire, network changed, unsubscribe
accepted, to leave: ! start, granted, granted alone, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503, timer pause
active (subscribe), to leave: granted, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503: -> leaving +notify remove
active (subscribe), to leave: active for a while: +refresh +expire
active (subscribe), to leave: pending: -> pending (subscribe), to leave +refresh +expire
active (subscribe), to leave: deactivated, probation for an hour, timed out there, given up there, rejected, no resource, invariant, terminated without a reason, timer expire: -> ended finish
active (subscribe), to leave: - active, timer refresh, network changed, unsubscribe
active (subscribe), to leave: ! start, granted alone, timer notify, timer pause
pending (subscribe), to leave: granted, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503: -> leaving +notify remove
pending (subscribe), to leave: active: -> active (subscribe), to leave
pending (subscribe), to leave: active for a while: -> active (subscribe), to leave +refresh +expire
pending (subscribe), to leave: pending: +refresh +expire
pending (subscribe), to leave: deactivated, probation for an hour, timed out there, given up there, rejected, no resource, invariant, terminated without a reason, timer expire: -> ended finish
pending (subscribe), to leave: - timer refresh, network changed, unsubscribe
pending (subscribe), to leave: ! start, granted alone, timer notify, timer pause
active (refresh): granted: +refresh +expire refresh | -> active +refresh +expire
active (refresh): too brief, 423 with more: -> active +refresh | refresh
active (refresh): too brief, 423 with less, forbidden 403, no answer 408, come back in an hour 503: -> active +refresh
active (refresh): bad event 489: -> ended finish 489
active (refresh): gone 481, timer expire: -> waiting +pause | -> waiting +pause 0
active (refresh): active, active for a while: deliver
active (refresh): pending: -> pending (refresh) deliver
active (refresh): deactivated, timed out there: -> waiting deliver +pause | -> waiting deliver +pause 0
active (refresh): probation for an hour, given up there, terminated without a reason: -> waiting deliver +pause
active (refresh): rejected: -> ended deliver finish (rejected)
active (refresh): no resource: -> ended deliver finish (noresource)
active (refresh): invariant: -> ended deliver finish (invariant)
active (refresh): unsubscribe: -> active (refresh), to leave
active (refresh): - network changed
active (refresh): ! start, granted alone, timer notify, timer refresh, timer pause
leaving: too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503, deactivated, probation for an hour, timed out there, given up there, rejected, no resource, invariant, terminated without a reason, timer notify: -> ended finish
leaving: - granted, active, active for a while, pending, network changed, unsubscribe
leaving: ! start, granted alone, timer refresh, timer expire, timer pause
pending (refresh): granted: +refresh +expire refresh | -> pending +refresh +expire
pending (refresh): too brief, 423 with more: -> pending +refresh | refresh
pending (refresh): too brief, 423 with less, forbidden 403, no answer 408, come back in an hour 503: -> pending +refresh
pending (refresh): bad event 489: -> ended finish 489
pending (refresh): gone 481, timer expire: -> waiting +pause | -> waiting +pause 0
pending (refresh): active, active for a while: -> active (refresh) deliver
pending (refresh): pending: deliver
pending (refresh): deactivated, timed out there: -> waiting deliver +pause | -> waiting deliver +pause 0
pending (refresh): probation for an hour, given up there, terminated without a reason: -> waiting deliver +pause
pending (refresh): rejected: -> ended deliver finish (rejected)
pending (refresh): no resource: -> ended deliver finish (noresource)
pending (refresh): invariant: -> ended deliver finish (invariant)
pending (refresh): unsubscribe: -> pending (refresh), to leave
pending (refresh): - network changed
pending (refresh): ! start, granted alone, timer notify, timer refresh, timer pause
active (refresh), to leave: granted, too brief, 423 with more, too brief, 423 with less, forbidden 403, no answer 408, come back in an hour 503: -> leaving +notify remove
active (refresh), to leave: bad event 489, gone 481, deactivated, probation for an hour, timed out there, given up there, rejected, no resource, invariant, terminated without a reason, timer expire: -> ended finish
active (refresh), to leave: pending: -> pending (refresh), to leave
active (refresh), to leave: - active, active for a while, network changed, unsubscribe
active (refresh), to leave: ! start, granted alone, timer notify, timer refresh, timer pause
pending (refresh), to leave: granted, too brief, 423 with more, too brief, 423 with less, forbidden 403, no answer 408, come back in an hour 503: -> leaving +notify remove
pending (refresh), to leave: bad event 489, gone 481, deactivated, probation for an hour, timed out there, given up there, rejected, no resource, invariant, terminated without a reason, timer expire: -> ended finish
pending (refresh), to leave: active, active for a while: -> active (refresh), to leave
pending (refresh), to leave: - pending, network changed, unsubscribe
pending (refresh), to leave: ! start, granted alone, timer notify, timer refresh, timer pause
`;
const BRANCH = `
idle: start: -> accepted
idle: unsubscribe: -> ended finish
idle: - network changed
idle: ! granted, granted alone, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503, active, active for a while, pending, deactivated, probation for an hour, timed out there, given up there, rejected, no resource, invariant, terminated without a reason, timer notify, timer refresh, timer expire, timer pause
accepted: active, active for a while: -> active +refresh +expire deliver
accepted: pending: -> pending +refresh +expire deliver
accepted: deactivated: -> ended deliver finish (deactivated)
accepted: probation for an hour: -> ended deliver finish (probation)
accepted: timed out there: -> ended deliver finish (timeout)
accepted: given up there: -> ended deliver finish (giveup)
accepted: rejected: -> ended deliver finish (rejected)
accepted: no resource: -> ended deliver finish (noresource)
accepted: invariant: -> ended deliver finish (invariant)
accepted: terminated without a reason: -> ended deliver finish ()
accepted: unsubscribe: -> ended finish
accepted: - network changed
accepted: ! start, granted, granted alone, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503, timer notify, timer refresh, timer expire, timer pause
ended: - network changed, unsubscribe
ended: ! start, granted, granted alone, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503, active, active for a while, pending, deactivated, probation for an hour, timed out there, given up there, rejected, no resource, invariant, terminated without a reason, timer notify, timer refresh, timer expire, timer pause
active: active: deliver
active: active for a while: +refresh +expire deliver
active: pending: -> pending +refresh +expire deliver
active: deactivated: -> ended deliver finish (deactivated)
active: probation for an hour: -> ended deliver finish (probation)
active: timed out there: -> ended deliver finish (timeout)
active: given up there: -> ended deliver finish (giveup)
active: rejected: -> ended deliver finish (rejected)
active: no resource: -> ended deliver finish (noresource)
active: invariant: -> ended deliver finish (invariant)
active: terminated without a reason: -> ended deliver finish ()
active: timer refresh, network changed: -> active (refresh) refresh
active: timer expire: -> ended finish (timeout)
active: unsubscribe: -> leaving +notify remove
active: ! start, granted, granted alone, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503, timer notify, timer pause
pending: active: -> active deliver
pending: active for a while: -> active +refresh +expire deliver
pending: pending: +refresh +expire deliver
pending: deactivated: -> ended deliver finish (deactivated)
pending: probation for an hour: -> ended deliver finish (probation)
pending: timed out there: -> ended deliver finish (timeout)
pending: given up there: -> ended deliver finish (giveup)
pending: rejected: -> ended deliver finish (rejected)
pending: no resource: -> ended deliver finish (noresource)
pending: invariant: -> ended deliver finish (invariant)
pending: terminated without a reason: -> ended deliver finish ()
pending: timer refresh, network changed: -> pending (refresh) refresh
pending: timer expire: -> ended finish (timeout)
pending: unsubscribe: -> leaving +notify remove
pending: ! start, granted, granted alone, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503, timer notify, timer pause
active (refresh): granted: +refresh +expire refresh | -> active +refresh +expire
active (refresh): too brief, 423 with more: -> active +refresh | refresh
active (refresh): too brief, 423 with less, forbidden 403, no answer 408, come back in an hour 503: -> active +refresh
active (refresh): bad event 489: -> ended finish 489
active (refresh): gone 481: -> ended finish 481
active (refresh): active, active for a while: deliver
active (refresh): pending: -> pending (refresh) deliver
active (refresh): deactivated: -> ended deliver finish (deactivated)
active (refresh): probation for an hour: -> ended deliver finish (probation)
active (refresh): timed out there: -> ended deliver finish (timeout)
active (refresh): given up there: -> ended deliver finish (giveup)
active (refresh): rejected: -> ended deliver finish (rejected)
active (refresh): no resource: -> ended deliver finish (noresource)
active (refresh): invariant: -> ended deliver finish (invariant)
active (refresh): terminated without a reason: -> ended deliver finish ()
active (refresh): timer expire: -> ended finish (timeout)
active (refresh): unsubscribe: -> active (refresh), to leave
active (refresh): - network changed
active (refresh): ! start, granted alone, timer notify, timer refresh, timer pause
leaving: too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503, deactivated, probation for an hour, timed out there, given up there, rejected, no resource, invariant, terminated without a reason, timer notify: -> ended finish
leaving: - granted, active, active for a while, pending, network changed, unsubscribe
leaving: ! start, granted alone, timer refresh, timer expire, timer pause
pending (refresh): granted: +refresh +expire refresh | -> pending +refresh +expire
pending (refresh): too brief, 423 with more: -> pending +refresh | refresh
pending (refresh): too brief, 423 with less, forbidden 403, no answer 408, come back in an hour 503: -> pending +refresh
pending (refresh): bad event 489: -> ended finish 489
pending (refresh): gone 481: -> ended finish 481
pending (refresh): active, active for a while: -> active (refresh) deliver
pending (refresh): pending: deliver
pending (refresh): deactivated: -> ended deliver finish (deactivated)
pending (refresh): probation for an hour: -> ended deliver finish (probation)
pending (refresh): timed out there: -> ended deliver finish (timeout)
pending (refresh): given up there: -> ended deliver finish (giveup)
pending (refresh): rejected: -> ended deliver finish (rejected)
pending (refresh): no resource: -> ended deliver finish (noresource)
pending (refresh): invariant: -> ended deliver finish (invariant)
pending (refresh): terminated without a reason: -> ended deliver finish ()
pending (refresh): timer expire: -> ended finish (timeout)
pending (refresh): unsubscribe: -> pending (refresh), to leave
pending (refresh): - network changed
pending (refresh): ! start, granted alone, timer notify, timer refresh, timer pause
active (refresh), to leave: granted, too brief, 423 with more, too brief, 423 with less, forbidden 403, no answer 408, come back in an hour 503: -> leaving +notify remove
active (refresh), to leave: bad event 489, gone 481, deactivated, probation for an hour, timed out there, given up there, rejected, no resource, invariant, terminated without a reason, timer expire: -> ended finish
active (refresh), to leave: pending: -> pending (refresh), to leave
active (refresh), to leave: - active, active for a while, network changed, unsubscribe
active (refresh), to leave: ! start, granted alone, timer notify, timer refresh, timer pause
pending (refresh), to leave: granted, too brief, 423 with more, too brief, 423 with less, forbidden 403, no answer 408, come back in an hour 503: -> leaving +notify remove
pending (refresh), to leave: bad event 489, gone 481, deactivated, probation for an hour, timed out there, given up there, rejected, no resource, invariant, terminated without a reason, timer expire: -> ended finish
pending (refresh), to leave: active, active for a while: -> active (refresh), to leave
pending (refresh), to leave: - pending, network changed, unsubscribe
pending (refresh), to leave: ! start, granted alone, timer notify, timer refresh, timer pause
`;
const FETCH = `
idle: start: -> subscribing +notify subscribe
idle: unsubscribe: -> ended finish
idle: - network changed
idle: ! granted, granted alone, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503, active, active for a while, pending, deactivated, probation for an hour, timed out there, given up there, rejected, no resource, invariant, terminated without a reason, timer notify, timer refresh, timer expire, timer pause
subscribing: granted: -> accepted
subscribing: too brief, 423 with more, too brief, 423 with less: -> ended finish 423
subscribing: bad event 489: -> ended finish 489
subscribing: forbidden 403: -> ended finish 403
subscribing: no answer 408, timer notify: -> ended finish 408
subscribing: gone 481: -> ended finish 481
subscribing: come back in an hour 503: -> ended finish 503
subscribing: active, active for a while, pending, terminated without a reason: -> ended deliver finish ()
subscribing: deactivated: -> ended deliver finish (deactivated)
subscribing: probation for an hour: -> ended deliver finish (probation)
subscribing: timed out there: -> ended deliver finish (timeout)
subscribing: given up there: -> ended deliver finish (giveup)
subscribing: rejected: -> ended deliver finish (rejected)
subscribing: no resource: -> ended deliver finish (noresource)
subscribing: invariant: -> ended deliver finish (invariant)
subscribing: unsubscribe: -> subscribing, to leave
subscribing: - network changed
subscribing: ! start, granted alone, timer refresh, timer expire, timer pause
ended: - network changed, unsubscribe
ended: ! start, granted, granted alone, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503, active, active for a while, pending, deactivated, probation for an hour, timed out there, given up there, rejected, no resource, invariant, terminated without a reason, timer notify, timer refresh, timer expire, timer pause
accepted: active, active for a while, pending, terminated without a reason: -> ended deliver finish ()
accepted: deactivated: -> ended deliver finish (deactivated)
accepted: probation for an hour: -> ended deliver finish (probation)
accepted: timed out there: -> ended deliver finish (timeout)
accepted: given up there: -> ended deliver finish (giveup)
accepted: rejected: -> ended deliver finish (rejected)
accepted: no resource: -> ended deliver finish (noresource)
accepted: invariant: -> ended deliver finish (invariant)
accepted: timer notify: -> ended finish 408
accepted: unsubscribe: -> accepted, to leave
accepted: - network changed
accepted: ! start, granted, granted alone, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503, timer refresh, timer expire, timer pause
subscribing, to leave: granted: -> accepted, to leave
subscribing, to leave: too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503, active, active for a while, pending, deactivated, probation for an hour, timed out there, given up there, rejected, no resource, invariant, terminated without a reason, timer notify: -> ended finish
subscribing, to leave: - network changed, unsubscribe
subscribing, to leave: ! start, granted alone, timer refresh, timer expire, timer pause
accepted, to leave: active, active for a while, pending, deactivated, probation for an hour, timed out there, given up there, rejected, no resource, invariant, terminated without a reason, timer notify: -> ended finish
accepted, to leave: - network changed, unsubscribe
accepted, to leave: ! start, granted, granted alone, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503, timer refresh, timer expire, timer pause
`;
const IMPLICIT = `
idle: start: -> subscribing +notify subscribe
idle: unsubscribe: -> ended finish
idle: - network changed
idle: ! granted, granted alone, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503, active, active for a while, pending, deactivated, probation for an hour, timed out there, given up there, rejected, no resource, invariant, terminated without a reason, timer notify, timer refresh, timer expire, timer pause
subscribing: granted: -> accepted
subscribing: granted alone: -> ended finish
subscribing: too brief, 423 with more, too brief, 423 with less: -> ended finish 423
subscribing: bad event 489: -> ended finish 489
subscribing: forbidden 403: -> ended finish 403
subscribing: no answer 408, timer notify: -> ended finish 408
subscribing: gone 481: -> ended finish 481
subscribing: come back in an hour 503: -> ended finish 503
subscribing: active, active for a while: -> active (subscribe) +expire deliver
subscribing: pending: -> pending (subscribe) +expire deliver
subscribing: deactivated: -> ended deliver finish (deactivated)
subscribing: probation for an hour: -> ended deliver finish (probation)
subscribing: timed out there: -> ended deliver finish (timeout)
subscribing: given up there: -> ended deliver finish (giveup)
subscribing: rejected: -> ended deliver finish (rejected)
subscribing: no resource: -> ended deliver finish (noresource)
subscribing: invariant: -> ended deliver finish (invariant)
subscribing: terminated without a reason: -> ended deliver finish ()
subscribing: unsubscribe: -> subscribing, to leave
subscribing: - network changed
subscribing: ! start, timer refresh, timer expire, timer pause
ended: - network changed, unsubscribe
ended: ! start, granted, granted alone, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503, active, active for a while, pending, deactivated, probation for an hour, timed out there, given up there, rejected, no resource, invariant, terminated without a reason, timer notify, timer refresh, timer expire, timer pause
accepted: active, active for a while: -> active +expire deliver
accepted: pending: -> pending +expire deliver
accepted: deactivated: -> ended deliver finish (deactivated)
accepted: probation for an hour: -> ended deliver finish (probation)
accepted: timed out there: -> ended deliver finish (timeout)
accepted: given up there: -> ended deliver finish (giveup)
accepted: rejected: -> ended deliver finish (rejected)
accepted: no resource: -> ended deliver finish (noresource)
accepted: invariant: -> ended deliver finish (invariant)
accepted: terminated without a reason: -> ended deliver finish ()
accepted: timer notify: -> ended finish 408
accepted: unsubscribe: -> accepted, to leave
accepted: - network changed
accepted: ! start, granted, granted alone, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503, timer refresh, timer expire, timer pause
active (subscribe): granted, granted alone, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503: -> active
active (subscribe): active: deliver
active (subscribe): active for a while: +expire deliver
active (subscribe): pending: -> pending (subscribe) +expire deliver
active (subscribe): deactivated: -> ended deliver finish (deactivated)
active (subscribe): probation for an hour: -> ended deliver finish (probation)
active (subscribe): timed out there: -> ended deliver finish (timeout)
active (subscribe): given up there: -> ended deliver finish (giveup)
active (subscribe): rejected: -> ended deliver finish (rejected)
active (subscribe): no resource: -> ended deliver finish (noresource)
active (subscribe): invariant: -> ended deliver finish (invariant)
active (subscribe): terminated without a reason: -> ended deliver finish ()
active (subscribe): timer expire: -> ended finish (timeout)
active (subscribe): unsubscribe: -> active (subscribe), to leave
active (subscribe): - network changed
active (subscribe): ! start, timer notify, timer refresh, timer pause
pending (subscribe): granted, granted alone, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503: -> pending
pending (subscribe): active: -> active (subscribe) deliver
pending (subscribe): active for a while: -> active (subscribe) +expire deliver
pending (subscribe): pending: +expire deliver
pending (subscribe): deactivated: -> ended deliver finish (deactivated)
pending (subscribe): probation for an hour: -> ended deliver finish (probation)
pending (subscribe): timed out there: -> ended deliver finish (timeout)
pending (subscribe): given up there: -> ended deliver finish (giveup)
pending (subscribe): rejected: -> ended deliver finish (rejected)
pending (subscribe): no resource: -> ended deliver finish (noresource)
pending (subscribe): invariant: -> ended deliver finish (invariant)
pending (subscribe): terminated without a reason: -> ended deliver finish ()
pending (subscribe): timer expire: -> ended finish (timeout)
pending (subscribe): unsubscribe: -> pending (subscribe), to leave
pending (subscribe): - network changed
pending (subscribe): ! start, timer notify, timer refresh, timer pause
subscribing, to leave: granted: -> accepted, to leave
subscribing, to leave: granted alone, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503, deactivated, probation for an hour, timed out there, given up there, rejected, no resource, invariant, terminated without a reason, timer notify: -> ended finish
subscribing, to leave: active, active for a while: -> active (subscribe), to leave +expire
subscribing, to leave: pending: -> pending (subscribe), to leave +expire
subscribing, to leave: - network changed, unsubscribe
subscribing, to leave: ! start, timer refresh, timer expire, timer pause
active: active: deliver
active: active for a while: +expire deliver
active: pending: -> pending +expire deliver
active: deactivated: -> ended deliver finish (deactivated)
active: probation for an hour: -> ended deliver finish (probation)
active: timed out there: -> ended deliver finish (timeout)
active: given up there: -> ended deliver finish (giveup)
active: rejected: -> ended deliver finish (rejected)
active: no resource: -> ended deliver finish (noresource)
active: invariant: -> ended deliver finish (invariant)
active: terminated without a reason: -> ended deliver finish ()
active: timer expire: -> ended finish (timeout)
active: unsubscribe: -> leaving +notify remove
active: - network changed
active: ! start, granted, granted alone, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503, timer notify, timer refresh, timer pause
pending: active: -> active deliver
pending: active for a while: -> active +expire deliver
pending: pending: +expire deliver
pending: deactivated: -> ended deliver finish (deactivated)
pending: probation for an hour: -> ended deliver finish (probation)
pending: timed out there: -> ended deliver finish (timeout)
pending: given up there: -> ended deliver finish (giveup)
pending: rejected: -> ended deliver finish (rejected)
pending: no resource: -> ended deliver finish (noresource)
pending: invariant: -> ended deliver finish (invariant)
pending: terminated without a reason: -> ended deliver finish ()
pending: timer expire: -> ended finish (timeout)
pending: unsubscribe: -> leaving +notify remove
pending: - network changed
pending: ! start, granted, granted alone, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503, timer notify, timer refresh, timer pause
accepted, to leave: active, active for a while, pending: -> leaving +expire +notify remove
accepted, to leave: deactivated, probation for an hour, timed out there, given up there, rejected, no resource, invariant, terminated without a reason, timer notify: -> ended finish
accepted, to leave: - network changed, unsubscribe
accepted, to leave: ! start, granted, granted alone, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503, timer refresh, timer expire, timer pause
active (subscribe), to leave: granted, granted alone, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503: -> leaving +notify remove
active (subscribe), to leave: active for a while: +expire
active (subscribe), to leave: pending: -> pending (subscribe), to leave +expire
active (subscribe), to leave: deactivated, probation for an hour, timed out there, given up there, rejected, no resource, invariant, terminated without a reason, timer expire: -> ended finish
active (subscribe), to leave: - active, network changed, unsubscribe
active (subscribe), to leave: ! start, timer notify, timer refresh, timer pause
pending (subscribe), to leave: granted, granted alone, too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503: -> leaving +notify remove
pending (subscribe), to leave: active: -> active (subscribe), to leave
pending (subscribe), to leave: active for a while: -> active (subscribe), to leave +expire
pending (subscribe), to leave: pending: +expire
pending (subscribe), to leave: deactivated, probation for an hour, timed out there, given up there, rejected, no resource, invariant, terminated without a reason, timer expire: -> ended finish
pending (subscribe), to leave: - network changed, unsubscribe
pending (subscribe), to leave: ! start, timer notify, timer refresh, timer pause
leaving: too brief, 423 with more, too brief, 423 with less, bad event 489, forbidden 403, no answer 408, gone 481, come back in an hour 503, deactivated, probation for an hour, timed out there, given up there, rejected, no resource, invariant, terminated without a reason, timer notify: -> ended finish
leaving: - granted, active, active for a while, pending, network changed, unsubscribe
leaving: ! start, granted alone, timer refresh, timer expire, timer pause
`;
const PUBLISHER = `
idle: changed: -> idle, telling publish
idle: stop: -> ended finish
idle: ! taken 200, taken 200 without a tag, gone 412, too brief, 423 with more, too brief, 423 with less, bad event 489, come back in an hour 503, timer
idle, telling: changed: -> idle, telling, changed
idle, telling: taken 200: -> published +timer
idle, telling: taken 200 without a tag, too brief, 423 with less, come back in an hour 503: -> waiting +timer
idle, telling: gone 412, too brief, 423 with more: -> waiting +timer | publish
idle, telling: bad event 489: -> ended finish 489
idle, telling: stop: -> leaving, telling
idle, telling: ! timer
ended: - changed, stop
ended: ! taken 200, taken 200 without a tag, gone 412, too brief, 423 with more, too brief, 423 with less, bad event 489, come back in an hour 503, timer
idle, telling, changed: taken 200: -> published, telling again modify
idle, telling, changed: taken 200 without a tag, too brief, 423 with less, come back in an hour 503: -> waiting +timer
idle, telling, changed: gone 412, too brief, 423 with more: -> idle, telling publish | -> waiting +timer
idle, telling, changed: bad event 489: -> ended finish 489
idle, telling, changed: stop: -> leaving, telling, changed
idle, telling, changed: - changed
idle, telling, changed: ! timer
published: changed: -> published, telling again modify
published: timer: -> published, telling again refresh
published: stop: -> removing, telling again remove
published: ! taken 200, taken 200 without a tag, gone 412, too brief, 423 with more, too brief, 423 with less, bad event 489, come back in an hour 503
waiting: timer: -> waiting, telling again modify | -> waiting, telling publish
waiting: stop: -> ended finish | -> removing, telling again, changed remove
waiting: - changed
waiting: ! taken 200, taken 200 without a tag, gone 412, too brief, 423 with more, too brief, 423 with less, bad event 489, come back in an hour 503
leaving, telling: taken 200: -> removing, telling again remove
leaving, telling: taken 200 without a tag, gone 412, too brief, 423 with more, too brief, 423 with less, bad event 489, come back in an hour 503: -> ended finish
leaving, telling: - changed, stop
leaving, telling: ! timer
published, telling again: changed: -> published, telling again, changed
published, telling again: taken 200: -> published +timer
published, telling again: taken 200 without a tag, too brief, 423 with less, come back in an hour 503: -> waiting +timer
published, telling again: gone 412: -> published, telling publish
published, telling again: too brief, 423 with more: -> waiting +timer | modify
published, telling again: bad event 489: -> ended finish 489
published, telling again: stop: -> leaving, telling again
published, telling again: ! timer
leaving, telling, changed: taken 200: -> removing, telling again, changed remove
leaving, telling, changed: taken 200 without a tag, gone 412, too brief, 423 with more, too brief, 423 with less, bad event 489, come back in an hour 503: -> ended finish
leaving, telling, changed: - changed, stop
leaving, telling, changed: ! timer
removing, telling again: taken 200, taken 200 without a tag, gone 412, too brief, 423 with more, too brief, 423 with less, bad event 489, come back in an hour 503: -> ended finish
removing, telling again: - changed, stop
removing, telling again: ! timer
waiting, telling: changed: -> waiting, telling, changed
waiting, telling: taken 200: -> published +timer
waiting, telling: taken 200 without a tag, gone 412, too brief, 423 with less, come back in an hour 503: -> waiting +timer
waiting, telling: too brief, 423 with more: -> waiting +timer | publish
waiting, telling: bad event 489: -> ended finish 489
waiting, telling: stop: -> leaving, telling
waiting, telling: ! timer
published, telling again, changed: taken 200: -> published, telling again modify
published, telling again, changed: taken 200 without a tag, too brief, 423 with less, come back in an hour 503: -> waiting +timer
published, telling again, changed: gone 412: -> published, telling publish
published, telling again, changed: too brief, 423 with more: -> published, telling again modify | -> waiting +timer
published, telling again, changed: bad event 489: -> ended finish 489
published, telling again, changed: stop: -> leaving, telling again, changed
published, telling again, changed: - changed
published, telling again, changed: ! timer
published, telling: changed: -> published, telling, changed
published, telling: taken 200: -> published +timer
published, telling: taken 200 without a tag, gone 412, too brief, 423 with less, come back in an hour 503: -> waiting +timer
published, telling: too brief, 423 with more: -> waiting +timer | publish
published, telling: bad event 489: -> ended finish 489
published, telling: stop: -> leaving, telling
published, telling: ! timer
leaving, telling again: taken 200, taken 200 without a tag, too brief, 423 with more, too brief, 423 with less, bad event 489, come back in an hour 503: -> removing, telling again remove
leaving, telling again: gone 412: -> ended finish
leaving, telling again: - changed, stop
leaving, telling again: ! timer
removing, telling again, changed: taken 200, taken 200 without a tag, gone 412, too brief, 423 with more, too brief, 423 with less, bad event 489, come back in an hour 503: -> ended finish
removing, telling again, changed: - changed, stop
removing, telling again, changed: ! timer
waiting, telling, changed: taken 200: -> published, telling again modify
waiting, telling, changed: taken 200 without a tag, gone 412, too brief, 423 with less, come back in an hour 503: -> waiting +timer
waiting, telling, changed: too brief, 423 with more: -> waiting +timer | -> waiting, telling publish
waiting, telling, changed: bad event 489: -> ended finish 489
waiting, telling, changed: stop: -> leaving, telling, changed
waiting, telling, changed: - changed
waiting, telling, changed: ! timer
leaving, telling again, changed: taken 200, taken 200 without a tag, too brief, 423 with more, too brief, 423 with less, bad event 489, come back in an hour 503: -> removing, telling again, changed remove
leaving, telling again, changed: gone 412: -> ended finish
leaving, telling again, changed: - changed, stop
leaving, telling again, changed: ! timer
waiting, telling again: changed: -> waiting, telling again, changed
waiting, telling again: taken 200: -> published +timer
waiting, telling again: taken 200 without a tag, gone 412, too brief, 423 with less, come back in an hour 503: -> waiting +timer
waiting, telling again: too brief, 423 with more: -> waiting +timer | modify
waiting, telling again: bad event 489: -> ended finish 489
waiting, telling again: stop: -> leaving, telling again
waiting, telling again: ! timer
published, telling, changed: taken 200: -> published, telling again modify
published, telling, changed: taken 200 without a tag, gone 412, too brief, 423 with less, come back in an hour 503: -> waiting +timer
published, telling, changed: too brief, 423 with more: -> published, telling publish | -> waiting +timer
published, telling, changed: bad event 489: -> ended finish 489
published, telling, changed: stop: -> leaving, telling, changed
published, telling, changed: - changed
published, telling, changed: ! timer
waiting, telling again, changed: taken 200: -> published, telling again modify
waiting, telling again, changed: taken 200 without a tag, gone 412, too brief, 423 with less, come back in an hour 503: -> waiting +timer
waiting, telling again, changed: too brief, 423 with more: -> waiting +timer | -> waiting, telling again modify
waiting, telling again, changed: bad event 489: -> ended finish 489
waiting, telling again, changed: stop: -> leaving, telling again, changed
waiting, telling again, changed: - changed
waiting, telling again, changed: ! timer
`;
const COMPOSITOR = `
0 published: initial: -> 1 published accept changed
0 published: initial without a body: refuse 400
0 published: initial, too brief: refuse 423
0 published: initial for 0 s: accept 0
0 published: initial, too large: refuse 413
0 published: of an unknown tag: refuse 412
0 published: - half an hour passes
0 published: ! refresh, modify, remove
1 published: initial: -> 2 published accept changed
1 published: initial without a body: refuse 400
1 published: initial, too brief: refuse 423
1 published: initial for 0 s: accept 0
1 published: initial, too large: refuse 413
1 published: refresh: accept
1 published: modify: accept changed
1 published: remove: -> 0 published accept 0 changed
1 published: of an unknown tag: refuse 412
1 published: half an hour passes: -> 0 published changed | nothing
2 published: initial: refuse 503
2 published: initial without a body: refuse 400
2 published: initial, too brief: refuse 423
2 published: initial for 0 s: accept 0
2 published: initial, too large: refuse 413
2 published: refresh: accept
2 published: modify: accept changed
2 published: remove: -> 1 published accept 0 changed
2 published: of an unknown tag: refuse 412
2 published: half an hour passes: -> 0 published changed | -> 1 published changed | nothing
`;
const NOTIFIER = `
new: subscribe: -> telling accept +expire +interval notify
new: subscribe for 0 s: -> last accept notify terminated (timeout)
new: ! changed, answer 200, answer 481, answer 408, answer 500, answer 503, come back, timer expire, timer interval, terminate
telling: subscribe: -> telling, due now accept +expire
telling: subscribe for 0 s: -> ending accept
telling: changed: -> telling, due later
telling: answer 200, answer 500: -> idle | -> pausing
telling: answer 481, answer 408: -> ended finish
telling: answer 503, come back: -> pausing, due later +interval
telling: timer expire, terminate: -> ending
telling: - timer interval
last: subscribe, subscribe for 0 s: refuse 481
last: answer 200, answer 481, answer 408, answer 500, answer 503, come back: -> ended finish
last: - changed, terminate
last: ! timer expire, timer interval
telling, due now: subscribe: accept +expire
telling, due now: subscribe for 0 s: -> ending accept
telling, due now: answer 200, answer 500: -> telling +interval notify
telling, due now: answer 481, answer 408: -> ended finish
telling, due now: answer 503, come back: -> pausing, due later +interval
telling, due now: timer expire, terminate: -> ending
telling, due now: - changed, timer interval
ending: subscribe, subscribe for 0 s: refuse 481
ending: answer 200, answer 500, answer 503, come back: -> last notify terminated (probation) | -> last notify terminated (timeout)
ending: answer 481, answer 408: -> ended finish
ending: - changed, terminate
ending: ! timer expire, timer interval
telling, due later: subscribe: -> telling, due now accept +expire
telling, due later: subscribe for 0 s: -> ending accept
telling, due later: answer 200, answer 500: -> pausing, due later | -> telling +interval notify
telling, due later: answer 481, answer 408: -> ended finish
telling, due later: answer 503, come back: -> pausing, due later +interval
telling, due later: timer expire, terminate: -> ending
telling, due later: - changed, timer interval
pausing: subscribe: -> telling accept +expire +interval notify
pausing: subscribe for 0 s: -> last accept notify terminated (timeout)
pausing: changed: -> pausing, due later
pausing: timer expire: -> last notify terminated (timeout)
pausing: timer interval: -> idle
pausing: terminate: -> last notify terminated (probation)
pausing: ! answer 200, answer 481, answer 408, answer 500, answer 503, come back
ended: subscribe, subscribe for 0 s: refuse 481
ended: - changed, terminate
ended: ! answer 200, answer 481, answer 408, answer 500, answer 503, come back, timer expire, timer interval
pausing, due later: subscribe: -> telling accept +expire +interval notify
pausing, due later: subscribe for 0 s: -> last accept notify terminated (timeout)
pausing, due later: timer expire: -> last notify terminated (timeout)
pausing, due later: timer interval: -> telling +interval notify
pausing, due later: terminate: -> last notify terminated (probation)
pausing, due later: - changed
pausing, due later: ! answer 200, answer 481, answer 408, answer 500, answer 503, come back
idle: subscribe: -> telling accept +expire +interval notify
idle: subscribe for 0 s: -> last accept notify terminated (timeout)
idle: changed: -> telling +interval notify
idle: timer expire: -> last notify terminated (timeout)
idle: terminate: -> last notify terminated (probation)
idle: ! answer 200, answer 481, answer 408, answer 500, answer 503, come back, timer interval
`;

/** Asked for at first, in seconds, and what the other side demands. */
const ASKED_S = 600;
const MORE_S = 1800;
/** From here on the pause grows no more. */
const MOST_FAILURES = 8;

interface SubscriberModel {
  subscription: SubscriberState;
  timers: Set<SubscriberTimer>;
  /** There is a dialog, or one is expected: NOTIFYs reach us. */
  reachable: boolean;
  finished: boolean;
}

const answered =
  (status: number, more: Partial<SubscriptionAnswer> = {}) =>
  ({ subscription }: SubscriberModel): SubscriberEvent | undefined =>
    subscription.request && { type: 'answer', answer: { status, ...more } };
const notified =
  (state: NotifiedState['state'], more: Partial<NotifiedState> = {}) =>
  ({ reachable }: SubscriberModel): SubscriberEvent | undefined =>
    reachable ? { type: 'notify', notified: { state, ...more } } : undefined;
const fires =
  (timer: SubscriberTimer) =>
  ({ timers }: SubscriberModel): SubscriberEvent | undefined =>
    timers.has(timer) ? { type: 'timer', timer } : undefined;

const subscriberEvents = {
  start: ({ subscription }: SubscriberModel): SubscriberEvent | undefined =>
    subscription.phase === 'idle' ? { type: 'start' } : undefined,
  granted: answered(200, { expiresS: ASKED_S }),
  'granted alone': ({ subscription }: SubscriberModel): SubscriberEvent | undefined =>
    subscription.request === 'subscribe' && subscription.kind === 'implicit'
      ? { type: 'answer', answer: { status: 202, alone: true } }
      : undefined,
  'too brief, 423 with more': answered(423, { minExpiresS: MORE_S }),
  'too brief, 423 with less': answered(423, { minExpiresS: 1 }),
  'bad event 489': answered(489),
  'forbidden 403': answered(403),
  'no answer 408': answered(408),
  'gone 481': answered(481),
  'come back in an hour 503': answered(503, { retryAfterS: 3600 }),
  active: notified('active'),
  'active for a while': notified('active', { expiresS: ASKED_S }),
  pending: notified('pending', { expiresS: ASKED_S }),
  deactivated: notified('terminated', { reason: 'deactivated' }),
  'probation for an hour': notified('terminated', { reason: 'probation', retryAfterS: 3600 }),
  'timed out there': notified('terminated', { reason: 'timeout' }),
  'given up there': notified('terminated', { reason: 'giveup' }),
  rejected: notified('terminated', { reason: 'rejected' }),
  'no resource': notified('terminated', { reason: 'noresource' }),
  invariant: notified('terminated', { reason: 'invariant' }),
  'terminated without a reason': notified('terminated'),
  'timer notify': fires('notify'),
  'timer refresh': fires('refresh'),
  'timer expire': fires('expire'),
  'timer pause': fires('pause'),
  'network changed': (): SubscriberEvent => ({ type: 'network-changed' }),
  unsubscribe: (): SubscriberEvent => ({ type: 'unsubscribe' }),
};

function briefSubscriber(action: SubscriberAction): string | undefined {
  switch (action.type) {
    case 'set-timer':
      return action.timer === 'pause' && action.ms === 0 ? '+pause 0' : `+${action.timer}`;
    case 'cancel-timer':
    case 'forget-dialog':
    case 'tell':
      return undefined;
    case 'refresh':
      return action.expiresS === 0 ? 'remove' : 'refresh';
    case 'answer-notify':
      return action.status === 200 ? undefined : `answer ${action.status}`;
    case 'finish': {
      const { end } = action;
      if (end.by === 'refusal') return `finish ${end.status}`;
      return end.by === 'local' ? 'finish' : `finish (${end.reason})`;
    }
    default:
      return action.type;
  }
}

function subscriberWalk(kind: SubscriptionKind, persistent: boolean): Walk {
  return explore<SubscriberModel, SubscriberEvent, SubscriberAction>({
    types: {
      start: true,
      answer: true,
      notify: true,
      timer: true,
      'network-changed': true,
      unsubscribe: true,
    },
    starts: [
      {
        subscription: newSubscription({
          kind,
          persistent,
          expiresS: ASKED_S,
          timerNMs: 32_000,
          chance: () => 0,
        }),
        timers: new Set(),
        reachable: false,
        finished: false,
      },
    ],
    events: subscriberEvents,
    copy: model => ({
      ...model,
      subscription: { ...model.subscription },
      timers: new Set(model.timers),
    }),
    step: (model, event) => {
      if (event.type === 'timer') model.timers.delete(event.timer);
      const actions = stepSubscriber(model.subscription, event);
      if (event.type === 'start') model.reachable = true;
      for (const action of actions) {
        if (action.type === 'set-timer') model.timers.add(action.timer);
        if (action.type === 'cancel-timer') model.timers.delete(action.timer);
        if (action.type === 'subscribe') model.reachable = true;
        if (action.type === 'forget-dialog') model.reachable = false;
        if (action.type === 'finish') model.finished = true;
      }
      model.subscription.failures = Math.min(model.subscription.failures, MOST_FAILURES);
      return actions;
    },
    key: ({
      subscription: { phase, expiresS, request, leave, again, failures },
      timers,
      reachable,
    }) =>
      [phase, expiresS, request, leave, again, failures, reachable, ...[...timers].sort()].join(),
    mode: ({ subscription: { phase, request, leave } }) => {
      const asked = phase === 'subscribing' && !request ? 'accepted' : phase;
      const busy = request && (phase === 'active' || phase === 'pending') ? ` (${request})` : '';
      return `${asked}${busy}${leave && phase !== 'leaving' && phase !== 'ended' ? ', to leave' : ''}`;
    },
    brief: briefSubscriber,
    check: ({ before, event, actions, after }) => {
      const { phase, request } = after.subscription;
      const notify = actions.filter(({ type }) => type === 'answer-notify').length;
      if (notify !== (event.type === 'notify' ? 1 : 0))
        throw new Error('a NOTIFY without its answer');
      if (before.finished && actions.length > notify)
        throw new Error('something is done after the end');
      const finishes = actions.filter(({ type }) => type === 'finish').length;
      const over = phase === 'ended' && before.subscription.phase !== 'ended';
      if (finishes !== (over ? 1 : 0)) throw new Error(`${finishes} ends told`);
      if (over && actions.at(-1)?.type !== 'finish') throw new Error('the end is not the last');
      if (phase === 'ended' && after.timers.size > 0) throw new Error('a timer is left');
      if (phase === 'ended' && after.reachable) throw new Error('a dialog is left');
      const asks = actions.filter(({ type }) => type === 'subscribe' || type === 'refresh').length;
      const unanswered = before.subscription.request && event.type !== 'answer';
      const dropped = actions.some(({ type }) => type === 'forget-dialog');
      if (asks > 1 || (asks === 1 && unanswered && !dropped))
        throw new Error('two requests at once');
      const waits = phase !== 'ended' && phase !== 'idle' && kind !== 'branch';
      if (waits && !request && after.timers.size === 0)
        throw new Error('nothing will happen any more');
      if (phase === 'active' && !after.timers.has('expire') && !request) {
        throw new Error('a subscription that never ends');
      }
    },
  });
}

t.test('subscriptions that last', async t => {
  sameTable(t, subscriberWalk('lasting', true), LASTING);
});

t.test('those of the branches of a fork', async t => {
  sameTable(t, subscriberWalk('branch', false), BRANCH);
});

t.test('those that fetch the state once', async t => {
  sameTable(t, subscriberWalk('fetch', false), FETCH);
});

t.test('those that a REFER implies', async t => {
  sameTable(t, subscriberWalk('implicit', false), IMPLICIT);
});

// ---- the notifier

interface NotifierModel {
  subscription: NotifierState;
  timers: Set<NotifierTimer>;
  begun: boolean;
}

const told =
  (status: number, retryAfterS?: number) =>
  ({ subscription }: NotifierModel): NotifierEvent | undefined =>
    subscription.outstanding
      ? { type: 'answer', status, ...(retryAfterS !== undefined && { retryAfterS }) }
      : undefined;
const once =
  (event: NotifierEvent) =>
  ({ begun }: NotifierModel): NotifierEvent | undefined =>
    begun ? event : undefined;
const elapses =
  (timer: NotifierTimer) =>
  ({ timers }: NotifierModel): NotifierEvent | undefined =>
    timers.has(timer) ? { type: 'timer', timer } : undefined;

const notifierEvents = {
  subscribe: (): NotifierEvent => ({ type: 'subscribe', expiresS: ASKED_S }),
  'subscribe for 0 s': (): NotifierEvent => ({ type: 'subscribe', expiresS: 0 }),
  changed: once({ type: 'changed' }),
  'answer 200': told(200),
  'answer 481': told(481),
  'answer 408': told(408),
  'answer 500': told(500),
  'answer 503, come back': told(503, 10),
  'timer expire': elapses('expire'),
  'timer interval': elapses('interval'),
  terminate: once({ type: 'terminate', end: { reason: 'probation', retryAfterS: 30 } }),
};

t.test('the notifier', async t => {
  const walk = explore<NotifierModel, NotifierEvent, NotifierAction>({
    types: { subscribe: true, changed: true, answer: true, timer: true, terminate: true },
    starts: [{ subscription: newNotifierState(1000), timers: new Set(), begun: false }],
    events: notifierEvents,
    copy: model => ({
      ...model,
      subscription: { ...model.subscription },
      timers: new Set(model.timers),
    }),
    step: (model, event) => {
      if (event.type === 'timer') model.timers.delete(event.timer);
      const actions = stepNotifier(model.subscription, event);
      model.begun = true;
      for (const action of actions) {
        if (action.type === 'set-timer') model.timers.add(action.timer);
        if (action.type === 'cancel-timer') model.timers.delete(action.timer);
      }
      return actions;
    },
    key: ({ subscription: { phase, outstanding, due, paused, end }, timers, begun }) =>
      [phase, outstanding, due, paused, end?.reason, begun, ...[...timers].sort()].join(),
    mode: ({ subscription: { phase, outstanding, due, paused }, begun }) => {
      if (!begun) return 'new';
      if (phase !== 'active') return phase;
      const told = outstanding ? 'telling' : paused ? 'pausing' : 'idle';
      return due === 'no' ? told : `${told}, due ${due}`;
    },
    brief: action => {
      switch (action.type) {
        case 'set-timer':
          return `+${action.timer}`;
        case 'cancel-timer':
          return undefined;
        case 'refuse':
          return `refuse ${action.status}`;
        case 'notify':
          return action.end ? `notify terminated (${action.end.reason})` : 'notify';
        default:
          return action.type;
      }
    },
    check: ({ before, event, actions, after }) => {
      const { phase, outstanding, due, paused } = after.subscription;
      const notifies = actions.filter(({ type }) => type === 'notify').length;
      const free = !before.subscription.outstanding || event.type === 'answer';
      if (notifies > 1 || (notifies === 1 && !free)) throw new Error('two NOTIFYs at once');
      const soon = notifies === 1 && before.subscription.paused;
      const urgent =
        phase !== 'active' || event.type === 'subscribe' || before.subscription.due === 'now';
      if (soon && event.type !== 'timer' && !urgent) throw new Error('changes are told too often');
      if (phase === 'ended' && after.timers.size > 0) throw new Error('a timer is left');
      if (phase === 'last' && !outstanding) throw new Error('the last NOTIFY is not on its way');
      const waits = outstanding || (paused && after.timers.has('interval'));
      if (phase === 'active' && due !== 'no' && !waits) {
        throw new Error('a change is never told');
      }
      if (phase === 'active' && after.begun && !after.timers.has('expire')) {
        throw new Error('a subscription that never ends');
      }
    },
  });
  sameTable(t, walk, NOTIFIER);
});

// ---- PUBLISH: the publisher

interface PublisherModel {
  publisher: PublisherState;
  timer: boolean;
}

const publishAnswered =
  (status: number, more: Partial<PublishAnswer> = {}) =>
  ({ publisher }: PublisherModel): PublisherEvent | undefined =>
    publisher.pending ? { type: 'answer', answer: { status, ...more } } : undefined;

const publisherEvents = {
  changed: (): PublisherEvent => ({ type: 'changed' }),
  'taken 200': publishAnswered(200, { etag: 'e', expiresS: ASKED_S }),
  'taken 200 without a tag': publishAnswered(200),
  'gone 412': publishAnswered(412),
  'too brief, 423 with more': publishAnswered(423, { minExpiresS: MORE_S }),
  'too brief, 423 with less': publishAnswered(423, { minExpiresS: 1 }),
  'bad event 489': publishAnswered(489),
  'come back in an hour 503': publishAnswered(503, { retryAfterS: 3600 }),
  timer: ({ timer }: PublisherModel): PublisherEvent | undefined =>
    timer ? { type: 'timer' } : undefined,
  stop: (): PublisherEvent => ({ type: 'stop' }),
};

t.test('the publisher', async t => {
  const walk = explore<PublisherModel, PublisherEvent, PublisherAction>({
    types: { changed: true, answer: true, timer: true, stop: true },
    starts: [{ publisher: newPublisher(ASKED_S, () => 0), timer: false }],
    events: publisherEvents,
    copy: model => ({ ...model, publisher: { ...model.publisher } }),
    step: (model, event) => {
      if (event.type === 'timer') model.timer = false;
      const actions = stepPublisher(model.publisher, event);
      for (const action of actions) {
        if (action.type === 'set-timer') model.timer = true;
        if (action.type === 'cancel-timer') model.timer = false;
      }
      model.publisher.failures = Math.min(model.publisher.failures, MOST_FAILURES);
      return actions;
    },
    key: ({ publisher: { phase, etag, pending, changed, expiresS, failures }, timer }) =>
      [phase, etag, pending, changed, expiresS, failures, timer].join(),
    mode: ({ publisher: { phase, etag, pending, changed } }) => {
      if (!pending) return phase;
      return `${phase}, ${etag ? 'telling again' : 'telling'}${changed ? ', changed' : ''}`;
    },
    brief: action => {
      switch (action.type) {
        case 'publish':
          if (action.expiresS === 0) return 'remove';
          if (action.match === undefined) return 'publish';
          return action.body ? 'modify' : 'refresh';
        case 'set-timer':
          return '+timer';
        case 'cancel-timer':
          return undefined;
        case 'finish':
          return action.status === undefined ? 'finish' : `finish ${action.status}`;
      }
    },
    check: ({ before, event, actions, after: { publisher, timer } }) => {
      const asks = actions.filter(({ type }) => type === 'publish');
      const free = !before.publisher.pending || event.type === 'answer';
      if (asks.length > 1 || (asks.length === 1 && !free)) throw new Error('two requests at once');
      if (asks.some(ask => ask.type === 'publish' && ask.match === undefined && !ask.body)) {
        throw new Error('nothing is told');
      }
      const { phase, pending } = publisher;
      const waits = phase === 'published' || phase === 'waiting';
      if (waits && !timer && !pending) throw new Error('nothing will happen any more');
      if (timer && pending) throw new Error('a timer beside a request');
      if (phase === 'ended' && (timer || pending)) throw new Error('something is left');
    },
  });
  sameTable(t, walk, PUBLISHER);
});

// ---- PUBLISH: the compositor, with room for two publications of a resource

interface CompositorModel {
  compositor: CompositorState;
  now: number;
  /** The tag of the next publication. */
  next: number;
}

const BODY = { type: 'text/mood', body: Buffer.from('glad') };
const publishes =
  (match: 'none' | 'first' | 'unknown', content: boolean, expiresS?: number) =>
  ({ compositor, now, next }: CompositorModel): CompositorEvent | undefined => {
    const [first] = publicationsOf(compositor, 'anna', now);
    if (match === 'first' && !first) return undefined;
    return {
      type: 'publish',
      resource: 'anna',
      match: match === 'none' ? undefined : match === 'first' ? first?.etag : 'unknown',
      content: content ? BODY : undefined,
      expiresS,
      etag: `e${next}`,
      now,
    };
  };

const compositorEvents = {
  initial: publishes('none', true),
  'initial without a body': publishes('none', false),
  'initial, too brief': publishes('none', true, 5),
  'initial for 0 s': publishes('none', true, 0),
  'initial, too large': (model: CompositorModel): CompositorEvent => {
    const content = { type: 'text/mood', body: Buffer.alloc(COMPOSITOR_LIMITS.octets + 1) };
    return { ...publishes('none', true)(model), content } as CompositorEvent;
  },
  refresh: publishes('first', false),
  modify: publishes('first', true),
  remove: publishes('first', false, 0),
  'of an unknown tag': publishes('unknown', true),
  'half an hour passes': ({ now }: CompositorModel): CompositorEvent => ({
    type: 'sweep',
    now: now + 1_800_000,
  }),
};

t.test('the compositor', async t => {
  const limits = { ...COMPOSITOR_LIMITS, perResource: 2 };
  const walk = explore<CompositorModel, CompositorEvent, CompositorAction>({
    types: { publish: true, sweep: true },
    starts: [{ compositor: newCompositor(limits), now: 0, next: 0 }],
    events: compositorEvents,
    copy: model => ({
      ...model,
      compositor: { limits, publications: new Map(model.compositor.publications) },
    }),
    step: (model, event) => {
      const actions = stepCompositor(model.compositor, event);
      model.now = event.now;
      model.next++;
      return actions;
    },
    key: ({ compositor, now }) =>
      publicationsOf(compositor, 'anna', now)
        .map(({ until }) => until - now)
        .join(),
    mode: ({ compositor, now }) => `${publicationsOf(compositor, 'anna', now).length} published`,
    brief: action => {
      switch (action.type) {
        case 'accept':
          return action.expiresS === 0 ? 'accept 0' : 'accept';
        case 'refuse':
          return `refuse ${action.status}`;
        case 'changed':
          return 'changed';
      }
    },
    check: ({ event, actions, after: { compositor, now } }) => {
      const answers = actions.filter(({ type }) => type !== 'changed').length;
      if (answers !== (event.type === 'publish' ? 1 : 0)) throw new Error(`${answers} answers`);
      const kept = [...compositor.publications.values()].flat();
      if (new Set(kept.map(({ etag }) => etag)).size !== kept.length)
        throw new Error('a tag twice');
      if (kept.some(({ until }) => until <= now)) throw new Error('what is over is kept');
    },
  });
  sameTable(t, walk, COMPOSITOR);
});
