/** What others wrote, such that it can be shown on a terminal. */

/** Control characters could do anything to a terminal; line breaks and tabs are text. */
export function printable(text: string): string {
  return text.replace(/\r\n?/g, '\n').replace(/(?![\n\t])\p{Cc}/gu, '\ufffd');
}
