/** Date, in the one form SIP allows: `Sat, 13 Nov 2010 23:29:00 GMT` (RFC 3261 §20.17). */
import { SipSyntaxError } from '../errors.js';
import { headerField } from '../field.js';

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const FORM = /^([A-Z][a-z]{2}), (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT$/;

/** Milliseconds since 1970, in whole seconds. */
export const DateField = headerField<number>({
  name: 'Date',
  read(cursor) {
    cursor.skipSpace();
    const position = cursor.pos;
    const text = cursor.takeRest();
    const [, day, date, month, year, hours, minutes, seconds] = FORM.exec(text) ?? [];
    const time = Date.UTC(
      Number(year),
      MONTHS.indexOf(month ?? ''),
      Number(date),
      Number(hours),
      Number(minutes),
      Number(seconds),
    );
    if (
      Number.isNaN(time) ||
      !DAYS.includes(day ?? '') ||
      formatDate(time).slice(4) !== text.slice(4)
    ) {
      throw new SipSyntaxError(
        'BAD_VALUE',
        `expected an RFC 1123 date in GMT, found ${JSON.stringify(text.slice(0, 40))}`,
        { position },
      );
    }
    return time;
  },
  format: formatDate,
});

function formatDate(time: number): string {
  const date = new Date(time);
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${DAYS[date.getUTCDay()]}, ${two(date.getUTCDate())} ${MONTHS[date.getUTCMonth()]}`;
  const clock = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(two).join(':');
  return `${day} ${String(date.getUTCFullYear()).padStart(4, '0')} ${clock} GMT`;
}
