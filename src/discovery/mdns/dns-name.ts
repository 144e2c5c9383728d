/**
 * Domain names as text: labels joined by dots. A dot or a backslash that belongs to a label has a backslash
 * before it (RFC 1035 §5.1), so that a phone called `Dr. No` is one label and can be asked for.
 */

/** The labels of a name, most specific first, as they are sent; the root has none. */
export function labelsOf(name: string): string[] {
  if (name === '') return [];
  if (!name.includes('\\')) return name.split('.');
  const labels: string[] = [];
  let label = '';
  for (let i = 0; i < name.length; i++) {
    if (name[i] === '\\') label += name[++i] ?? '';
    else if (name[i] === '.') {
      labels.push(label);
      label = '';
    } else label += name[i];
  }
  labels.push(label);
  return labels;
}

export function nameOf(labels: readonly string[]): string {
  return labels.map(escapeLabel).join('.');
}

export function escapeLabel(label: string): string {
  return /[.\\]/.test(label) ? label.replace(/[.\\]/g, '\\$&') : label;
}

/** `Dr. No`, `_sip._udp.local` → `Dr\. No._sip._udp.local` */
export function instanceName(label: string, type: string): string {
  return `${escapeLabel(label)}.${type}`;
}
